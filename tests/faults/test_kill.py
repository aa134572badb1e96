"""Workers that die without a word: their partitions are taken over and nothing is lost."""

import asyncio
import signal
import uuid
from pathlib import Path

import orjson
import pytest

from schemas.kafka import decode_result
from streams.broker import RunningBroker
from streams.connection import Connection
from streams.topics import ensure_topics
from tests.integration.worker import (
    LARGEST,
    PARTITIONS,
    TOPICS,
    ends_of,
    producing,
    running_worker,
    wait_for_records,
)

pytestmark = [pytest.mark.real_kafka, pytest.mark.slow, pytest.mark.timeout(300)]

EVENTS = 4_000


async def test_killing_one_of_two_workers_under_load_loses_nothing(
    real_kafka: RunningBroker, tmp_path: Path
) -> None:
    """After kill -9 the survivor answers what the dead worker had not; the audit is by id."""
    servers = real_kafka.bootstrap_servers
    await ensure_topics(
        Connection(servers), TOPICS, partitions=PARTITIONS, max_message_bytes=LARGEST
    )
    since = await ends_of(servers, "results.news", PARTITIONS)
    run, group = uuid.uuid4().hex[:6], f"kill-{uuid.uuid4().hex[:8]}"
    ids = {f"{run}-{number}" for number in range(EVENTS)}
    flags = ("--group", group, "--on-overload", "late")
    async with (
        running_worker(servers, tmp_path / "victim.log", *flags) as victim,
        running_worker(servers, tmp_path / "survivor.log", *flags) as survivor,
        producing(servers) as producer,
    ):
        for number, event_id in enumerate(sorted(ids)):
            value = orjson.dumps({"id": event_id, "headline": f"Dock {number} reports a loss"})
            await producer.send("events.news", value=value)
            if number == EVENTS // 2:
                await victim.stop(signal.SIGKILL)
            if number % 10 == 0:
                await asyncio.sleep(0.01)
        await producer.flush()
        counts: dict[str, int] = {}
        for _ in range(90):
            counts = {}
            for record in await wait_for_records(servers, "results.news", since, EVENTS):
                event_id = decode_result(record.value).event_id
                if event_id in ids:
                    counts[event_id] = counts.get(event_id, 0) + 1
            if len(counts) == EVENTS:
                break
            await asyncio.sleep(1)
        assert len(counts) == EVENTS, f"lost {EVENTS - len(counts)} events"
        repeated = sum(counts.values()) - EVENTS
        # At least once: what the victim had answered and not committed is answered again.
        assert repeated < EVENTS // 2
        assert await survivor.stop() == 0
