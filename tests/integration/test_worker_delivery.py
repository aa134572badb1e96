"""A worker as settings of delivery want it: answers in order by key, a place kept in the group."""

import asyncio
import random
import signal
import uuid
from collections import defaultdict
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord

from schemas.kafka import decode_result
from streams.broker import RunningBroker
from streams.connection import Connection
from streams.topics import ensure_topics
from tests.integration.worker import (
    LARGEST,
    PARTITIONS,
    TOPICS,
    RunningWorker,
    ends_of,
    producing,
    running_worker,
    wait_for_records,
)

pytestmark = [pytest.mark.real_kafka, pytest.mark.timeout(240)]

EVENTS = 1_500
REBALANCES = "headrace_rebalances_total"
ASSIGNED = "headrace_assigned_partitions"


async def send(producer: AIOKafkaProducer, count: int, seed: int) -> set[str]:
    """Send headlines of few keys and all priorities at once; return their ids."""
    draw = random.Random(seed)  # noqa: S311 - a load, no secret
    ids = [uuid.uuid4().hex for _ in range(count)]
    for number, event_id in enumerate(ids):
        text = " ".join(["Dock", str(number), *["reports a loss"] * draw.randrange(1, 12)])
        await producer.send(
            "events.news",
            value=orjson.dumps({"id": event_id, "headline": text}),
            key=b"key-%d" % draw.randrange(8),
            headers=[("ce_priority", b"%d" % draw.randrange(10))],
        )
    await producer.flush()
    return set(ids)


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
async def test_answers_of_a_key_leave_in_the_order_of_its_events(
    real_kafka: RunningBroker, tmp_path: Path, delivery: str
) -> None:
    """Priorities and lengths make the model take them in another order."""
    servers = real_kafka.bootstrap_servers
    await ensure_topics(
        Connection(servers), TOPICS, partitions=PARTITIONS, max_message_bytes=LARGEST
    )
    since = await ends_of(servers, "results.news", PARTITIONS)
    group = f"order-{uuid.uuid4().hex[:8]}"
    flags = ("--group", group, "--on-overload", "late", "--preserve-ordering")
    async with producing(servers) as producer:
        ids = await send(producer, EVENTS, seed=1)
        async with running_worker(
            servers, tmp_path / "worker.log", *flags, "--delivery", delivery
        ) as worker:
            records = await until_answered(servers, since, ids)
            assert await worker.stop() == 0
    by_key: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for record in sorted(records, key=lambda one: (one.partition, one.offset)):
        result = decode_result(record.value or b"")
        if result.event_id in ids:
            assert record.key is not None
            by_key[record.key].append((result.source.partition, result.source.offset))
    assert len(by_key) == 8
    for offsets in by_key.values():
        assert offsets == sorted(offsets)


async def test_a_static_member_gets_its_partitions_again_without_a_rebalance(
    real_kafka: RunningBroker, tmp_path: Path
) -> None:
    """The other one does not notice, and what came meanwhile is answered by the same worker."""
    servers = real_kafka.bootstrap_servers
    await ensure_topics(
        Connection(servers), TOPICS, partitions=PARTITIONS, max_message_bytes=LARGEST
    )
    since = await ends_of(servers, "results.news", PARTITIONS)
    config = tmp_path / "headrace.toml"
    config.write_text("session_timeout_ms = 30000\n", "utf-8")
    group = f"static-{uuid.uuid4().hex[:8]}"
    flags = ("--group", group, "--on-overload", "late", "--config", str(config))

    def member(name: str):  # noqa: ANN202 - what running_worker returns
        log = tmp_path / f"{name}.log"
        return running_worker(servers, log, *flags, "--group-instance-id", name)

    async with member("steady") as steady, producing(servers) as producer:
        async with member("restarted") as restarted:
            await until_shared(steady, restarted)
            before = (await steady.metrics())[REBALANCES]
            await restarted.stop(signal.SIGKILL)
        ids = await send(producer, 200, seed=2)
        async with member("restarted") as restarted:
            await until_shared(steady, restarted)
            await until_answered(servers, since, ids)
            assert (await steady.metrics())[REBALANCES] == before
            assert await restarted.stop() == 0


async def until_answered(
    servers: str, since: dict[int, int], ids: set[str]
) -> list[ConsumerRecord]:
    """Wait until each of these events has an answer, whatever other tests have sent before."""
    async with asyncio.timeout(90):
        while True:
            records = await wait_for_records(servers, "results.news", since, len(ids))
            if {decode_result(one.value or b"").event_id for one in records} >= ids:
                return records
            await asyncio.sleep(0.5)


async def until_shared(*workers: RunningWorker) -> None:
    """Wait until each has its half of the partitions."""
    async with asyncio.timeout(60):
        while [(await one.metrics())[ASSIGNED] for one in workers] != [2, 2]:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
