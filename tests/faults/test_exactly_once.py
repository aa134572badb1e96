"""Exactly once: who dies, or comes back from the dead, lets committed readers see nothing twice."""

import asyncio
import signal
import uuid
from collections import Counter
from pathlib import Path
from typing import NamedTuple

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
    producing,
    read_all,
    running_worker,
)

pytestmark = [pytest.mark.real_kafka, pytest.mark.slow, pytest.mark.timeout(300)]

BEYOND_THE_SESSION_S = 8.5
SETTINGS = """
session_timeout_ms = 6000
delivery = "exactly_once"

[[topics]]
name = "{topic}"
modality = "news"
"""


class Topics(NamedTuple):
    """Where answers go, of this test alone: others count the dead letters of theirs."""

    results: str
    letters: str


async def send(producer: AIOKafkaProducer, topic: str, count: int) -> Counter[tuple[int, int]]:
    """Send events at some hundreds a second; return partition and offset of each."""
    sent: Counter[tuple[int, int]] = Counter()
    for number in range(count):
        value = orjson.dumps({"id": uuid.uuid4().hex, "headline": f"Dock {number} reports a loss"})
        # Some that cannot be classified: dead letters are part of the transactions.
        event = b"{" if number % 50 == 7 else value
        record = await producer.send_and_wait(
            topic, event, partition=number % PARTITIONS, key=b"k%d" % (number % 7)
        )
        sent[record.partition, record.offset] += 1
        await asyncio.sleep(0.002)
    return sent


async def test_a_killed_worker_and_one_that_wakes_up_too_late_double_nothing(
    real_kafka: RunningBroker, tmp_path: Path
) -> None:
    """Kill -9 takes one worker, a stall beyond the session time-out makes the other a zombie."""
    servers, group = real_kafka.bootstrap_servers, f"once-{uuid.uuid4().hex[:8]}"
    topic = f"events.{group}"
    topics = Topics(f"results.{group}", f"{topic}.dlq")
    await ensure_topics(
        Connection(servers), [topic, *topics], partitions=PARTITIONS, max_message_bytes=LARGEST
    )
    config = tmp_path / "headrace.toml"
    config.write_text(SETTINGS.format(topic=topic), "utf-8")
    flags = ("--group", group, "--on-overload", "late", "--config", str(config))
    async with producing(servers) as producer:
        async with running_worker(servers, tmp_path / "victim.log", *flags) as victim:
            sent = await send(producer, topic, 400)
            await victim.stop(signal.SIGKILL)
        async with running_worker(servers, tmp_path / "zombie.log", *flags) as zombie:
            sending = asyncio.create_task(send(producer, topic, 400))
            await asyncio.sleep(0.5)
            zombie.process.send_signal(signal.SIGSTOP)
            async with running_worker(servers, tmp_path / "successor.log", *flags) as successor:
                await asyncio.sleep(BEYOND_THE_SESSION_S)
                zombie.process.send_signal(signal.SIGCONT)
                sent += await sending
                sent += await send(producer, topic, 400)
                seen = await until_answered(servers, topics, set(sent))
                assert await successor.stop() == 0
    assert seen == sent
    # Whether they were seen is one thing; whether the zombie still adds to them is another.
    assert await answers(servers, topics) == sent


async def until_answered(
    servers: str, topics: Topics, sent: set[tuple[int, int]]
) -> Counter[tuple[int, int]]:
    """Wait until every event has left something that committed readers see."""
    seen: Counter[tuple[int, int]] = Counter()
    for _ in range(120):
        seen = await answers(servers, topics)
        if set(seen) >= sent:
            break
        await asyncio.sleep(0.5)
    return seen


async def answers(servers: str, topics: Topics) -> Counter[tuple[int, int]]:
    """Count results and dead letters by partition and offset of the event."""
    seen: Counter[tuple[int, int]] = Counter()
    beginning = dict.fromkeys(range(PARTITIONS), 0)
    for record in await read_all(servers, topics.results, beginning):
        source = decode_result(record.value or b"").source
        seen[source.partition, source.offset] += 1
    for record in await read_all(servers, topics.letters, beginning):
        headers = {name: int(value) for name, value in record.headers if name in _OF_LETTERS}
        seen[headers[_OF_LETTERS[0]], headers[_OF_LETTERS[1]]] += 1
    return seen


_OF_LETTERS = ("headrace_source_partition", "headrace_source_offset")
