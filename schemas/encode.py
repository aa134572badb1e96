"""From typed events and results to Kafka records."""

from datetime import datetime
from typing import Any, Literal

import msgspec
import orjson

from schemas import cloudevents, images
from schemas.cloudevents import SPECVERSION, STRUCTURED
from schemas.contract import TIME_FIELDS, check_event
from schemas.errors import ConfigurationError, InvalidEventError, UndecodableError, shown
from schemas.events import EVENT_TYPES, CameraEvent, Event, Modality
from schemas.limits import DEFAULT_LIMITS, Limits
from schemas.payload import JSON
from schemas.records import Header, Outbound
from schemas.results import Classification, Source

Mode = Literal["binary", "structured", "json"]
"""How an event travels: CloudEvents in binary or structured mode, or plain JSON."""

RESULT_TYPE = "headrace.result.v1"
DEFAULT_SOURCE = "/headrace/producer"

_DIGEST_CHARS = 12
_MODALITIES: dict[type, Modality] = {kind: modality for modality, kind in EVENT_TYPES.items()}


def result_id(source: Source, digest: str, revision: int = 0) -> str:
    """Name a result by where its event lay and which weights answered.

    A result that is sent twice, as after a crash before the commit, has the same id both times.

    Args:
        source: The record that the event came from.
        digest: ``sha256:`` and the hex digest of the model.
        revision: 0 for the first answer.
    """
    short = digest.rpartition(":")[2][:_DIGEST_CHARS]
    return f"{source.topic}:{source.partition}:{source.offset}:{short}:{revision}"


def encode_result(
    result: Classification, *, key: bytes | None, traceparent: str | None = None
) -> Outbound:
    """Write a result as a CloudEvent in binary mode.

    Args:
        result: What to publish.
        key: The input record's, so that a key's results stay in one partition; ``None`` takes the
            event's id.
        traceparent: The event's trace context, passed on.
    """
    headers: list[Header] = [
        ("ce_specversion", b"1.0"),
        ("ce_type", RESULT_TYPE.encode()),
        ("ce_id", result_id(result.source, result.model.digest, result.revision).encode()),
        ("ce_source", f"/headrace/{result.modality.value}".encode()),
        ("ce_time", _rfc3339(result.result_time).encode()),
        ("ce_subject", result.event_id.encode()),
        ("content-type", JSON.encode()),
    ]
    if traceparent:
        headers += _trace(traceparent)
    return Outbound(
        key=result.event_id.encode() if key is None else key,
        value=orjson.dumps(msgspec.to_builtins(result)),
        headers=headers,
    )


def decode_result(value: bytes) -> Classification:
    """Read a result's value; fields that this version does not know are ignored.

    Raises:
        UndecodableError: The value is not JSON.
        InvalidEventError: A field is missing or has the wrong type.
    """
    try:
        return msgspec.convert(orjson.loads(value), Classification)
    except orjson.JSONDecodeError as error:
        raise UndecodableError(
            f"value: {shown(value)} is not JSON: {error.msg}; read this topic's results only",
            field="value",
        ) from None
    except msgspec.ValidationError as error:
        raise InvalidEventError(
            f"value: is not a classification: {error}; read this topic's results only",
            field="value",
        ) from None


