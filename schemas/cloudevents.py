"""CloudEvents 1.0 attributes, from Kafka headers and from structured envelopes."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from schemas.contract import check_not_future
from schemas.errors import InvalidEventError, OversizedError, UndecodableError, shown
from schemas.events import Modality
from schemas.limits import Limits
from schemas.records import Record
from schemas.rules import Moment

SPECVERSION = "1.0"
STRUCTURED = "application/cloudevents+json"
RESERVED_PREFIX = "headrace_"
"""Kafka headers that describe a dead letter; no event's own header may begin like this."""

Attribute = tuple[str, Any]
"""Where the value was found, for messages, and the value: always text when it was a header."""
Attributes = dict[str, Attribute]

_NAMES = (
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "datacontenttype",
    "budgetms",
    "priority",
    "onoverload",
    "traceparent",
    "cameraid",
)
_FROM_HEADERS = {f"ce_{name}": name for name in _NAMES} | {
    "content-type": "content-type",
    "traceparent": "hop",  # the transport's own trace context, nearer than the event's
}
PRIORITY_WORDS = {"low": 2, "normal": 4, "high": 8}
MAX_PRIORITY = 9
OVERLOAD_WORDS = ("degrade", "shed", "late")

_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII).fullmatch
# Version 00 ends after the flags; later ones may go on.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    r"((?<!^00.{53})-[\x21-\x7e]{1,200})?"
).fullmatch
_OURS = re.compile(r"headrace\.(?P<modality>[a-z]+)\.v(?P<version>[0-9]+)").fullmatch
_MOMENT = Moment()


def from_headers(record: Record, limits: Limits) -> Attributes:
    """Collect the attributes that Kafka headers carry; the last of a repeated header counts.

    Raises:
        OversizedError: The headers are too many or too large.
        UndecodableError: A header that is needed is not UTF-8.
    """
    found: Attributes = {}
    size = 0
    for name, value in record.headers:
        if value is None:
            size += len(name)
            continue
        size += len(name) + len(value)
        attribute = _FROM_HEADERS.get(name) or _FROM_HEADERS.get(name.lower())
        if attribute:
            found[attribute] = (name, _text(name, value))
    if len(record.headers) > limits.headers or size > limits.header_bytes:
        _check_headers(record, limits)
    return found


def from_envelope(envelope: Mapping[str, Any]) -> Attributes:
    """Collect the attributes of a structured-mode event; those that are null count as absent."""
    return {name: (name, envelope[name]) for name in _NAMES if envelope.get(name) is not None}


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        if name.lower().endswith("traceparent"):
            return ""  # like any other invalid trace context
        raise UndecodableError(
            f"{name}: the header's value {shown(value)} is not UTF-8; send UTF-8 text", field=name
        ) from None


def _check_headers(record: Record, limits: Limits) -> None:
    """Count again without what a redriven dead letter has gained on its way."""
    own = [header for header in record.headers if not header[0].startswith(RESERVED_PREFIX)]
    if len(own) > limits.headers:
        raise OversizedError(
            f"headers: {len(own)} headers; send at most {limits.headers}", field="headers"
        )
    size = sum(len(name) + len(value or b"") for name, value in own)
    if size > limits.header_bytes:
        raise OversizedError(
            f"headers: {size:,} bytes of names and values; send at most {limits.header_bytes:,}",
            field="headers",
        )


def check_specversion(attributes: Attributes) -> None:
    """Refuse other versions of CloudEvents than 1.0; headers alone may leave it out."""
    field, version = attributes.get("specversion", ("", SPECVERSION))
    if version != SPECVERSION:
        raise UndecodableError(
            f"{field}: {shown(version)} is not a version of CloudEvents that is read here; "
            f'send "{SPECVERSION}"',
            field=field,
        )


