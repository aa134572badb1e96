"""Exactly once: who dies, or comes back from the dead, lets committed readers see nothing twice."""

import asyncio
import signal
import uuid
from collections import Counter
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaProducer

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
    read_all,
    running_worker,
)

pytestmark = [pytest.mark.real_kafka, pytest.mark.timeout(300)]

BEYOND_THE_SESSION_S = 8.5


async def send(producer: AIOKafkaProducer, count: int) -> Counter[tuple[int, int]]:
    """Send events at some hundreds a second; return partition and offset of each."""
    sent: Counter[tuple[int, int]] = Counter()
    for number in range(count):
        value = orjson.dumps({"id": uuid.uuid4().hex, "headline": f"Dock {number} reports a loss"})
        # Some that cannot be classified: dead letters are part of the transactions.
        event = b"{" if number % 50 == 7 else value
        record = await producer.send_and_wait(
            "events.news", event, partition=number % PARTITIONS, key=b"k%d" % (number % 7)
        )
        sent[record.partition, record.offset] += 1
        await asyncio.sleep(0.002)
    return sent


async def test_a_killed_worker_and_one_that_wakes_up_too_late_double_nothing(
    real_kafka: RunningBroker, tmp_path: Path
) -> None:
    """Kill -9 takes one worker, a stall beyond the session time-out makes the other a zombie."""
    servers = real_kafka.bootstrap_servers
    await ensure_topics(
        Connection(servers), TOPICS, partitions=PARTITIONS, max_message_bytes=LARGEST
    )
    begun = await ends_of(servers, "events.news", PARTITIONS)
    since = {topic: await ends_of(servers, topic, PARTITIONS) for topic in TOPICS[1:]}
    config = tmp_path / "headrace.toml"
    config.write_text('session_timeout_ms = 6000\ndelivery = "exactly_once"\n', "utf-8")
    group = f"once-{uuid.uuid4().hex[:8]}"
    flags = ("--group", group, "--on-overload", "late", "--config", str(config))
    async with producing(servers) as producer:
        async with running_worker(servers, tmp_path / "victim.log", *flags) as victim:
            sent = await send(producer, 400)
            await victim.stop(signal.SIGKILL)
        async with running_worker(servers, tmp_path / "zombie.log", *flags) as zombie:
            sending = asyncio.create_task(send(producer, 400))
            await asyncio.sleep(0.5)
            zombie.process.send_signal(signal.SIGSTOP)
            async with running_worker(servers, tmp_path / "successor.log", *flags) as successor:
                await asyncio.sleep(BEYOND_THE_SESSION_S)
                zombie.process.send_signal(signal.SIGCONT)
                sent += await sending
                sent += await send(producer, 400)
                seen = await until_answered(servers, since, begun, set(sent))
                assert await successor.stop() == 0
    assert seen == sent
    # Whether they were seen is one thing; whether the zombie still adds to them is another.
    assert await answers(servers, since, begun) == sent


async def until_answered(
    servers: str,
    since: dict[str, dict[int, int]],
    begun: dict[int, int],
    sent: set[tuple[int, int]],
) -> Counter[tuple[int, int]]:
    """Wait until every event has left something that committed readers see."""
    seen: Counter[tuple[int, int]] = Counter()
    for _ in range(120):
        seen = await answers(servers, since, begun)
        if set(seen) >= sent:
            break
        await asyncio.sleep(0.5)
    return seen


async def answers(
    servers: str, since: dict[str, dict[int, int]], begun: dict[int, int]
) -> Counter[tuple[int, int]]:
    """Count results and dead letters by partition and offset of the event, from ``begun`` on."""
    seen: Counter[tuple[int, int]] = Counter()
    results, letters = TOPICS[1:]
    for record in await read_all(servers, results, since[results]):
        source = decode_result(record.value or b"").source
        seen[source.partition, source.offset] += 1
    for record in await read_all(servers, letters, since[letters]):
        headers = {name: int(value) for name, value in record.headers if name in _OF_LETTERS}
        seen[headers[_OF_LETTERS[0]], headers[_OF_LETTERS[1]]] += 1
    return Counter({one: n for one, n in seen.items() if one[1] >= begun[one[0]]})


_OF_LETTERS = ("headrace_source_partition", "headrace_source_offset")
