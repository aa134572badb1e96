"""From a Kafka record to a typed event: binary, structured and plain JSON forms."""

import contextlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from schemas import cloudevents, images
from schemas.cloudevents import STRUCTURED, Attributes
from schemas.contract import ID, RULES, TIME_FIELDS, check_event
from schemas.errors import InvalidEventError, UndecodableError, shown
from schemas.events import EVENT_TYPES, CameraEvent, Event, Modality, NewsEvent
from schemas.limits import DEFAULT_LIMITS, Limits
from schemas.payload import IMAGES, JSON, media_type, read_base64, read_object, read_value
from schemas.records import Inbound, Record
from schemas.results import Source
from schemas.rules import EPOCH, Number

NO_TIMESTAMP = -1
"""What Kafka says when a record has no timestamp."""

_FROM_CLOUDEVENT = {
    Modality.NEWS: (("id", "id"), ("source", "source")),
    Modality.TRANSCRIPT: (("id", "id"),),
    Modality.CAMERA: (("id", "id"), ("camera_id", "cameraid"), ("camera_id", "source")),
}
_PATH = re.compile(r" - at `\$\.?(?P<path>.*)`$")
_MISSING = re.compile(r"missing required field `(?P<field>.+?)`")


def decode_event(
    record: Record, modality: Modality, *, now_ms: int, limits: Limits = DEFAULT_LIMITS
) -> Inbound:
    """Read one record as an event of the topic's modality.

    Args:
        record: As it came from Kafka.
        modality: What the topic carries.
        now_ms: Wall clock at the record's arrival, in milliseconds since the epoch.
        limits: What to hold the event to.

    Raises:
        UndecodableError: The value is not what its content type says, or the type is unknown.
        InvalidEventError: A field is missing, has the wrong type or exceeds a limit.
    """
    attributes = cloudevents.from_headers(record, limits)
    value = read_value(record, modality, limits)
    media = media_type(attributes.get("content-type"), modality)
    if media in IMAGES:
        document: dict[str, Any] = {"image": value, "content_type": media}
    else:
        document = read_object(value, "value", limits)
        if media == STRUCTURED or _is_envelope(document):
            attributes |= cloudevents.from_envelope(document)
            document = _from_envelope(document, attributes, modality, limits)
    cloudevents.check_specversion(attributes)
    cloudevents.check_type(attributes, modality)
    try:
        return _inbound(record, modality, document, attributes, now_ms=now_ms, limits=limits)
    except InvalidEventError as error:
        error.event_id = _known_id(document, limits)
        raise


def _inbound(
    record: Record,
    modality: Modality,
    document: dict[str, Any],
    attributes: Attributes,
    *,
    now_ms: int,
    limits: Limits,
) -> Inbound:
    ce_time = _fill(document, modality, attributes, now_ms, limits)
    event = _typed(document, modality, limits)
    check_event(event, modality, limits, now_ms=now_ms)
    recorded = _recorded(record.timestamp_ms, limits, now_ms)
    return Inbound(
        event=event,
        modality=modality,
        budget_ms=cloudevents.budget_ms(attributes, limits),
        priority=cloudevents.priority(attributes),
        on_overload=cloudevents.on_overload(attributes),
        traceparent=cloudevents.traceparent(attributes),
        event_time=_own_time(event) or ce_time or recorded,
        source=Source(topic=record.topic, partition=record.partition, offset=record.offset),
    )


def _is_envelope(document: dict[str, Any]) -> bool:
    """Recognise a structured event whose producer could not set its content type."""
    return "specversion" in document and ("data" in document or "data_base64" in document)


def _from_envelope(
    envelope: dict[str, Any], attributes: Attributes, modality: Modality, limits: Limits
) -> dict[str, Any]:
    """Take the data out of a structured-mode event."""
    if "specversion" not in attributes:
        raise UndecodableError(
            'specversion: is missing; a structured CloudEvent says "specversion": "1.0"',
            field="specversion",
        )
    media = media_type(attributes.get("datacontenttype"), modality)
    data, encoded = envelope.get("data"), envelope.get("data_base64")
    if encoded is None:
        if isinstance(data, dict) and media == JSON:
            return data
        raise UndecodableError(
            f"data: {shown(data)} is not an event; send a JSON object, "
            "or an image in data_base64 with its datacontenttype",
            field="data",
        )
    if data is not None:
        raise UndecodableError(
            "data_base64: stands beside data; send only one of them", field="data_base64"
        )
    content = read_base64(encoded, "data_base64")
    if media in IMAGES:
        return {"image": content, "content_type": media}
    return read_object(content, "data_base64", limits)


