"""Reading a topic for people and scripts: what a record says, and whether it is wanted."""

import contextlib
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson
from aiokafka import ConsumerRecord

from schemas.errors import ConfigurationError, ContractError
from streams.consumed import to_record
from streams.subscription import KINDS
from streams.topics import TopicKind

_CONDITION = re.compile(r"(?P<field>[\w.]+)\s*(?P<sign>!=|>=|<=|=|>|<)\s*(?P<value>.*)", re.DOTALL)
_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One ``--where``: a field as a dotted path, a comparison, a value."""

    path: tuple[str, ...]
    compare: Callable[[Any, Any], bool]
    value: str

    def holds(self, document: Mapping[str, Any]) -> bool:
        """Tell whether a document has the field and it compares; numbers compare as numbers."""
        found: Any = document
        for part in self.path:
            if not isinstance(found, Mapping) or part not in found:
                return False
            found = found[part]
        if isinstance(found, bool) or found is None:
            return self.compare(orjson.dumps(found).decode(), self.value)
        if isinstance(found, int | float):
            try:
                return self.compare(float(found), float(self.value))
            except ValueError:
                return False
        return self.compare(str(found), self.value)


def parse_condition(text: str) -> Condition:
    """Read ``label=negative`` or ``latency.total_ms>100``.

    Raises:
        ConfigurationError: It is not a comparison.
    """
    found = _CONDITION.fullmatch(text.strip())
    if found is None:
        raise ConfigurationError(
            f"--where: {text!r} is not a comparison; write FIELD=VALUE, such as label=negative, "
            "or latency.total_ms>100"
        )
    return Condition(
        tuple(found["field"].split(".")), _SIGNS[found["sign"]], found["value"].strip()
    )


def wanted(document: Mapping[str, Any], conditions: Sequence[Condition]) -> bool:
    """Tell whether all conditions hold."""
    return all(condition.holds(document) for condition in conditions)


def to_document(record: ConsumerRecord, kind: TopicKind) -> dict[str, Any]:
    """Say in one JSON object what a record of a topic holds.

    What can be subscribed to is given as it is, a dead letter with the original value beside it;
    anything else as its value, with the CloudEvents attributes of its headers.
    """
    if kind not in KINDS:
        return _raw(record)
    try:
        document = _plain(KINDS[kind].wanted.decode(to_record(record)))
    except ContractError:
        return _raw(record)
    if kind is TopicKind.DEAD_LETTERS:
        return document | {"value": _readable(record.value)}
    return document


def _plain(value: msgspec.Struct) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(value)
    return document


def _raw(record: ConsumerRecord) -> dict[str, Any]:
    attributes = {
        name.removeprefix("ce_"): (value or b"").decode("utf-8", "replace")
        for name, value in record.headers
        if name.startswith("ce_")
    }
    value = _readable(record.value)
    if isinstance(value, dict):
        return attributes | value
    return attributes | {"value": value}


def _readable(value: bytes | None) -> Any:
    """Return JSON as what it says, text as text, and of other bytes how many there are."""
    if value is None:
        return None
    with contextlib.suppress(orjson.JSONDecodeError, orjson.JSONEncodeError):
        found = orjson.loads(value)
        # orjson reads four times deeper than it writes; what it cannot write is shown as text.
        orjson.dumps([[found]])
        return found
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"{len(value):,} bytes"
