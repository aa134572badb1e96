"""Records come back as they were sent, in order, whole and once."""

import asyncio
import os
import statistics
import time
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import MessageSizeTooLargeError, RequestTimedOutError
from aiokafka.protocol.produce import ProduceRequest

from streams.broker import RunningBroker
from streams.clients import open_producer
from streams.connection import Connection
from tests.conftest import TopicFactory
from tests.integration.broker.clients import Clients, read

pytestmark = [pytest.mark.broker, pytest.mark.timeout(90)]

MB = 1_000_000
CREATE_TIME, LOG_APPEND_TIME = 0, 1
MARCH_2024_MS = 1_710_000_000_123


async def sent_and_read(clients: Clients, topic: str, **fields: Any) -> ConsumerRecord:
    """Send one record and read it back."""
    producer = await clients.producer()
    sent = await producer.send_and_wait(topic, **fields)
    (record,) = await read(await clients.reader(topic), 1)
    assert (record.topic, record.partition, record.offset) == (topic, 0, sent.offset)
    return record


@pytest.mark.capability("round_trip")
async def test_a_record_comes_back_as_it_was_sent(clients: Clients, topic: str) -> None:
    """Key, value and headers keep their bytes; headers keep order, repetitions and null values."""
    headers = [("a", b"\x00\xff"), ("b", None), ("a", b""), ("\u00e9", b"accent")]
    record = await sent_and_read(clients, topic, key=b"k\x00", value=b"v\xff", headers=headers)
    assert (record.key, record.value) == (b"k\x00", b"v\xff")
    assert list(record.headers) == headers


@pytest.mark.capability("create_time")
async def test_the_timestamp_of_the_producer_is_kept(clients: Clients, topic: str) -> None:
    """Budgets run from it: to the millisecond, and however long ago."""
    record = await sent_and_read(clients, topic, value=b"old", timestamp_ms=MARCH_2024_MS)
    assert (record.timestamp, record.timestamp_type) == (MARCH_2024_MS, CREATE_TIME)


@pytest.mark.capability("log_append_time")
async def test_a_topic_can_have_the_timestamps_of_the_broker(
    clients: Clients, topic_factory: TopicFactory
) -> None:
    """With LogAppendTime the producer's clock plays no part."""
    topic = await topic_factory(message_timestamp_type="LogAppendTime")
    before = time.time_ns() // MB
    record = await sent_and_read(clients, topic, value=b"old", timestamp_ms=MARCH_2024_MS)
    assert record.timestamp_type == LOG_APPEND_TIME
    assert before - 1000 <= record.timestamp <= time.time_ns() // MB + 1000


@pytest.mark.capability("tombstones")
async def test_null_and_empty_values_are_told_apart(clients: Clients, topic: str) -> None:
    """A tombstone is not an empty value, and a missing key is not an empty one."""
    producer = await clients.producer()
    pairs = [(b"k", None), (b"k", b""), (None, b"v"), (b"", b"v")]
    for key, value in pairs:
        await producer.send_and_wait(topic, key=key, value=value)
    records = await read(await clients.reader(topic), len(pairs))
    assert [(record.key, record.value) for record in records] == pairs


@pytest.mark.parametrize(
    "codec",
    [
        pytest.param(name, marks=pytest.mark.capability(name))
        for name in ("gzip", "snappy", "lz4", "zstd")
    ],
)
async def test_compressed_records_are_taken_and_given(
    clients: Clients, topic_factory: TopicFactory, codec: str
) -> None:
    """Compressed by the producer, or by the broker for the topic: consumers read the same."""
    values = [b"%d " % number * 200 for number in range(50)]
    for by_producer, by_topic in ((codec, "producer"), (None, codec)):
        topic = await topic_factory(compression_type=by_topic)
        producer = await clients.producer(compression_type=by_producer, linger_ms=50)
        await asyncio.gather(*[await producer.send(topic, value) for value in values])
        records = await read(await clients.reader(topic), len(values))
        assert [record.value for record in records] == values


