"""What was acknowledged survives kill -9 of the broker."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.broker import RunningBroker, open_broker
from tests.integration.broker.clients import Clients, read

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]

TOPIC, GROUP = "durable", "durable-group"
VALUES = [b"%d" % number for number in range(200)]


@dataclass(frozen=True)
class Found:
    """What a broker holds after kill -9 and a new start.

    Attributes:
        topics: By name.
        limit: The topic's ``max.message.bytes``.
        values: Of its records.
        committed: The group's offset.
    """

    topics: list[str]
    limit: str | None
    values: list[bytes]
    committed: int | None


@pytest.fixture(scope="module")
def found(broker: RunningBroker) -> Iterator[Found]:
    """Fill a broker of our own, kill it at once, start it again and look."""
    if not broker.is_ours:
        pytest.skip("a given broker is not ours to kill")
    with asyncio.Runner() as runner:
        yield runner.run(killed_and_found(broker.provider))


async def killed_and_found(provider: str) -> Found:
    """Write, be acknowledged, kill, start again, read."""
    async with open_broker(provider) as own:
        async with Clients(own.bootstrap_servers) as clients:
            await fill(clients)
            await own.kill()
        await own.restart()
        async with Clients(own.bootstrap_servers) as clients:
            return await look(clients)


async def fill(clients: Clients) -> None:
    """Create a topic, write records and commit an offset; return when all is acknowledged."""
    admin, producer = await clients.admin(), await clients.producer(enable_idempotence=True)
    settings = {"max.message.bytes": "3000000"}
    await admin.create_topics([NewTopic(TOPIC, 1, 1, topic_configs=settings)])
    consumer = await clients.reader(TOPIC, group_id=GROUP)
    await asyncio.gather(*[await producer.send(TOPIC, value) for value in VALUES])
    await consumer.commit({TopicPartition(TOPIC, 0): 77})


async def look(clients: Clients) -> Found:
    """Ask for all that was written."""
    admin = await clients.admin()
    topics = await admin.list_topics()
    if TOPIC not in topics:
        return Found(topics, None, [], None)
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC)])
    settings = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    records = await read(await clients.reader(TOPIC), len(VALUES), within_s=5)
    consumer = await clients.consumer(group_id=GROUP)
    return Found(
        topics=topics,
        limit=settings["max.message.bytes"],
        values=[record.value for record in records],
        committed=await consumer.committed(TopicPartition(TOPIC, 0)),
    )


@pytest.mark.capability("durable_records")
def test_acknowledged_records_survive(found: Found) -> None:
    """All of them, in the order in which they were sent."""
    assert found.values == VALUES


@pytest.mark.capability("durable_topics")
def test_topics_survive_with_their_settings(found: Found) -> None:
    """A size limit that is forgotten would refuse records later on."""
    assert TOPIC in found.topics
    assert found.limit == "3000000"


@pytest.mark.capability("durable_offsets")
def test_committed_offsets_survive(found: Found) -> None:
    """The group goes on where it was."""
    assert found.committed == 77
