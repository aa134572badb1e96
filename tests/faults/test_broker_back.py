"""A broker that is gone, or frozen, and comes back: no restart of the worker, and nothing lost."""

import asyncio
from pathlib import Path

import orjson
import pytest

from schemas.kafka import decode_result
from streams.connection import Connection
from streams.topics import ensure_topics
from tests.conftest import BrokerFactory
from tests.integration.worker import (
    TOPICS,
    RunningWorker,
    producing,
    running_worker,
    wait_for_records,
)

pytestmark = [pytest.mark.real_kafka, pytest.mark.slow, pytest.mark.timeout(240)]

PARTITIONS = 2
AWAY_S = 8.0
"""Longer than it takes to be noticed, and than the session time-out."""
REACHABLE = "headrace_broker_reachable"


@pytest.mark.parametrize(("delivery", "frozen"), [("at_least_once", False), ("exactly_once", True)])
async def test_the_worker_waits_says_so_and_goes_on(
    kafka_factory: BrokerFactory, tmp_path: Path, delivery: str, *, frozen: bool
) -> None:
    """Killed, or frozen, while events are on their way, for longer than a session."""
    config = tmp_path / "headrace.toml"
    config.write_text("session_timeout_ms = 6000\n", "utf-8")
    flags = ("--on-overload", "late", "--config", str(config), "--delivery", delivery)
    async with kafka_factory() as broker:
        servers = broker.bootstrap_servers
        await ensure_topics(Connection(servers), TOPICS, partitions=PARTITIONS)
        async with running_worker(servers, tmp_path / "worker.log", *flags) as worker:
            await send(servers, "before", 600)
            if frozen:
                broker.pause()
            else:
                await broker.kill()
            await until_reachable(worker, 0)
            assert await worker.status("/readyz") == 503
            assert await worker.status("/healthz") == 200
            await asyncio.sleep(AWAY_S)
            if frozen:
                broker.resume()
            else:
                await broker.restart()
            await send(servers, "after", 50)
            await until_reachable(worker, 1)
            # Once more: it must not be the backlog alone that it still answers.
            await send(servers, "last", 50)
            ids = await answered(servers, 700)
            assert len(set(ids)) == 700
            assert delivery == "at_least_once" or len(ids) == 700
            assert worker.process.returncode is None
            assert await worker.status("/readyz") == 200
            assert await worker.stop() == 0
    assert "Traceback" not in worker.log.read_text()


async def send(servers: str, run: str, count: int) -> None:
    """Send events and wait for their acknowledgements."""
    async with producing(servers) as producer:
        for number in range(count):
            value = {"id": f"{run}-{number}", "headline": f"Dock {number} opens"}
            await producer.send("events.news", orjson.dumps(value), partition=number % PARTITIONS)
        await producer.flush()


async def until_reachable(worker: RunningWorker, wanted: int) -> None:
    """Wait until the metric says so."""
    async with asyncio.timeout(40):
        while (await worker.metrics())[REACHABLE] != wanted:  # noqa: ASYNC110 - of a process
            await asyncio.sleep(0.2)


async def answered(servers: str, count: int) -> list[str]:
    """Return the event of every answer, repetitions included, once so many events have one."""
    since = dict.fromkeys(range(PARTITIONS), 0)
    ids: list[str] = []
    for _ in range(60):
        records = await wait_for_records(servers, "results.news", since, count)
        ids = [decode_result(record.value or b"").event_id for record in records]
        if len(set(ids)) >= count:
            break
        await asyncio.sleep(1)
    return ids
