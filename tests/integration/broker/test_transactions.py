"""Transactions: all or nothing, for readers that ask for committed records only."""

import asyncio
import time
import uuid

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced

from streams.broker import RunningBroker
from tests.integration.broker.clients import Clients, read

pytestmark = [pytest.mark.broker, pytest.mark.timeout(90)]

READ_COMMITTED = {"isolation_level": "read_committed", "fetch_max_wait_ms": 100}


SETTLE_S = 10.0
"""How long the markers of a transaction may take."""


async def transactional(clients: Clients, name: str | None = None, **options: int):
    """Start a producer of transactions."""
    return await clients.producer(
        transactional_id=name or f"test-{uuid.uuid4().hex[:8]}", **options
    )


async def write(producer: AIOKafkaProducer, topic: str, *values: bytes) -> None:
    """Write records and wait for their acknowledgements."""
    for value in values:
        await producer.send_and_wait(topic, value)


@pytest.mark.capability("transaction_commit")
async def test_a_transaction_is_seen_once_it_is_committed(clients: Clients, topic: str) -> None:
    """Not before, although its records are acknowledged; who reads all sees them at once."""
    producer = await transactional(clients)
    committed_only = await clients.reader(topic, **READ_COMMITTED)
    everything = await clients.reader(topic)
    async with producer.transaction():
        await write(producer, topic, b"1", b"2")
        assert len(await read(everything, 2)) == 2
        assert await read(committed_only, 1, within_s=0.5) == []
    assert [record.value for record in await read(committed_only, 2)] == [b"1", b"2"]


@pytest.mark.capability("transaction_abort")
async def test_an_aborted_transaction_is_never_seen(clients: Clients, topic: str) -> None:
    """A reader that starts afterwards gets what is around it."""
    producer = await transactional(clients)
    for value, commits in ((b"before", True), (b"aborted", False), (b"after", True)):
        await producer.begin_transaction()
        await write(producer, topic, value)
        await (producer.commit_transaction() if commits else producer.abort_transaction())
    reader = await clients.reader(topic, **READ_COMMITTED)
    records = await read(reader, 3, within_s=1.5)
    assert [record.value for record in records] == [b"before", b"after"]


@pytest.mark.capability("commit_after_abort")
async def test_a_reader_sees_a_commit_that_follows_an_aborted_transaction(
    clients: Clients, topic: str
) -> None:
    """It has read up to the end already when the transaction is aborted; it goes on."""
    producer = await transactional(clients)
    reader = await clients.reader(topic, **READ_COMMITTED)
    async with producer.transaction():
        await write(producer, topic, b"before")
    assert [record.value for record in await read(reader, 1)] == [b"before"]
    await producer.begin_transaction()
    await write(producer, topic, b"aborted")
    assert await read(reader, 1, within_s=0.5) == []
    await producer.abort_transaction()
    async with producer.transaction():
        await write(producer, topic, b"after")
    assert [record.value for record in await read(reader, 1, within_s=5)] == [b"after"]


@pytest.mark.capability("transactional_offsets")
async def test_offsets_are_committed_with_the_transaction(clients: Clients, topic: str) -> None:
    """Those of an aborted transaction are forgotten, those of a committed one count."""
    producer, group = await transactional(clients), f"group-{topic}"
    partition = TopicPartition(topic, 0)
    for offset, commits in ((9, False), (5, True)):
        await producer.begin_transaction()
        await write(producer, topic, b"result")
        await producer.send_offsets_to_transaction({partition: offset}, group)
        await (producer.commit_transaction() if commits else producer.abort_transaction())
    looking = await clients.consumer(group_id=group)
    give_up = time.monotonic() + SETTLE_S
    # The end of a transaction is acknowledged before its markers have reached every partition.
    while (committed := await looking.committed(partition)) is None:
        assert time.monotonic() < give_up
        await asyncio.sleep(0.02)
    assert committed == 5


@pytest.mark.capability("fencing")
async def test_a_second_producer_of_the_same_id_fences_the_first(
    clients: Clients, topic: str
) -> None:
    """Of two workers that both believe to own a partition, only the newer one can commit."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    zombie = await transactional(clients, name)
    await zombie.begin_transaction()
    await write(zombie, topic, b"zombie")
    successor = await transactional(clients, name)
    async with successor.transaction():
        await write(successor, topic, b"successor")
    fenced = False
    try:
        await zombie.commit_transaction()
    except ProducerFenced:
        fenced = True
    reader = await clients.reader(topic, **READ_COMMITTED)
    records = await read(reader, 2, within_s=1.5)
    assert [record.value for record in records] == [b"successor"]
    assert fenced


@pytest.mark.capability("transaction_timeout")
async def test_a_forgotten_transaction_is_aborted(
    broker: RunningBroker, clients: Clients, topic: str
) -> None:
    """Records after it become visible although its producer neither commits nor ends."""
    forgetful = await transactional(clients, transaction_timeout_ms=1000)
    await forgetful.begin_transaction()
    await write(forgetful, topic, b"forgotten")
    plain = await clients.producer()
    await write(plain, topic, b"waiting")
    reader, begun = await clients.reader(topic, **READ_COMMITTED), time.monotonic()
    # A broker looks for forgotten transactions every 10 s, ours every second.
    records = await read(reader, 1, within_s=6 if broker.is_ours else 20)
    assert [record.value for record in records] == [b"waiting"]
    assert time.monotonic() - begun > 0.2
    with pytest.raises(KafkaError):
        await forgetful.commit_transaction()
