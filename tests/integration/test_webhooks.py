"""Webhooks over real Kafka and real HTTP: nothing lost, whatever endpoint or process do."""

import asyncio
import os
import random
import signal
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from schemas.derived import AlertState, encode_alert
from schemas.kafka import Record, decode_dead_letter, encode_result
from streams.broker import RunningBroker
from streams.clients import open_admin, open_consumer
from streams.connection import Connection
from streams.dead_letters.reading import find_letter_topic, read_letters
from streams.dead_letters.redriving import redrive
from streams.health import Health
from streams.webhooks.service import Terms, Webhooks, prepare
from streams.webhooks.settings import Webhook
from tests.conftest import TopicFactory
from tests.fakes.derived import alert
from tests.fakes.receiver import Received, Reply, receiving
from tests.integration.published import publish, result, send

pytestmark = pytest.mark.broker

SECRET = "whsec_" + "c" * 40  # of these tests


def webhook(url: str, topic: str, **fields: Any) -> Webhook:
    """Describe a webhook of a name of its own, which tries again at once."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    quick = {"backoff_ms": 20, "max_backoff_ms": 100, "start": "beginning"}
    return Webhook(name=name, url=url, topics=(topic,), **quick | fields)


@asynccontextmanager
async def serving(servers: str, *webhooks: Webhook) -> AsyncIterator[Webhooks]:
    """Run webhooks in this process until the end, which is in order."""
    terms = Terms(connection=Connection(servers), commit_interval_s=0.05, drain_s=2.0)
    service = Webhooks(prepare(webhooks), terms, Health())
    running = asyncio.create_task(service.run())
    try:
        yield service
    finally:
        service.stop()
        async with asyncio.timeout(20):
            await running


async def committed(servers: str, group: str, topic: str, partitions: int = 1) -> list[int]:
    """Return what a group has committed."""
    async with open_consumer(Connection(servers), group_id=group) as consumer:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        return [await consumer.committed(place) or 0 for place in places]


async def until_committed(servers: str, one: Webhook, count: int, partitions: int = 1) -> None:
    """Wait until so many records of a webhook's topic need nothing more."""
    async with asyncio.timeout(30):
        while True:
            offsets = await committed(servers, one.group, one.topics[0], partitions)
            if sum(offsets) == count:
                return
            await asyncio.sleep(0.1)


async def until_ready(service: Webhooks) -> None:
    """Wait until the group has handed its partitions out."""
    async with asyncio.timeout(30):
        while True:
            if service._health.ready:
                return
            await asyncio.sleep(0.05)


async def letters_of(servers: str, one: Webhook) -> list[Record]:
    """Read a webhook's dead letters."""
    connection = Connection(servers)
    counts = await find_letter_topic(connection, one.dead_letters)
    return [found.record async for found in read_letters(connection, one.dead_letters, counts)]


def ids(*offsets: int) -> list[str]:
    """Return how results of these offsets are named in requests."""
    return [f"events%2Enews:0:{offset}:00:0" for offset in offsets]