def _fill(
    document: dict[str, Any],
    modality: Modality,
    attributes: Attributes,
    now_ms: int,
    limits: Limits,
) -> datetime | None:
    """Let the CloudEvent's attributes stand in where the data is silent; return its time."""
    if not attributes:
        return None
    for field, attribute in _FROM_CLOUDEVENT[modality]:
        if attribute in attributes and document.get(field) is None:
            document[field] = cloudevents.own_text(attributes, attribute)
    time_field = TIME_FIELDS.get(modality)
    if time_field and document.get(time_field) is not None:
        return None
    moment = cloudevents.time(attributes, limits, now_ms)
    if time_field and moment:
        document[time_field] = moment
    return moment


def _typed(document: dict[str, Any], modality: Modality, limits: Limits) -> Event:
    kind = EVENT_TYPES[modality]
    try:
        event = msgspec.convert(document, kind)
    except msgspec.ValidationError:
        tidied = _tidied(document, modality)
        try:
            event = msgspec.convert(tidied, kind)
        except msgspec.ValidationError as error:
            raise _invalid(str(error), tidied, modality, limits) from None
    if isinstance(event, CameraEvent) and event.content_type is None:
        return msgspec.structs.replace(event, content_type=images.media_type(event.image))
    return event


def _tidied(document: dict[str, Any], modality: Modality) -> dict[str, Any]:
    """Undo what JSON writers do to fields: null for an absent one, 3.0 for a whole number."""
    rules = RULES[modality]
    tidied = {name: value for name, value in document.items() if value is not None}
    for name, value in tidied.items():
        rule = rules.get(name)
        if isinstance(value, float) and value.is_integer() and isinstance(rule, Number):
            tidied[name] = int(value)
    return tidied


def _invalid(
    reason: str, document: dict[str, Any], modality: Modality, limits: Limits
) -> InvalidEventError:
    """Reword what msgspec found: field, value, remedy."""
    rules = RULES[modality]
    if missing := _MISSING.search(reason):
        field = missing["field"]
        also = " or in the header ce_id" if field == "id" else ""
        wanted = rules[field].wanted(limits)
        return InvalidEventError(
            f"{field}: is missing; send {wanted} in the event{also}", field=field
        )
    path = found["path"] if (found := _PATH.search(reason)) else ""
    name, _, index = path.partition("[")
    value = document.get(name)
    if index and isinstance(value, list):
        value = value[int(index.rstrip("]"))]
    wanted = rules[name].wanted(limits) if name in rules else "another value"
    return InvalidEventError(
        f"{path}: {shown(value)} is not accepted; send {wanted}", field=path or None
    )


def _known_id(document: dict[str, Any], limits: Limits) -> str | None:
    """Return the id of an event that is wrong elsewhere, so that its dead letter can be found."""
    known = document.get("id")
    if isinstance(known, str):
        with contextlib.suppress(InvalidEventError):
            ID.check(known, "id", limits)
            return known
    return None


def _recorded(timestamp_ms: int | None, limits: Limits, now_ms: int) -> datetime:
    """Return the record's own time, or its arrival where Kafka knows none."""
    if timestamp_ms is None or timestamp_ms == NO_TIMESTAMP:
        timestamp_ms = now_ms
    if not 0 <= timestamp_ms <= now_ms + limits.future_ms:
        raise InvalidEventError(
            f"timestamp: {timestamp_ms} is before 1970 or more than {limits.future_ms / 3.6e6:g} h "
            f"in the future (now is {now_ms}); send milliseconds since 1970, or none",
            field="timestamp",
        )
    return EPOCH + timedelta(milliseconds=timestamp_ms)


def _own_time(event: Event) -> datetime | None:
    moment = None
    if isinstance(event, NewsEvent):
        moment = event.published_at
    elif isinstance(event, CameraEvent):
        moment = event.captured_at
    return moment.astimezone(UTC) if moment else None
