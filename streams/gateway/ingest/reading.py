"""From a request to records: one event, or many, each checked as the worker is going to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from schemas.cloudevents import STRUCTURED
from schemas.errors import ContractError, OversizedError, UndecodableError, shown
from schemas.events import Modality
from schemas.kafka import Header, Outbound, Record, decode_event
from schemas.limits import DEFAULT_LIMITS
from schemas.payload import JSON

BATCHED = "application/cloudevents-batch+json"
NDJSON = "application/x-ndjson"
PARTITION_KEY = "partitionkey"
"""CloudEvents' own extension for the key of a record."""
_PASSED_ON = frozenset({"content-type", "traceparent", "tracestate"})
_HEADER_NAME = re.compile(r"\bce_(?=[a-z0-9])")


@dataclass(frozen=True, slots=True)
class Taken:
    """An event that is accepted.

    Attributes:
        event_id: Its own.
        record: What is sent.
    """

    event_id: str
    record: Outbound

    @property
    def size(self) -> int:
        """How many bytes it holds."""
        return len(self.record.value or b"")


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that is not accepted.

    Attributes:
        index: Its place in the request, from 0.
        error: What is wrong; names the field.
    """

    index: int
    error: ContractError

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"index": self.index, "field": field_of(self.error), "error": told(self.error)}


def read_one(
    topic: str,
    modality: Modality,
    headers: Mapping[str, str],
    body: bytes,
    *,
    key: str | None,
    now_ms: int,
) -> Taken:
    """Read a request of one event: JSON, an image, or a CloudEvent in either mode.

    Args:
        topic: Where it goes.
        modality: What the topic carries.
        headers: Of the request.
        body: Of the request.
        key: Of the record, if the request says one.
        now_ms: Wall clock, in milliseconds since the epoch.

    Raises:
        ContractError: The worker would not accept it.
    """
    kept = _headers(headers)
    value = body or None
    chosen = key if key is not None else _partition_key(headers, body)
    outbound = Outbound(key=_encoded(chosen), value=value, headers=kept)
    return _checked(topic, modality, outbound, now_ms)


def read_many(
    topic: str,
    modality: Modality,
    content_type: str,
    body: bytes,
    *,
    key: str | None,
    most: int,
    now_ms: int,
) -> tuple[list[Taken], list[Refused]]:
    """Read a request of many events: a JSON array, or a line for each.

    Args:
        topic: Where they go.
        modality: What the topic carries.
        content_type: Of the request.
        body: Of the request.
        key: Of all records, if the request says one.
        most: How many there may be.
        now_ms: Wall clock, in milliseconds since the epoch.

    Raises:
        ContractError: The request as a whole is none.
    """
    items = _items(content_type.partition(";")[0].strip().lower(), body)
    if not items:
        raise UndecodableError("value: holds no event; send at least one", field="value")
    if len(items) > most:
        raise OversizedError(
            f"value: {len(items):,} events; send at most {most:,} in one request", field="value"
        )
    taken: list[Taken] = []
    refused: list[Refused] = []
    for index, item in enumerate(items):
        try:
            taken.append(_checked(topic, modality, _outbound(item, key), now_ms))
        except ContractError as error:
            refused.append(Refused(index, error))
    return taken, refused


def told(error: ContractError) -> str:
    """Return an error's message with the names that HTTP has for headers."""
    return _HEADER_NAME.sub("ce-", str(error))


def field_of(error: ContractError) -> str | None:
    """Return an error's field with the name that HTTP has for it."""
    return None if error.field is None else _HEADER_NAME.sub("ce-", error.field)


def _checked(topic: str, modality: Modality, outbound: Outbound, now_ms: int) -> Taken:
    record = Record(topic=topic, value=outbound.value, headers=outbound.headers)
    inbound = decode_event(record, modality, now_ms=now_ms)
    return Taken(inbound.event.id, outbound)


def _headers(headers: Mapping[str, str]) -> list[Header]:
    """Return what of a request's headers travels on, as Kafka's binding of CloudEvents has it."""
    kept: list[Header] = []
    for given, text in headers.items():
        name = given.lower()
        if name.startswith("ce-"):
            # The HTTP binding writes what is not ASCII in percent signs.
            kept.append((f"ce_{name[3:]}", unquote_to_bytes(_raw(text.strip('"')))))
        elif name in _PASSED_ON:
            kept.append((name, _raw(text)))
    return kept


def _raw(text: str) -> bytes:
    """Return a header's bytes: what of them is no UTF-8, aiohttp keeps as surrogates."""
    return text.encode("utf-8", "surrogateescape")


def _partition_key(headers: Mapping[str, str], body: bytes) -> str | None:
    if (named := headers.get(f"ce-{PARTITION_KEY}")) is not None:
        return unquote_to_bytes(_raw(named)).decode("utf-8", "surrogateescape")
    if not headers.get("content-type", "").lower().startswith(STRUCTURED):
        return None
    try:
        return _key_of(orjson.loads(body))
    except orjson.JSONDecodeError:
        return None  # the check of the event is going to say so


def _key_of(document: Any) -> str | None:
    key = document.get(PARTITION_KEY) if isinstance(document, dict) else None
    return key if isinstance(key, str) else None


def _encoded(key: str | None) -> bytes | None:
    return None if key is None else key.encode("utf-8", "surrogateescape")


def _items(media: str, body: bytes) -> list[Any]:
    if media == NDJSON:
        return [line for line in body.splitlines() if line.strip()]
    if media not in (JSON, BATCHED):
        raise UndecodableError(
            f"content-type: {shown(media)} is not accepted for many events; send {JSON}, "
            f"{BATCHED} or {NDJSON}",
            field="content-type",
        )
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UndecodableError(
            f"value: {shown(body)} is not JSON: {error.msg}; send an array of events",
            field="value",
        ) from None
    if not isinstance(found, list):
        raise UndecodableError(f"value: is {shown(found)}; send an array of events", field="value")
    return found


def _outbound(item: Any, key: str | None) -> Outbound:
    """Return the record of an item; whether it is structured shows in itself."""
    if isinstance(item, bytes):
        try:
            document = orjson.loads(item)
        except orjson.JSONDecodeError:
            document = None
        value = item
    else:
        document = item
        try:
            value = orjson.dumps(item)
        except orjson.JSONEncodeError:
            raise OversizedError(
                "value: arrays and objects are nested more than "
                f"{DEFAULT_LIMITS.json_depth} deep; send a flatter document",
                field="value",
            ) from None
    is_structured = isinstance(document, dict) and "specversion" in document
    media = STRUCTURED if is_structured else JSON
    chosen = key if key is not None else _key_of(document)
    return Outbound(key=_encoded(chosen), value=value, headers=[("content-type", media.encode())])