async def test_results_arrive_as_cloudevents_and_their_offsets_are_committed(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Headers are those of the record, the body is its value; repetitions are left out."""
    servers, topic = broker.bootstrap_servers, await topic_factory(3, name="results.test")
    await publish(servers, topic, *(result(number) for number in range(30)), result(7))
    async with receiving() as receiver:
        one = webhook(receiver.url, topic)
        async with serving(servers, one):
            await receiver.until(lambda: len(receiver.accepted) >= 30)
        assert sorted(receiver.accepted_ids) == sorted(ids(*range(30)))
        first = receiver.accepted[0]
        sent = encode_result(result(orjson.loads(first.body)["source"]["offset"]), key=b"k")
        assert first.body == sent.value
        expected = {
            name.replace("ce_", "ce-"): (value or b"").decode() for name, value in sent.headers
        }
        assert expected.items() <= first.headers.items()
        assert sum(await committed(servers, one.group, topic, 3)) == 31


async def test_a_dead_letter_that_is_too_large_for_its_topic_is_kept_without_the_value(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """And those after it are kept whole: in one partition the broker takes none out of order."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    large = {f"label {number}": 1 / 3_000 for number in range(3_000)}
    await publish(servers, topic, result(0), result(1, scores=large), result(2))
    async with receiving() as receiver, open_admin(Connection(servers)) as admin:
        receiver.behaviour = lambda _: Reply(422)
        one = webhook(receiver.url, topic)
        limit = {"max.message.bytes": "20000"}
        await admin.create_topics([NewTopic(one.dead_letters, 1, 1, topic_configs=limit)])
        async with serving(servers, one):
            await until_committed(servers, one, 3)
        letters = await letters_of(servers, one)
        await admin.delete_topics([one.dead_letters, one.again])
    whole = {decode_dead_letter(one).source.offset: bool(one.value) for one in letters}
    assert whole == {0: True, 1: False, 2: True}


async def test_only_what_was_asked_for_arrives_and_the_rest_is_committed(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Filters are those of the Python client."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    await publish(
        servers,
        topic,
        result(0),
        result(1, label="negative", scores={"negative": 0.9}),
        result(2, label="negative", scores={"negative": 0.5}),
    )
    async with receiving() as receiver:
        filters = {"labels": ("negative",), "min_confidence": 0.8}
        one = webhook(receiver.url, topic, filters=filters)
        async with serving(servers, one):
            await receiver.until(lambda: receiver.accepted)
        assert receiver.accepted_ids == ids(1)
        assert await committed(servers, one.group, topic) == [3]


async def test_every_result_survives_an_endpoint_that_fails_in_every_way(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Errors, silence, rate limits, redirections, a death and a return: all are delivered."""
    servers, topic = broker.bootstrap_servers, await topic_factory(2, name="results.test")
    draw = random.Random(7)  # noqa: S311 - of a test
    ways = [
        Reply(500),
        Reply(503, {"Retry-After": "0"}),
        Reply(429, {"Retry-After": "0"}),
        Reply(301, {"Location": "/elsewhere"}),
        Reply(204, after_s=0.5),
        *[Reply(204)] * 15,
    ]
    async with receiving() as receiver:
        receiver.behaviour = lambda _: draw.choice(ways)
        one = webhook(receiver.url, topic, timeout_ms=200, max_attempts=500)
        async with serving(servers, one):
            await publish(servers, topic, *(result(number) for number in range(200)))
            await receiver.until(lambda: len(receiver.accepted) >= 60)
            await receiver.stop()
            await publish(servers, topic, *(result(number) for number in range(200, 300)))
            await asyncio.sleep(0.5)
            await receiver.start()
            await until_committed(servers, one, 300, partitions=2)
        assert set(receiver.accepted_ids) == set(ids(*range(300)))
        assert {request.path for request in receiver.requests} == {"/hook"}
        assert await letters_of(servers, one) == []


async def test_what_is_refused_becomes_a_dead_letter_that_can_be_redriven(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """With the record as it was, why, and how often it was tried; the others are delivered."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    await publish(servers, topic, *(result(number) for number in range(10)))
    async with receiving() as receiver:
        bad = ids(3)[0]

        def refuse(received: Any) -> Reply:
            if received.id == bad:
                return Reply(422, body=b"no such desk")
            return Reply(503) if received.id == ids(5)[0] else Reply()

        receiver.behaviour = refuse
        one = webhook(receiver.url, topic, max_attempts=3)
        async with serving(servers, one):
            await until_committed(servers, one, 10)
        assert len(receiver.accepted) == 8
        letters = await letters_of(servers, one)
        told = {decode_dead_letter(letter).source.offset: letter for letter in letters}
        assert set(told) == {3, 5}
        refused, exhausted = decode_dead_letter(told[3]), decode_dead_letter(told[5])
        assert (refused.error, refused.attempts) == ("refused", 1)
        assert "422 Unprocessable Entity: no such desk" in refused.message
        assert (exhausted.error, exhausted.attempts) == ("exhausted", 3)
        assert told[3].value == encode_result(result(3), key=b"3").value
        receiver.behaviour = lambda _: Reply()
        async with serving(servers, one):
            connection = Connection(servers)
            counts = await find_letter_topic(connection, one.dead_letters)
            done = await redrive(connection, one.dead_letters, counts, [])
            assert done.sent == {one.again: 2}
            await receiver.until(lambda: len(receiver.accepted) == 10)
        assert sorted(receiver.accepted_ids) == sorted(ids(*range(10)))


async def test_a_dead_endpoint_holds_nobody_else_back_and_is_not_hammered(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Nor do its records become dead letters for that: they wait in the broker."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    async with receiving() as dead, receiving() as alive:
        dead.behaviour = lambda _: Reply(500)
        silent = webhook(dead.url, topic, backoff_ms=500, max_backoff_ms=60_000)
        other = webhook(alive.url, topic)
        await publish(servers, topic, *(result(number) for number in range(300)))
        async with serving(servers, silent, other):
            await alive.until(lambda: len(alive.accepted) == 300)
            await asyncio.sleep(0.5)
            assert len(dead.requests) <= 2 * silent.max_in_flight
        assert await committed(servers, silent.group, topic) == [0]
        assert await letters_of(servers, silent) == []


async def test_records_of_a_key_keep_their_order_and_others_pass_them(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """An alert is not cleared before it was raised, although raising it had to be tried again."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="alerts.test")
    slow = [alert(id="slow", subject="slow", state=state) for state in AlertState]
    quick = [alert(id="quick", subject="quick", state=state) for state in AlertState]
    await send(servers, topic, *(encode_alert(one) for one in (*slow, *quick)))
    async with receiving() as receiver:
        receiver.replies.extend([Reply(500)])
        one = webhook(receiver.url, topic, backoff_ms=400, max_backoff_ms=400)
        async with serving(servers, one):
            await receiver.until(lambda: len(receiver.accepted) == 4)
    names = receiver.accepted_ids
    assert names.index("slow:raised") < names.index("slow:cleared")
    assert names.index("quick:raised") < names.index("quick:cleared")


async def test_a_topic_that_is_added_begins_at_its_end_although_the_group_is_at_work(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """A process with new settings starts before the old one ends, and is not kept out."""
    servers = broker.bootstrap_servers
    old, new = await topic_factory(name="results.old"), await topic_factory(name="results.new")
    await publish(servers, old, result(0))
    await publish(servers, new, result(100), result(101))
    async with receiving() as receiver:
        one = webhook(receiver.url, old, start="end")
        both = msgspec.structs.replace(one, topics=(old, new))
        async with serving(servers, one) as service:
            await until_ready(service)
            async with serving(servers, both) as another:
                await until_ready(another)
                await publish(servers, old, result(1))
                await publish(servers, new, result(102))
                await receiver.until(lambda: len(receiver.accepted) >= 2)
        assert sorted(receiver.accepted_ids) == sorted(ids(1, 102))
        assert await committed(servers, one.group, new) == [3]


@pytest.mark.slow
async def test_two_processes_share_the_work_and_a_killed_one_loses_nothing(
    broker: RunningBroker, topic_factory: TopicFactory, tmp_path: Path
) -> None:
    """SIGKILL in mid-stream: what was not committed is sent by the other, under the same ids."""
    servers, topic = broker.bootstrap_servers, await topic_factory(4, name="results.test")
    async with receiving() as receiver:
        receiver.behaviour = lambda _: Reply(204, after_s=0.02)
        one = webhook(receiver.url, topic, start="end")
        config = tmp_path / "headrace.toml"
        (tmp_path / "secret").write_text(SECRET)
        config.write_text(
            f'bootstrap_servers = "{servers}"\nsession_timeout_ms = 6000\n[[webhooks]]\n'
            f'name = "{one.name}"\nurl = "{one.url}"\ntopics = ["{topic}"]\n'
            f'secret_file = "{tmp_path / "secret"}"\nmax_in_flight = 4\n'
        )
        process = await start("--config", str(config), "--metrics-port", "0")
        try:
            await until_logged(process, "partitions_assigned")
            async with serving(servers, one):
                publishing = asyncio.create_task(
                    publish(servers, topic, *(result(number) for number in range(600)))
                )
                await receiver.until(
                    lambda: sum(is_of_process(one) for one in receiver.accepted) > 50
                )
                process.send_signal(signal.SIGKILL)
                await publishing
                await until_committed(servers, one, 600, partitions=4)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        assert set(receiver.accepted_ids) == set(ids(*range(600)))
        doubled = [name for name, count in Counter(receiver.accepted_ids).items() if count > 1]
        assert len(doubled) < 100


def is_of_process(received: Received) -> bool:
    """Say whether the process sent it, which alone has a secret."""
    return "webhook-signature" in received.headers


async def start(*arguments: str) -> asyncio.subprocess.Process:
    """Start ``headrace webhooks``."""
    kept = {name: value for name, value in os.environ.items() if "HEADRACE" not in name}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", "webhooks", *arguments),
        stderr=asyncio.subprocess.PIPE,
        env=kept | {"NO_COLOR": "1"},
    )


async def until_logged(process: asyncio.subprocess.Process, event: str) -> None:
    """Read a process's log up to an event."""
    assert process.stderr
    lines = []
    async with asyncio.timeout(60):
        while line := (await process.stderr.readline()).decode():
            lines.append(line)
            if event in line:
                return
    raise AssertionError("".join(lines))
