"""Reads a dead letter topic from its beginning to what is its end now."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import BrokerError, ConfigurationError
from schemas.kafka import Record
from streams.clients import open_consumer
from streams.connection import Connection
from streams.consumed import to_record
from streams.dead_letters.letters import Found
from streams.dead_letters.marks import Marks, marks_topic
from streams.topics import TopicKind, dead_letter_topic, kind_of, partition_counts

POLL_MS = 500


async def find_letter_topic(connection: Connection, topic: str) -> dict[str, int]:
    """Return the partitions of every topic, once it is certain that ``topic`` may hold letters.

    Raises:
        ConfigurationError: There is no such topic, or it is one of events or results.
        BrokerError: The broker cannot be reached.
    """
    counts = await partition_counts(connection)
    letters = dead_letter_topic(topic)
    if kind_of(topic) in (TopicKind.EVENTS, TopicKind.RESULTS) and letters in counts:
        raise ConfigurationError(
            f"TOPIC: {topic!r} holds no dead letters; those of its events are in {letters}"
        )
    if topic not in counts:
        raise ConfigurationError(
            f"TOPIC: {topic!r} does not exist on {connection.bootstrap_servers}; "
            "`headrace topics list --all` shows those that do"
        )
    return counts


async def read_letters(
    connection: Connection, topic: str, counts: dict[str, int]
) -> AsyncGenerator[Found]:
    """Yield what a topic holds now, partition by partition in turn, each in order.

    Args:
        connection: How to reach the broker.
        topic: Of the letters.
        counts: Partitions of every topic.

    Raises:
        BrokerError: The broker went away in the middle.
    """
    marks = await read_marks(connection, topic, counts)
    async with reading(topic):
        async for record in _records(connection, topic, counts[topic]):
            yield Found(record, redriven=marks.has(record))


async def read_letter(
    connection: Connection, topic: str, counts: dict[str, int], partition: int, offset: int
) -> Found | None:
    """Return the letter at a position, if there is one."""
    if partition >= counts[topic]:
        return None
    marks = await read_marks(connection, topic, counts)
    async with reading(topic), open_consumer(connection) as consumer:
        place = TopicPartition(topic, partition)
        consumer.assign([place])
        begin = (await consumer.beginning_offsets([place]))[place]
        end = (await consumer.end_offsets([place]))[place]
        if not begin <= offset < end:
            return None
        consumer.seek(place, offset)
        while await consumer.position(place) < end:
            for one in (await consumer.getmany(place, timeout_ms=POLL_MS)).get(place, ()):
                if one.offset > offset:
                    return None
                record = to_record(one)
                return Found(record, redriven=marks.has(record))
    return None


async def read_marks(connection: Connection, topic: str, counts: dict[str, int]) -> Marks:
    """Return which letters of a topic were sent in again.

    Raises:
        BrokerError: The broker went away in the middle.
    """
    marks, name = Marks(), marks_topic(topic)
    if name in counts:
        async with reading(name):
            async for record in _records(connection, name, counts[name]):
                marks.note(record)
    return marks


@asynccontextmanager
async def reading(topic: str) -> AsyncIterator[None]:
    """Put into words what a client says when its broker goes away."""
    try:
        yield
    except KafkaError as error:
        raise BrokerError(f"TOPIC: {topic!r} cannot be read on: {error!r}") from error


async def _records(connection: Connection, topic: str, partitions: int) -> AsyncIterator[Record]:
    async with open_consumer(connection) as consumer:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(places)
        begins = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        left = {place for place in places if begins[place] < ends[place]}
        for place in places:
            consumer.seek(place, begins[place])
        consumer.pause(*(set(places) - left))
        while left:
            for place, batch in (await consumer.getmany(timeout_ms=POLL_MS)).items():
                for one in batch:
                    if one.offset < ends[place]:
                        yield to_record(one)
            left -= await _read_to_end(consumer, left, ends)


async def _read_to_end(
    consumer: AIOKafkaConsumer, left: set[TopicPartition], ends: dict[TopicPartition, int]
) -> set[TopicPartition]:
    done = {place for place in left if await consumer.position(place) >= ends[place]}
    consumer.pause(*done)
    return done
