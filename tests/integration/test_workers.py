"""``headrace run --workers 2``: one group, one port, and no event lost whoever dies."""

import asyncio
import os
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.kafka import decode_result
from streams.broker import RunningBroker
from streams.clients import open_consumer
from streams.connection import Connection
from streams.topics import ensure_topics
from tests.integration.worker import (
    LARGEST,
    PARTITIONS,
    TOPICS,
    RunningWorker,
    ends_of,
    producing,
    read_all,
    running_worker,
)

pytestmark = [pytest.mark.real_kafka, pytest.mark.timeout(240)]

EVENTS = [TopicPartition("events.news", number) for number in range(PARTITIONS)]
TAKEN = 'headrace_events_total{modality="news",topic="events.news"}'


@dataclass
class Fleet:
    """Two workers under a supervisor, in a group that begins where the topic ended.

    Attributes:
        since: Where the result topic ended.
        sent: Partition and offset of every event that was sent.
    """

    servers: str
    group: str
    supervisor: RunningWorker
    since: dict[int, int]
    sent: set[tuple[int, int]] = field(default_factory=set)

    async def send(self, count: int, *, pause_s: float = 0.0) -> None:
        """Send events to all partitions in turn."""
        async with producing(self.servers) as producer:
            for number in range(count):
                value = {"id": uuid.uuid4().hex, "headline": f"Dock {number} reports a loss"}
                sent = await producer.send_and_wait(
                    "events.news", orjson.dumps(value), partition=number % PARTITIONS
                )
                self.sent.add((sent.partition, sent.offset))
                await asyncio.sleep(pause_s)

    async def answers(self) -> Counter[tuple[int, int]]:
        """Count the answers to what was sent, by partition and offset of the event."""
        records = await read_all(self.servers, "results.news", self.since)
        sources = [decode_result(one.value or b"").source for one in records]
        return Counter((source.partition, source.offset) for source in sources)

    async def until_answered(self) -> Counter[tuple[int, int]]:
        """Wait until every event has an answer."""
        async with asyncio.timeout(90):
            while (answers := await self.answers()).keys() != self.sent:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
        return answers

    async def committed(self) -> dict[int, int]:
        """Return the group's offsets."""
        async with group_member(self.servers, self.group) as consumer:
            return {one.partition: await consumer.committed(one) for one in EVENTS}

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log's lines of one kind."""
        lines = [orjson.loads(line) for line in self.supervisor.log.read_bytes().splitlines()]
        return [line for line in lines if line["event"] == event]

    def owned(self) -> dict[int, list[str]]:
        """Return the partitions that each process was given last, by process id."""
        return {line["pid"]: line["partitions"] for line in self.logged("partitions_assigned")}

    async def until_shared(self) -> dict[int, list[str]]:
        """Wait until two processes that live own two partitions each."""
        async with asyncio.timeout(60):
            while True:
                owned = {pid: names for pid, names in self.owned().items() if is_alive(pid)}
                if sorted(map(len, owned.values())) == [2, 2]:
                    return owned
                await asyncio.sleep(0.2)

    async def assert_drained(self) -> None:
        """Hold: what was committed was answered, once; what was not was not taken in."""
        answers, committed = await self.answers(), await self.committed()
        done = {(number, offset) for number, offset in self.sent if offset < committed[number]}
        assert answers == Counter(done)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@asynccontextmanager
async def group_member(servers: str, group: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Look at a group's offsets without joining it."""
    async with open_consumer(Connection(servers), group_id=group) as consumer:
        consumer.assign(EVENTS)
        yield consumer


@pytest.fixture
async def fleet(real_kafka: RunningBroker, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Two workers that are ready and own two partitions each."""
    servers, group = real_kafka.bootstrap_servers, f"fleet-{uuid.uuid4().hex[:8]}"
    await ensure_topics(
        Connection(servers), TOPICS, partitions=PARTITIONS, max_message_bytes=LARGEST
    )
    async with group_member(servers, group) as consumer:
        await consumer.commit(await consumer.end_offsets(EVENTS))
    config = tmp_path / "headrace.toml"
    config.write_text("session_timeout_ms = 6000\n", "utf-8")
    flags = ("--workers", "2", "--group", group, "--on-overload", "late", "--log-format", "json")
    since = await ends_of(servers, "results.news", PARTITIONS)
    log = tmp_path / "fleet.log"
    async with running_worker(servers, log, *flags, "--config", str(config)) as supervisor:
        running = Fleet(servers, group, supervisor, since)
        await running.until_shared()
        try:
            yield running
        finally:
            for pid in running.owned():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


async def test_two_workers_share_the_partitions_and_one_port(fleet: Fleet) -> None:
    """Both answer, the metrics are of both, and SIGTERM under load drains both."""
    owned = await fleet.until_shared()
    names = sorted(name for given in owned.values() for name in given)
    assert names == [f"events.news-{number}" for number in range(PARTITIONS)]
    await fleet.send(200)
    answers = await fleet.until_answered()
    assert set(answers.values()) == {1}
    metrics = await fleet.supervisor.metrics()
    assert metrics[TAKEN] == 200
    assert metrics["headrace_assigned_partitions"] == PARTITIONS
    assert metrics["headrace_ready"] == 2
    sending = asyncio.create_task(fleet.send(600))
    while len(fleet.sent) < 500:  # noqa: ASYNC110 - under load, not after it
        await asyncio.sleep(0.01)
    assert await fleet.supervisor.stop() == 0
    await sending
    assert not any(map(is_alive, owned))
    assert len(fleet.logged("worker_stopped")) == 2
    await fleet.assert_drained()


async def test_a_killed_worker_is_started_again_and_nothing_is_lost(fleet: Fleet) -> None:
    """The group takes over, the new process joins, and every event has an answer."""
    victim = next(iter(await fleet.until_shared()))
    sending = asyncio.create_task(fleet.send(400, pause_s=0.005))
    await asyncio.sleep(0.5)
    os.kill(victim, signal.SIGKILL)
    await sending
    answers = await fleet.until_answered()
    # At least once: what the victim had answered and not committed is answered again.
    assert sum(answers.values()) < 1.5 * len(fleet.sent)
    assert victim not in await fleet.until_shared()
    metrics = await fleet.supervisor.metrics()
    assert metrics["headrace_worker_restarts_total"] == 1
    assert metrics["headrace_assigned_partitions"] == PARTITIONS
    (died,) = fleet.logged("worker_died")
    assert died["exit_code"] == -signal.SIGKILL
    assert await fleet.supervisor.stop() == 0


async def test_workers_whose_supervisor_is_killed_drain_and_end(fleet: Fleet) -> None:
    """No process stays behind, and what they had taken in is answered and committed."""
    pids = list(await fleet.until_shared())
    sending = asyncio.create_task(fleet.send(400))
    while len(fleet.sent) < 200:  # noqa: ASYNC110 - under load, not before it
        await asyncio.sleep(0.01)
    await fleet.supervisor.stop(signal.SIGKILL)
    async with asyncio.timeout(30):
        while any(map(is_alive, pids)):  # noqa: ASYNC110 - the kernel sets no event of ours
            await asyncio.sleep(0.1)
    await sending
    assert len(fleet.logged("parent_gone")) == 2
    assert len(fleet.logged("worker_stopped")) == 2
    await fleet.assert_drained()