def check_type(attributes: Attributes, modality: Modality) -> None:
    """Refuse an event that says itself that it is of another modality or a later contract."""
    field, name = attributes.get("type", ("", ""))
    ours = _OURS(name) if isinstance(name, str) else None
    if ours and name != event_type(modality):
        raise InvalidEventError(
            f"{field}: {shown(name)} does not belong on a topic of {modality.value} events; "
            f"send {event_type(modality)}, or a type of your own",
            field=field,
        )


def event_type(modality: Modality) -> str:
    """Name the current version of an input event's contract."""
    return f"headrace.{modality.value}.v1"


def own_text(attributes: Attributes, name: str) -> str | None:
    """Return an attribute that must be text; ``None`` when it is absent."""
    if name not in attributes:
        return None
    field, value = attributes[name]
    if not isinstance(value, str):
        raise InvalidEventError(f"{field}: {shown(value)} is not text; send a string", field=field)
    return value


def time(attributes: Attributes, limits: Limits, now_ms: int) -> datetime | None:
    """Return the attribute ``time``; ``None`` when it is absent."""
    text = own_text(attributes, "time")
    if text is None:
        return None
    field = attributes["time"][0]
    try:
        moment = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        raise InvalidEventError(
            f"{field}: {shown(text)} is no time; send {_MOMENT.wanted(limits)}", field=field
        ) from None
    _MOMENT.check(moment, field, limits)
    check_not_future(moment, field, limits, now_ms)
    return moment.astimezone(UTC)


def budget_ms(attributes: Attributes, limits: Limits) -> float | None:
    """Return the event's latency budget in milliseconds; ``None`` when it names none."""
    if "budgetms" not in attributes:
        return None
    field, value = attributes["budgetms"]
    if isinstance(value, str) and _DECIMAL(value):
        value = float(value)
    right_type = isinstance(value, int | float) and not isinstance(value, bool)
    if not right_type or not limits.min_budget_ms <= value <= limits.max_budget_ms:
        raise InvalidEventError(
            f"{field}: {shown(value)} is not accepted; send milliseconds from "
            f"{limits.min_budget_ms:g} to {limits.max_budget_ms:,.0f}",
            field=field,
        )
    return float(value)


def priority(attributes: Attributes) -> int | None:
    """Return the event's priority, 0 to 9; ``None`` when it names none."""
    if "priority" not in attributes:
        return None
    field, value = attributes["priority"]
    if isinstance(value, str):
        if value in PRIORITY_WORDS:
            return PRIORITY_WORDS[value]
        if len(value) == 1 and "0" <= value <= "9":
            return int(value)
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_PRIORITY:
        return value
    raise InvalidEventError(
        f"{field}: {shown(value)} is not accepted; send 0 to {MAX_PRIORITY} (most urgent), or "
        f"{', '.join(PRIORITY_WORDS)}",
        field=field,
    )


def on_overload(attributes: Attributes) -> str | None:
    """Return the event's own overload policy; ``None`` when it names none."""
    if "onoverload" not in attributes:
        return None
    field, value = attributes["onoverload"]
    if value not in OVERLOAD_WORDS:
        raise InvalidEventError(
            f"{field}: {shown(value)} is not accepted; send {', '.join(OVERLOAD_WORDS)}",
            field=field,
        )
    return str(value)


def traceparent(attributes: Attributes) -> str | None:
    """Return the W3C trace context; an invalid one is dropped, as W3C says.

    The transport's own header wins over the event's attribute: it is the nearer hop.
    """
    for name in ("hop", "traceparent"):
        value = attributes.get(name, ("", None))[1]
        if isinstance(value, str) and _TRACEPARENT(value):
            return value
    return None


def traceparent_of(record: Record) -> str | None:
    """Return the W3C trace context that a record's headers hold, whatever else is wrong with it."""
    for wanted in ("traceparent", "ce_traceparent"):
        for name, value in reversed(record.headers):
            if name.lower() == wanted and value is not None:
                text = value.decode("latin-1")
                if _TRACEPARENT(text):
                    return text
                break
    return None