@pytest.mark.capability("idempotence")
async def test_a_batch_that_is_sent_again_is_stored_once(clients: Clients, topic: str) -> None:
    """The answer to the first attempt is lost; the retry is known by its sequence number."""
    producer = await clients.producer(enable_idempotence=True)
    await producer.send_and_wait(topic, b"before")
    really_send = producer.client.send
    attempts = 0

    async def losing_the_first_answer(node: int, request: Any, **options: Any) -> Any:
        nonlocal attempts
        answer = await really_send(node, request, **options)
        if isinstance(request, ProduceRequest):
            attempts += 1
            if attempts == 1:
                raise RequestTimedOutError
        return answer

    producer.client.send = losing_the_first_answer
    await producer.send_and_wait(topic, b"twice")
    await producer.send_and_wait(topic, b"after")
    assert attempts == 3
    records = await read(await clients.reader(topic), 4, within_s=2)
    assert [record.value for record in records] == [b"before", b"twice", b"after"]


@pytest.mark.capability("large_records")
async def test_records_may_be_as_large_as_their_topic_allows(
    clients: Clients, topic_factory: TopicFactory
) -> None:
    """A camera image of 15 MB, which no codec makes smaller, arrives whole."""
    topic = await topic_factory(max_message_bytes=str(16 * MB))
    image = os.urandom(15 * MB)
    record = await sent_and_read(clients, topic, value=image)
    assert record.value == image


@pytest.mark.capability("size_limit")
async def test_records_above_the_limit_of_their_topic_are_refused(
    clients: Clients, topic_factory: TopicFactory
) -> None:
    """The producer hears of it, and the next record goes through."""
    topic = await topic_factory(max_message_bytes=str(2 * MB))
    producer = await clients.producer()
    await producer.send_and_wait(topic, os.urandom(2 * MB - 1000))
    refused = False
    try:
        await producer.send_and_wait(topic, os.urandom(2 * MB + 1000))
    except MessageSizeTooLargeError:
        refused = True
    assert refused
    sent = await producer.send_and_wait(topic, b"small")
    assert sent.offset == 1


@pytest.mark.capability("size_limit")
async def test_a_producer_that_counts_goes_on_after_a_record_was_refused(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """In the same partition: the broker takes none but the next number."""
    topic = await topic_factory(max_message_bytes="50000")
    values = [b"a", os.urandom(100_000), b"b", b"c", os.urandom(100_000), b"d"]
    connection = Connection(broker.bootstrap_servers)
    async with open_producer(connection, max_request_size=MB) as producer:
        for each in (values, values[::-1]):
            sent = [await producer.send(topic, value) for value in each]
            ended = await asyncio.gather(*sent, return_exceptions=True)
            assert [isinstance(one, BaseException) for one in ended] == [
                len(value) > 1 for value in each
            ]


@pytest.mark.capability("order")
async def test_order_is_kept_while_many_batches_are_under_way(
    clients: Clients, topic_factory: TopicFactory
) -> None:
    """Two thousand records in small batches over two partitions arrive in the order of sending."""
    topic = await topic_factory(2)
    producer = await clients.producer(enable_idempotence=True, max_batch_size=500)
    for number in range(2000):
        await producer.send(topic, b"%06d" % number, partition=number % 2)
    await producer.flush()
    records = await read(await clients.consumer(topic), 2000)
    for partition in (0, 1):
        numbers = [int(record.value) for record in records if record.partition == partition]
        assert numbers == list(range(partition, 2000, 2))


@pytest.mark.capability("prompt_delivery")
async def test_a_waiting_consumer_gets_a_new_record_at_once(clients: Clients, topic: str) -> None:
    """Its fetch may wait for 5 s; a record ends the wait."""
    consumer = await clients.reader(topic, fetch_max_wait_ms=5000)
    producer = await clients.producer()
    await read(consumer, 1, within_s=0.5)
    delays = []
    for number in range(10):
        begun = time.monotonic()
        await producer.send_and_wait(topic, b"%d" % number)
        (record,) = await read(consumer, 1)
        delays.append(time.monotonic() - begun)
        assert record.value == b"%d" % number
    assert max(delays) < 2
    assert statistics.median(delays) < 0.25
