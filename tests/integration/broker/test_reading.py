"""Offsets are found, and fetches wait, end and are limited as they ask for."""

import asyncio
import os
import time
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from aiokafka.protocol.fetch import FetchRequest

from tests.conftest import TopicFactory
from tests.integration.broker.clients import Clients, read

pytestmark = [pytest.mark.broker, pytest.mark.timeout(60)]

KB = 1000
FIRST_MS = 1_710_000_000_000


async def filled(clients: Clients, topic: str, count: int, size: int = 1) -> None:
    """Write records of their own batch each; their timestamps are a second apart."""
    producer = await clients.producer()
    for number in range(count):
        value = b"%d" % number if size == 1 else os.urandom(size)
        await producer.send_and_wait(
            topic, value, partition=0, timestamp_ms=FIRST_MS + 1000 * number
        )


@pytest.mark.capability("offsets_by_time")
async def test_offsets_are_found_by_time(clients: Clients, topic: str) -> None:
    """The first record at or after a time; none where the time is after the last."""
    await filled(clients, topic, 5)
    consumer, partition = await clients.reader(topic), TopicPartition(topic, 0)
    for after_ms, offset in ((-5000, 0), (0, 0), (1, 1), (2000, 2), (4000, 4)):
        found = await consumer.offsets_for_times({partition: FIRST_MS + after_ms})
        assert found[partition].offset == offset
    found = await consumer.offsets_for_times({partition: FIRST_MS + 4001})
    assert found[partition] is None


@pytest.mark.capability("beginning_and_end")
async def test_beginning_and_end_are_told(clients: Clients, topic_factory: TopicFactory) -> None:
    """The end is the offset of the next record; an empty partition begins where it ends."""
    topic = await topic_factory(2)
    await filled(clients, topic, 3)
    consumer = await clients.consumer()
    full, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)
    assert await consumer.beginning_offsets([full, empty]) == {full: 0, empty: 0}
    assert await consumer.end_offsets([full, empty]) == {full: 3, empty: 0}


@pytest.mark.capability("offset_reset")
async def test_reading_starts_where_the_reset_policy_says(clients: Clients, topic: str) -> None:
    """Without a committed offset: at the first record, after the last, or not at all."""
    await filled(clients, topic, 3)
    partition = TopicPartition(topic, 0)
    group = f"group-{topic}"
    earliest = await clients.reader(topic, group_id=group, auto_offset_reset="earliest")
    assert await earliest.position(partition) == 0
    latest = await clients.reader(topic, group_id=group, auto_offset_reset="latest")
    assert await latest.position(partition) == 3
    nowhere = await clients.reader(topic, group_id=group, auto_offset_reset="none")
    with pytest.raises(NoOffsetForPartitionError):
        await nowhere.getmany(timeout_ms=5000)


@pytest.mark.capability("offset_out_of_range")
async def test_an_offset_that_does_not_exist_is_told_as_such(clients: Clients, topic: str) -> None:
    """Whoever was away for longer than the retention hears of it, or starts anew."""
    await filled(clients, topic, 3)
    partition = TopicPartition(topic, 0)
    strict = await clients.reader(topic, auto_offset_reset="none")
    strict.seek(partition, 1000)
    told = False
    try:
        await strict.getmany(timeout_ms=5000)
    except OffsetOutOfRangeError:
        told = True
    assert told
    lenient = await clients.reader(topic, auto_offset_reset="earliest")
    lenient.seek(partition, 1000)
    assert [record.value for record in await read(lenient, 3)] == [b"0", b"1", b"2"]


@pytest.mark.capability("fetch_waits")
async def test_an_empty_fetch_waits(clients: Clients, topic: str) -> None:
    """At the end of a partition a consumer asks about twice a second, as it was told to."""
    consumer = await clients.reader(topic, fetch_max_wait_ms=500)
    asked = counting_fetches(consumer)
    await read(consumer, 1, within_s=2)
    assert 1 <= len(asked) <= 8, f"{len(asked)} fetches in 2 s"


def counting_fetches(consumer: AIOKafkaConsumer) -> list[float]:
    """Return a list that grows by a time with each fetch that the consumer sends."""
    really_send, asked = consumer._client.send, []

    async def send(node: int, request: Any, **options: Any) -> Any:
        if isinstance(request, FetchRequest):
            asked.append(time.monotonic())
        return await really_send(node, request, **options)

    consumer._client.send = send
    return asked


@pytest.mark.capability("fetch_limits")
@pytest.mark.parametrize(
    "limit", [{"max_partition_fetch_bytes": 250 * KB}, {"fetch_max_bytes": 250 * KB}], ids=str
)
async def test_a_fetch_brings_no_more_than_its_limits_allow(
    clients: Clients, topic: str, limit: dict[str, int]
) -> None:
    """Of two megabytes in records of 100 kB, a consumer gets what fits into 250 kB at a time."""
    await filled(clients, topic, 20, size=100 * KB)
    consumer = await clients.reader(topic, **limit)
    for _ in range(3):
        count = len(await read(consumer, 1))
        assert 1 <= count <= 3, f"{count} records of 100 kB"


@pytest.mark.capability("fetch_progress")
async def test_a_record_larger_than_the_limits_is_still_delivered(
    clients: Clients, topic: str
) -> None:
    """A limit that is too small makes reading slow; it must not make it stand still."""
    await filled(clients, topic, 3, size=300 * KB)
    consumer = await clients.reader(
        topic, max_partition_fetch_bytes=10 * KB, fetch_max_bytes=10 * KB
    )
    assert [record.offset for record in await read(consumer, 3)] == [0, 1, 2]


@pytest.mark.capability("pause")
async def test_a_paused_partition_waits(clients: Clients, topic_factory: TopicFactory) -> None:
    """The other partition goes on; afterwards all is there, in order."""
    topic = await topic_factory(2)
    paused, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    consumer, producer = await clients.consumer(), await clients.producer()
    consumer.assign([paused, other])
    consumer.pause(paused)
    for number in range(10):
        await producer.send_and_wait(topic, b"%d" % number, partition=number % 2)
    records = await read(consumer, 6, within_s=1)
    assert [record.value for record in records] == [b"1", b"3", b"5", b"7", b"9"]
    consumer.resume(paused)
    await asyncio.sleep(0)
    records = await read(consumer, 5)
    assert [record.value for record in records] == [b"0", b"2", b"4", b"6", b"8"]
