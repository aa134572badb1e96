"""A result with everything that it says: its record, read again when somebody asks for it."""

import asyncio
from collections.abc import Callable

import msgspec
from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from multidict import MultiMapping

from schemas.cloudevents import traceparent_of
from schemas.errors import BrokerError, ConfigurationError, ContractError, HeadraceError
from schemas.kafka import decode_result
from schemas.records import Record
from schemas.results import Classification
from streams.clients import open_consumer, undisturbed
from streams.connection import Connection
from streams.consumed import to_record
from streams.gateway.answers import come_again, refusal
from streams.security.access import explained
from streams.topics import partition_counts

PATH = "/v1/live/result"
MOST_AT_ONCE = 4
"""Records that are read at the same time; each takes a connection of its own."""
READ_MS = 5_000
LONGEST = 18
"""Digits of an offset."""
FIELDS = ("topic", "partition", "offset")


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """A result and the record that it was read from."""

    topic: str
    partition: int
    offset: int
    at_ms: int | None
    """The record's Kafka timestamp, in milliseconds since the epoch."""
    key: str | None
    traceparent: str | None
    result: Classification


class GoneError(HeadraceError):
    """A record that the broker does not have."""


class Receipts:
    """Answers with one result.

    Args:
        connection: How to reach the brokers.
        is_shown: Whether a topic is one of results that the page may show.
    """

    def __init__(self, connection: Connection, is_shown: Callable[[str], bool]) -> None:
        self._connection = connection
        self._is_shown = is_shown
        self._free = MOST_AT_ONCE

    async def serve(self, request: web.Request) -> web.Response:
        """Answer a request for a record of results."""
        if not self._free:
            return come_again(429, "limit", f"{MOST_AT_ONCE} results are being read; come again")
        self._free -= 1
        try:
            place, offset = asked(request.query)
            receipt = await undisturbed(self._read(place, offset))
        except ConfigurationError as error:
            return refusal(400, "request", str(error))
        except (GoneError, ContractError) as error:
            return refusal(404, "request", str(error))
        except HeadraceError as error:
            return come_again(503, "broker", str(error))
        finally:
            self._free += 1
        return web.Response(
            body=msgspec.json.encode(receipt),
            content_type="application/json",
            headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
        )

    async def _read(self, place: TopicPartition, offset: int) -> Receipt:
        if not self._is_shown(place.topic):
            raise GoneError(
                f"topic: {place.topic[:250]!r} is no topic of results that is shown here"
            )
        counts = await partition_counts(self._connection)
        if place.partition >= counts.get(place.topic, 0):
            raise GoneError(f"{place.topic}: has no partition {place.partition}")
        async with open_consumer(self._connection) as consumer:
            try:
                record = await record_at(consumer, place, offset)
            except (KafkaError, TimeoutError) as error:
                why = explained(error, doing="Read", on=place.topic) or repr(error)
                raise BrokerError(f"{place.topic}: could not be read: {why}") from error
        return receipt_of(record)


def asked(query: MultiMapping[str]) -> tuple[TopicPartition, int]:
    """Read which record is asked for: its partition and offset.

    Raises:
        ConfigurationError: A parameter is missing, or no number.
    """
    for name in FIELDS:
        if name not in query:
            raise ConfigurationError(f"{name}: is missing; give {', '.join(FIELDS)}")
    for name in FIELDS[1:]:
        value = query[name]
        if not (value.isascii() and value.isdigit() and len(value) <= LONGEST):
            raise ConfigurationError(f"{name}: {value[:100]!r} is no number; give 0 or more")
    return TopicPartition(query["topic"], int(query["partition"])), int(query["offset"])


async def record_at(consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> Record:
    """Read one record.

    Raises:
        GoneError: The topic keeps it no longer, or has nothing there.
        KafkaError: The broker refuses.
    """
    consumer.assign([place])
    first = (await consumer.beginning_offsets([place]))[place]
    end = (await consumer.end_offsets([place]))[place]
    if not first <= offset < end:
        raise GoneError(
            f"offset: {place.topic} has no longer, or not yet, a record at {offset} of partition "
            f"{place.partition}; it keeps {first} to {end - 1}"
        )
    consumer.seek(place, offset)
    async with asyncio.timeout(READ_MS / 1e3):
        consumed = await consumer.getone(place)
    if consumed.offset != offset:
        raise GoneError(f"offset: {place.topic} has no record at {offset}")
    return to_record(consumed)


def receipt_of(record: Record) -> Receipt:
    """Put a record's result beside where it is from.

    Raises:
        ContractError: It is no result.
    """
    return Receipt(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at_ms=record.timestamp_ms,
        key=None if record.key is None else record.key.decode(errors="replace"),
        traceparent=traceparent_of(record),
        result=decode_result(record.value or b""),
    )
