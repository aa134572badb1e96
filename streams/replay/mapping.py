"""From a line of somebody's log to a record on one of our input topics."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson

from schemas.cloudevents import STRUCTURED
from schemas.contract import TIME_FIELDS
from schemas.errors import ConfigurationError, InvalidEventError, UndecodableError, shown
from schemas.events import EVENT_TYPES, Event, Modality
from schemas.kafka import Outbound, encode_event
from schemas.payload import JSON
from schemas.records import Header

TIME = "time"
"""Target of ``--map`` for when an event happened; it sets the pace and travels as ``ce_time``."""

# Tried in this order where an event lacks the field on the right.
_AUTOMATIC: Mapping[Modality, Mapping[str, tuple[str, ...]]] = {
    Modality.NEWS: {
        "id": ("event_id", "uuid", "guid"),
        "headline": ("text", "title"),
    },
    Modality.TRANSCRIPT: {
        "id": ("event_id", "uuid", "guid"),
        "text": ("transcript", "utterance"),
    },
    Modality.CAMERA: {
        "id": ("event_id", "uuid", "guid"),
        "image": ("image_base64", "data"),
    },
}
_TIMES = ("ts_ms", "published_at", "captured_at", "time", "timestamp", "ts")
_KEYS: Mapping[Modality, str] = {
    Modality.TRANSCRIPT: "session_id",
    Modality.CAMERA: "camera_id",
}
# Numbers up to each bound are taken for seconds, milliseconds, microseconds since 1970.
_UNITS_MS = ((1e11, 1e3), (1e14, 1.0), (1e17, 1e-3))
_NANOSECONDS_MS = 1e-6


@dataclass(frozen=True, slots=True)
class Prepared:
    """One line, ready to be sent.

    Attributes:
        modality: Of the topic that it is meant for.
        time_ms: When the event happened, in milliseconds since the epoch, if the line says so.
        outbound: The record.
        breach: Why the event breaks its contract; it is sent all the same, for a worker answers it
            with a dead letter. ``None`` for a good one.
    """

    modality: Modality
    time_ms: float | None
    outbound: Outbound
    breach: str | None = None


def parse_map(pairs: str | None, modality: Modality) -> dict[str, str]:
    """Read ``--map``: foreign names on the left, ours on the right.

    Args:
        pairs: ``text=headline,ts_ms=time``; a dot on the left descends into an object.
        modality: Whose fields may stand on the right, besides ``time``.

    Returns:
        Foreign names by ours.

    Raises:
        ConfigurationError: A pair is not one, or names no field of ours.
    """
    known = (*EVENT_TYPES[modality].__struct_fields__, TIME)
    found: dict[str, str] = {}
    for pair in (pairs or "").split(","):
        if not pair.strip():
            continue
        theirs, equals, ours = (part.strip() for part in pair.partition("="))
        if not (theirs and equals and ours):
            raise ConfigurationError(
                f"--map: {pair.strip()!r} is not a pair; write THEIRS=OURS, such as text=headline"
            )
        if ours not in known:
            raise ConfigurationError(
                f"--map: {ours!r} is no field of {modality.value} events; "
                f"map to {', '.join(known[:-1])} or {TIME}"
            )
        found[ours] = theirs
    return found


class Mapper:
    """Turns the lines of one log into records.

    Args:
        modality: Of the topic that they go to.
        fields: Foreign names by ours, from :func:`parse_map`.
        name: Of the log; events without an id are called ``name:line``.
        budget_ms: Latency budget of every event; ``None`` leaves it to the worker.
    """

    def __init__(
        self,
        modality: Modality,
        *,
        fields: Mapping[str, str] | None = None,
        name: str = "log",
        budget_ms: float | None = None,
    ) -> None:
        self._modality = modality
        self._type = EVENT_TYPES[modality]
        self._fields = dict(fields or {})
        self._name = name
        self._source = f"/headrace/replay/{name}"
        self._budget_ms = budget_ms

    def prepare(self, line: bytes, number: int) -> Prepared:
        """Map and encode one line.

        Raises:
            UndecodableError: It is not a JSON object, or nested too deeply.
        """
        document = _read(line)
        if "specversion" in document:
            return self._enveloped(document)
        time_ms = self._time_ms(document)
        fields = self._mapped(document, number, time_ms)
        key = _text(fields.get(_KEYS.get(self._modality, "id"))) or _text(fields["id"])
        try:
            event: Event = msgspec.convert(fields, self._type)
            outbound = self._encode(event, key, time_ms)
        except (InvalidEventError, msgspec.ValidationError) as error:
            return Prepared(self._modality, time_ms, self._verbatim(fields, key), breach=str(error))
        return Prepared(self._modality, time_ms, outbound)

    def time_ms(self, line: bytes) -> float | None:
        """Read only when the event of a line happened; ``None`` where it cannot be read."""
        try:
            return self._time_ms(_read(line))
        except UndecodableError:
            return None

    def _encode(self, event: Event, key: bytes | None, time_ms: float | None) -> Outbound:
        outbound = encode_event(event, key=key, source=self._source, budget_ms=self._budget_ms)
        if time_ms is not None and not any(name == "ce_time" for name, _ in outbound.headers):
            outbound.headers.append(("ce_time", _rfc3339(time_ms).encode()))
        return outbound

    def _verbatim(self, fields: Mapping[str, Any], key: bytes | None) -> Outbound:
        """Send what breaks the contract as it is: a replay brings the same failures back."""
        headers: list[Header] = [("content-type", JSON.encode())]
        if self._budget_ms is not None:
            headers.append(("ce_budgetms", f"{self._budget_ms:g}".encode()))
        return Outbound(key=key, value=_written(fields), headers=headers)

    def _enveloped(self, envelope: dict[str, Any]) -> Prepared:
        """Pass a structured CloudEvent on as it is."""
        if self._budget_ms is not None:
            envelope["budgetms"] = self._budget_ms
        return Prepared(
            self._modality,
            to_ms(envelope.get("time")),
            Outbound(
                key=_text(envelope.get("cameraid")) or _text(envelope.get("id")),
                value=_written(envelope),
                headers=[("content-type", STRUCTURED.encode())],
            ),
        )

    def _mapped(
        self, document: dict[str, Any], number: int, time_ms: float | None
    ) -> dict[str, Any]:
        fields = dict(document)
        for ours, theirs in self._fields.items():
            if ours != TIME and (value := _look_up(document, theirs)) is not None:
                fields[ours] = value
        for ours, candidates in _AUTOMATIC[self._modality].items():
            if ours not in self._fields and fields.get(ours) is None:
                _take_first(fields, ours, candidates, document)
        if isinstance(fields.get("id"), int | float):
            fields["id"] = str(fields["id"])
        if fields.get("id") is None:
            fields["id"] = f"{self._name}:{number}"
        own_time = TIME_FIELDS.get(self._modality)
        if own_time and time_ms is not None and not isinstance(fields.get(own_time), str):
            fields[own_time] = _rfc3339(time_ms)
        return fields

    def _time_ms(self, document: dict[str, Any]) -> float | None:
        if TIME in self._fields:
            return to_ms(_look_up(document, self._fields[TIME]))
        times = (to_ms(document.get(name)) for name in _TIMES)
        return next((time for time in times if time is not None), None)


def to_ms(value: Any) -> float | None:
    """Read a time: a number since 1970, its unit told by its size, or an ISO 8601 text.

    Numbers below 1e11 are seconds, below 1e14 milliseconds, below 1e17 microseconds, above that
    nanoseconds. A text without an offset is UTC.

    Returns:
        Milliseconds since the epoch; ``None`` for what is no time, or before 1970.
    """
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return _iso_ms(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        return None
    scale = next((scale for bound, scale in _UNITS_MS if value < bound), _NANOSECONDS_MS)
    return _within(value * scale)


def _iso_ms(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return _within((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e3)


def _within(ms: float) -> float | None:
    """Pass a time on if it can be written as a date, whatever its offset from UTC."""
    return ms if 0 <= ms < _LATEST_MS else None


_LATEST_MS = datetime(9999, 1, 1, tzinfo=UTC).timestamp() * 1e3


def _read(line: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise UndecodableError(f"is not JSON: {error.msg} (character {error.pos})") from None
    if not isinstance(document, dict):
        raise UndecodableError(f"is {shown(document)}, not a JSON object")
    return document


def _written(document: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError as error:  # orjson reads four times deeper than it writes
        raise UndecodableError(f"cannot be written as JSON again: {error}") from None


def _look_up(document: dict[str, Any], name: str) -> Any:
    if name in document:
        return document[name]
    value: Any = document
    for part in name.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _take_first(
    fields: dict[str, Any], ours: str, candidates: Iterable[str], document: dict[str, Any]
) -> None:
    for candidate in candidates:
        if document.get(candidate) is not None:
            fields[ours] = document[candidate]
            return


def _text(value: Any) -> bytes | None:
    return value.encode("utf-8", "replace") if isinstance(value, str) and value else None


def _rfc3339(time_ms: float) -> str:
    moment = datetime.fromtimestamp(time_ms / 1e3, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
