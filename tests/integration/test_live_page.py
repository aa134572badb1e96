"""The live page's stream over real HTTP, from real topics and groups."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewTopic

from streams.broker import RunningBroker
from streams.broker.ports import free_ports
from streams.clients import open_admin, open_consumer
from streams.connection import Connection
from streams.gateway.page.reading import bounded_start
from streams.gateway.page.rows import RowFilter
from streams.gateway.page.settings import PageSettings
from streams.gateway.page.watching import Looker, Watch
from streams.gateway.server import Gateway, serve
from streams.gateway.settings import GatewaySettings
from streams.gateway.tokens import Tokens
from streams.topics import ensure_topics, until_led
from tests.conftest import BrokerFactory, TopicFactory
from tests.integration.published import publish, result

pytestmark = pytest.mark.broker


@asynccontextmanager
async def gateway(servers: str, *topics: str, **page: Any) -> AsyncIterator[str]:
    """Serve these topics on a free port; yield where the stream is."""
    told = GatewaySettings(port=0, topics=topics, page=PageSettings(**page))
    async with gateway_of(Connection(servers), told) as url:
        yield url


@asynccontextmanager
async def gateway_of(
    connection: Connection, told: GatewaySettings | None = None
) -> AsyncIterator[str]:
    """Serve as told; yield where the stream is."""
    told = told or GatewaySettings(port=0)
    runner, port = await serve(Gateway(connection, told, Tokens([])), told.host, told.port)
    try:
        yield f"http://127.0.0.1:{port}/v1/live"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def looking(url: str, **query: str) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
    """Look; yield the names and data of what is sent."""
    timeout = aiohttp.ClientTimeout(sock_read=20)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, params=query) as response,
    ):
        assert response.status == 200, await response.text()
        yield _events(response)


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    name = ""
    async for line in response.content:
        if line.startswith(b"event: "):
            name = line[7:].decode().strip()
        elif line.startswith(b"data: "):
            yield name, orjson.loads(line[6:])


async def until(events: AsyncIterator[tuple[str, Any]], wanted: str, *, holds: Any) -> Any:
    """Return the data of the next event of a name that is as it should be."""
    async with asyncio.timeout(30):
        async for name, data in events:
            if name == wanted and holds(data):
                return data
    raise AssertionError(f"the stream ended without {wanted}")


def ids(data: dict[str, Any]) -> list[str]:
    """Return the ids of an event's rows."""
    return [row["id"] for row in data["rows"]]