def encode_event(
    event: Event,
    *,
    mode: Mode = "binary",
    key: bytes | None = None,
    source: str = DEFAULT_SOURCE,
    budget_ms: float | None = None,
    priority: int | str | None = None,
    on_overload: str | None = None,
    traceparent: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Outbound:
    """Write an event as a record that :func:`schemas.kafka.decode_event` reads.

    Args:
        event: Checked against the limits, so that a producer learns of a mistake at once.
        mode: ``binary`` (images stay raw bytes), ``structured`` or ``json``.
        key: Of the record; ``None`` lets Kafka spread the events over partitions.
        source: Who sends: a URI reference, as CloudEvents has it.
        budget_ms: Latency budget in milliseconds.
        priority: 0 to 9, or ``low``, ``normal``, ``high``.
        on_overload: ``degrade``, ``shed`` or ``late``.
        traceparent: W3C trace context.
        limits: What the worker is going to hold the event to.

    Raises:
        InvalidEventError: A field or an option is out of its limits.
        ConfigurationError: There is no such mode.
    """
    modality = _MODALITIES[type(event)]
    check_event(event, modality, limits, now_ms=None)
    if isinstance(event, CameraEvent):
        media = images.media_type(event.image)
        event = msgspec.structs.replace(event, content_type=media)
    options = _options(budget_ms, priority, on_overload, traceparent, limits)
    attributes = {
        "specversion": SPECVERSION,
        "id": event.id,
        "source": source,
        "type": cloudevents.event_type(modality),
    }
    moment = getattr(event, TIME_FIELDS.get(modality, ""), None)
    if moment:
        attributes["time"] = _rfc3339(moment)
    try:
        if mode == "structured":
            return _structured(event, key, attributes | options)
        if mode == "binary":
            return _binary(event, key, attributes | options)
        if mode == "json":
            return Outbound(key=key, value=_json(event), headers=_headers(options, JSON))
    except (UnicodeEncodeError, orjson.JSONEncodeError) as error:
        raise InvalidEventError(
            f"{event.id!r}: a text cannot be written as UTF-8: {error}; remove lone surrogates"
        ) from None
    raise ConfigurationError(f"mode: {shown(mode)} is unknown; choose binary, structured or json")


def _options(
    budget_ms: float | None,
    priority: int | str | None,
    on_overload: str | None,
    traceparent: str | None,
    limits: Limits,
) -> dict[str, str]:
    given = {
        "budgetms": budget_ms,
        "priority": priority,
        "onoverload": on_overload,
        "traceparent": traceparent,
    }
    found = {name: (name, value) for name, value in given.items() if value is not None}
    budget = cloudevents.budget_ms(found, limits)
    level = cloudevents.priority(found)
    checked = {
        "budgetms": None if budget is None else f"{budget:.12g}",
        "priority": None if level is None else str(level),
        "onoverload": cloudevents.on_overload(found),
        "traceparent": cloudevents.traceparent(found),
    }
    return {name: value for name, value in checked.items() if value is not None}


def _structured(event: Event, key: bytes | None, attributes: dict[str, str]) -> Outbound:
    envelope: dict[str, Any] = dict(attributes)
    if isinstance(event, CameraEvent):
        data = msgspec.to_builtins(event)
        envelope["datacontenttype"] = event.content_type
        envelope["data_base64"] = data["image"]
        if event.camera_id is not None:
            envelope["cameraid"] = event.camera_id
    else:
        envelope["datacontenttype"] = JSON
        envelope["data"] = _document(event)
    headers: list[Header] = [("content-type", f"{STRUCTURED}; charset=utf-8".encode())]
    return Outbound(key=key, value=orjson.dumps(envelope), headers=headers)


def _binary(event: Event, key: bytes | None, attributes: dict[str, str]) -> Outbound:
    if not isinstance(event, CameraEvent):
        return Outbound(key=key, value=_json(event), headers=_headers(attributes, JSON))
    if event.camera_id is not None:
        attributes["cameraid"] = event.camera_id
    return Outbound(
        key=key, value=event.image, headers=_headers(attributes, event.content_type or "")
    )


def _headers(attributes: dict[str, str], content_type: str) -> list[Header]:
    headers: list[Header] = []
    for name, value in attributes.items():
        headers += _trace(value) if name == "traceparent" else [(f"ce_{name}", value.encode())]
    headers.append(("content-type", content_type.encode()))
    return headers


def _trace(traceparent: str) -> list[Header]:
    """Both as CloudEvents and as tracing Kafka clients look for it."""
    value = traceparent.encode()
    return [("ce_traceparent", value), ("traceparent", value)]


def _json(event: Event) -> bytes:
    return orjson.dumps(_document(event))


def _document(event: Event) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(event)
    return {name: value for name, value in fields.items() if value is not None}


def _rfc3339(moment: datetime) -> str:
    text: str = msgspec.to_builtins(moment)
    return text
