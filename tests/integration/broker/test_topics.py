"""Topics are created as asked, told apart, described and deleted."""

import asyncio
import uuid

import pytest
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidConfigurationError,
    KafkaError,
    TopicAlreadyExistsError,
    for_code,
)

from streams.broker import RunningBroker
from tests.conftest import TopicFactory
from tests.integration.broker.clients import Clients

pytestmark = [pytest.mark.broker, pytest.mark.timeout(60)]


def unused_name() -> str:
    """Return the name of a topic that does not exist."""
    return f"test.{uuid.uuid4().hex[:12]}"


@pytest.mark.capability("create_topics")
async def test_a_topic_has_the_partitions_and_settings_that_were_asked_for(
    clients: Clients, topic_factory: TopicFactory
) -> None:
    """Partitions, the size limit and the cleanup policy are as in the request."""
    topic = await topic_factory(7, max_message_bytes="3000000", cleanup_policy="compact")
    admin = await clients.admin()
    (described,) = await admin.describe_topics([topic])
    assert sorted(one["partition"] for one in described["partitions"]) == list(range(7))
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    settings = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    assert settings["max.message.bytes"] == "3000000"
    assert settings["cleanup.policy"] == "compact"


@pytest.mark.capability("topic_exists")
async def test_creating_a_topic_that_exists_is_told_as_such(clients: Clients, topic: str) -> None:
    """Of two workers that start at once, one creates the topics and the other carries on."""
    admin = await clients.admin()
    answer = await admin.create_topics([NewTopic(topic, 1, 1)])
    assert [for_code(error[1]) for error in answer.topic_errors] == [TopicAlreadyExistsError]


@pytest.mark.capability("invalid_settings")
async def test_a_setting_that_does_not_exist_is_refused(clients: Clients) -> None:
    """A misspelt setting must not look as if it were in force."""
    admin, name = await clients.admin(), unused_name()
    answer = await admin.create_topics(
        [NewTopic(name, 1, 1, topic_configs={"max.mesage.bytes": "1"})]
    )
    if answer.topic_errors[0][1] == 0:
        await admin.delete_topics([name])
    assert [for_code(error[1]) for error in answer.topic_errors] == [InvalidConfigurationError]


@pytest.mark.capability("list_topics")
async def test_topics_are_listed_and_described(
    clients: Clients, topic_factory: TopicFactory
) -> None:
    """A new topic is on the list, with a leader for each partition; an unknown one is an error."""
    topic = await topic_factory(3)
    admin = await clients.admin()
    assert topic in await admin.list_topics()
    (described,) = await admin.describe_topics([topic])
    assert described["error_code"] == 0
    cluster = await admin.describe_cluster()
    nodes = {node["node_id"] for node in cluster["brokers"]}
    assert {one["leader"] for one in described["partitions"]} <= nodes


@pytest.mark.capability("delete_topics")
async def test_a_deleted_topic_is_gone_with_its_records(clients: Clients) -> None:
    """A topic of the same name, created afterwards, is empty."""
    admin, producer, name = await clients.admin(), await clients.producer(), unused_name()
    await admin.create_topics([NewTopic(name, 1, 1)])
    await producer.send_and_wait(name, b"old")
    await admin.delete_topics([name])
    async with asyncio.timeout(20):  # other brokers, and what is cached, hear of it later
        while name in await admin.list_topics():  # noqa: ASYNC110 - no event is ours
            await asyncio.sleep(0.1)
    answer = await admin.create_topics([NewTopic(name, 1, 1)])
    assert answer.topic_errors[0][1] == 0
    try:
        fresh = await clients.producer()
        assert (await fresh.send_and_wait(name, b"new")).offset == 0
    finally:
        await admin.delete_topics([name])


@pytest.mark.capability("no_auto_create")
async def test_writing_to_a_topic_that_nobody_created_is_an_error(
    broker: RunningBroker, clients: Clients
) -> None:
    """A misspelt topic is heard of, and stays missing."""
    if not broker.is_ours:
        pytest.skip("a given broker is free to create topics by itself")
    producer, name = await clients.producer(request_timeout_ms=1500), unused_name()
    refused = False
    try:
        await producer.send_and_wait(name, b"lost")
    except KafkaError:
        refused = True
    admin = await clients.admin()
    assert name not in await admin.list_topics()
    assert refused