async def test_what_came_before_and_what_comes_is_shown_once(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Repetitions are none; who looks later finds what was read for others."""
    servers, topic = broker.bootstrap_servers, await topic_factory(2, name="results.page")
    await publish(servers, topic, result(1, event_id="n-1"), result(1, event_id="n-1"))
    async with gateway(servers, topic) as url:
        async with looking(url) as events:
            found = await until(events, "rows", holds=ids)
            assert ids(found) == ["n-1"]
            await publish(servers, topic, result(2, event_id="n-2"))
            assert ids(await until(events, "rows", holds=ids)) == ["n-2"]
            totals = await until(events, "totals", holds=lambda data: sum(data["verdicts"][0]) == 2)
            assert totals["problem"] is None
            assert totals["modalities"]["news"]["budget_ms"] == 150
        async with looking(url) as events:
            whole = await until(events, "rows", holds=lambda data: data.get("whole"))
            assert ids(whole) == ["n-1", "n-2"]


async def test_filters_find_the_rare_one_among_thousands(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Without one the newest are shown, and it is told how many were passed over."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.page")
    async with gateway(servers, topic) as url, looking(url) as every:
        await until(every, "totals", holds=lambda data: data["reading"])
        async with looking(url, text="needle") as some:
            hay = [result(number, event_id=f"n-{number}") for number in range(3_000)]
            hay[1_500] = result(1_500, event_id="needle")
            await publish(servers, topic, *hay)
            assert ids(await until(some, "rows", holds=ids)) == ["needle"]
            shown, passed_over = 0, 0
            while shown + passed_over < len(hay):
                data = await until(every, "rows", holds=ids)
                assert len(data["rows"]) <= 50
                shown, passed_over = shown + len(data["rows"]), passed_over + data["passed_over"]
            assert (shown + passed_over, passed_over > 0) == (len(hay), True)


async def test_topics_that_are_made_later_are_found(broker: RunningBroker) -> None:
    """Until then it is told that nothing is read, and the page says what to do."""
    servers, later = broker.bootstrap_servers, f"results.page.{uuid.uuid4().hex}"
    async with (
        open_admin(Connection(servers)) as admin,
        gateway(servers, later) as url,
        looking(url) as events,
    ):
        ready = await until(events, "totals", holds=lambda data: data["is_ready"])
        assert (ready["reading"], ready["problem"]) == ([], None)
        await admin.create_topics([NewTopic(later, 1, 1)])
        try:
            await until_led(admin, [later])
            await publish(servers, later, result(1, event_id="n-1"))
            assert ids(await until(events, "rows", holds=ids)) == ["n-1"]
        finally:
            await admin.delete_topics([later])


async def test_members_partitions_and_lag_are_those_of_the_broker(
    real_kafka: RunningBroker, topic_factory: TopicFactory
) -> None:
    """And how long a commit has stood still while there is more to read."""
    servers, topic = real_kafka.bootstrap_servers, await topic_factory(name="results.page")
    await publish(servers, topic, *(result(number) for number in range(5)))
    group, partition = f"group-of-{topic}", TopicPartition(topic, 0)
    async with open_consumer(Connection(servers), group_id=group) as member:
        member.subscribe([topic])
        await _assigned(member)
        await member.commit({partition: 3})
        # Other tests' groups fill the table of all; an answer about two is another than about one.
        groups = (group, f"{group}-too")
        async with gateway(servers, topic, groups=groups) as url, looking(url) as events:
            data = await until(
                events, "groups", holds=lambda data: _position(data, group)["lag"] == 2
            )
            place = _position(data, group)
            assert (place["topic"], place["committed"], place["end"]) == (topic, 3, 5)
            (owner,) = (one for one in data["members"] if one["group"] == group)
            assert (owner["partitions"], owner["lag"]) == ({topic: [0]}, 2)
            assert place["member"] == owner["id"]
            await until(events, "groups", holds=lambda data: _position(data, group)["still_s"] > 1)
            await member.commit({partition: 5})
            data = await until(
                events, "groups", holds=lambda data: _position(data, group)["lag"] == 0
            )
            assert _position(data, group)["still_s"] is None


async def _assigned(member: AIOKafkaConsumer) -> None:
    async with asyncio.timeout(30):
        while not member.assignment():
            await member.getmany(timeout_ms=100)


def _position(data: dict[str, Any], group: str) -> dict[str, Any]:
    found = [one for one in data["positions"] if one["group"] == group]
    return found[0] if found else {"lag": None, "still_s": 0}


async def test_a_broker_that_is_not_there_yet_is_waited_for(
    kafka_factory: BrokerFactory,
) -> None:
    """The stream says meanwhile what is wrong; what comes later is shown."""
    (port,) = free_ports(1)
    servers, topic = f"127.0.0.1:{port}", "results.page"
    async with gateway(servers, topic) as url, looking(url) as events:
        gone = await until(events, "totals", holds=lambda data: data["problem"])
        assert f"no broker answers at {servers}" in gone["problem"]
        async with kafka_factory(port=port):
            await ensure_topics(Connection(servers), [topic], partitions=1)
            await publish(servers, topic, result(1, event_id="n-1"))
            assert ids(await until(events, "rows", holds=ids)) == ["n-1"]
            await until(events, "totals", holds=lambda data: data["problem"] is None)


async def test_more_than_may_look_are_told_to_come_back(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """And who asks for what there is not, what there is."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.page")
    async with (
        gateway(servers, topic, max_viewers=1) as url,
        aiohttp.ClientSession() as session,
    ):
        async with session.get(url, params={"verdict": "soon"}) as response:
            assert response.status == 400
            assert "choose on_time, late" in await response.text()
        async with looking(url) as events:
            await anext(events)
            async with session.get(url) as response:
                assert response.status == 429
                assert "max_viewers: 1" in await response.text()


async def test_a_page_that_is_switched_off_is_not_there(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Neither its files nor its stream."""
    topic = await topic_factory(name="results.page")
    async with (
        gateway(broker.bootstrap_servers, topic, enabled=False) as url,
        aiohttp.ClientSession() as session,
    ):
        for path in (url, url.removesuffix("v1/live")):
            async with session.get(path) as response:
                assert response.status == 404


async def test_reading_back_is_bounded(broker: RunningBroker, topic_factory: TopicFactory) -> None:
    """Of too many records only the newest are read, as far as they came evenly."""
    servers, topic = broker.bootstrap_servers, await topic_factory(2, name="results.page")
    await publish(servers, topic, *(result(number) for number in range(200)))
    now = datetime.now(UTC)
    hour_ago = now - timedelta(hours=1)
    partitions = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    async with open_consumer(Connection(servers)) as consumer:
        assert await bounded_start(consumer, partitions, hour_ago, now, most=200) == hour_ago
        start = await bounded_start(consumer, partitions, hour_ago, now, most=50)
        assert now - start == timedelta(minutes=15)
        later = now + timedelta(hours=1)
        assert await bounded_start(consumer, partitions, later, now) == later


async def test_nothing_is_read_once_nobody_has_looked_for_a_while(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Who comes back before that finds all there; who comes later, a new start."""
    topic = await topic_factory(name="results.page")
    watch = Watch(Connection(broker.bootstrap_servers), [topic], linger_s=0.2)
    first, second = Looker(RowFilter()), Looker(RowFilter())
    watching = watch.join(first)
    watch.leave(first)
    assert watch.join(second) is watching
    await asyncio.sleep(0.4)
    assert watch.is_reading
    watch.leave(second)
    for _ in range(200):
        if watch.is_reading:
            await asyncio.sleep(0.05)
    assert not watch.is_reading
    assert watch.join(first) is not watching
    await watch.stop()
    assert first.is_over
