"""Reads what the topics hold when all is over: every input record and every answer to one."""

from collections.abc import Iterable
from dataclasses import dataclass

from aiokafka import ConsumerRecord, TopicPartition

from schemas.kafka import decode_dead_letter, decode_result
from streams.clients import open_consumer
from streams.connection import Connection
from streams.consumed import to_record
from streams.demo.audit import records_until_end
from tests.faults.inputs import EXPECT


@dataclass(frozen=True, slots=True)
class Event:
    """An input record.

    Attributes:
        at_ms: Its Kafka timestamp; its budget runs from here.
        expect: How it has to end: ``result`` or a dead letter's error.
    """

    partition: int
    offset: int
    at_ms: int
    key: bytes | None
    expect: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A result or dead letter.

    Attributes:
        partition: Of the record that it answers, as is ``offset``.
        at_ms: When the broker appended it.
        ends: ``result``, or a dead letter's error.
        verdict: Of a result.
        budget_ms: Of a result.
        id: Of a result: equal for repetitions of the same one.
        place: Partition and offset of the answer itself.
    """

    partition: int
    offset: int
    at_ms: int
    ends: str
    verdict: str
    budget_ms: float
    id: str
    place: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Topics:
    """Names of what is read, and how many partitions each has."""

    events: str
    results: str
    letters: str
    partitions: int


async def read_events(servers: str, topics: Topics) -> list[Event]:
    """Read all input records."""
    return [
        Event(
            record.partition,
            record.offset,
            record.timestamp,
            record.key,
            _header(record, EXPECT) or "result",
        )
        for record in await _read(servers, topics.events, topics.partitions, "read_committed")
    ]


async def read_answers(servers: str, topics: Topics, isolation: str) -> list[Answer]:
    """Read all results and dead letters that a reader of this isolation level gets.

    Revisions are no answers of their own and left out.
    """
    answers = []
    for record in await _read(servers, topics.results, topics.partitions, isolation):
        result = decode_result(record.value)
        if result.revision == 0:
            answers.append(
                Answer(
                    result.source.partition,
                    result.source.offset,
                    record.timestamp,
                    "result",
                    result.verdict.value,
                    result.latency.budget_ms,
                    _header(record, "ce_id") or "",
                    (record.partition, record.offset),
                )
            )
    for record in await _read(servers, topics.letters, topics.partitions, isolation):
        letter = decode_dead_letter(to_record(record))
        source, place = letter.source, (record.partition, record.offset)
        answers.append(
            Answer(
                source.partition, source.offset, record.timestamp, letter.error, "", 0.0, "", place
            )
        )
    return answers


async def _read(servers: str, topic: str, partitions: int, isolation: str) -> list[ConsumerRecord]:
    since = {TopicPartition(topic, number): 0 for number in range(partitions)}
    async with open_consumer(Connection(servers, "faults"), isolation_level=isolation) as consumer:
        return [record async for record in records_until_end(consumer, since, topic)]


def _header(record: ConsumerRecord, name: str) -> str | None:
    headers: Iterable[tuple[str, bytes | None]] = record.headers
    for key, value in headers:
        if key == name and value is not None:
            return value.decode("utf-8", "replace")
    return None
