"""The examples do what they say, as processes of their own, on the run's broker."""

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from aiokafka import ConsumerRecord, TopicPartition

from schemas import (
    Classification,
    Effort,
    Latency,
    Modality,
    Model,
    Record,
    Source,
    Verdict,
    decode_event,
    encode_result,
)
from streams.broker import RunningBroker
from streams.clients import open_consumer
from streams.connection import Connection
from streams.topics import ensure_topics
from tests.conftest import TopicFactory
from tests.integration.worker import producing, running_worker

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
RESULT = Classification(
    event_id="n-1",
    modality=Modality.NEWS,
    label="positive",
    scores={"negative": 0.02, "neutral": 0.08, "positive": 0.9},
    verdict=Verdict.ON_TIME,
    model=Model(name="news-sentiment", version="1", digest="sha256:" + "ab" * 32),
    effort=Effort(active_share=0.1, layers=1, experts=2),
    latency=Latency(budget_ms=150, queue_ms=1, model_ms=7, total_ms=12),
    source=Source(topic="events.news", partition=0, offset=1),
    event_time=NOW,
    result_time=NOW,
)


def environment() -> dict[str, str]:
    """Return the environment of an example: the packages of this tree, no settings."""
    kept = {name: value for name, value in os.environ.items() if "HEADRACE" not in name}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def run(example: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run an example to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / example), *arguments],
        input=given,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
        check=False,
    )


@dataclass
class Following:
    """A subscriber that runs."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)

    async def until(self, text: str) -> None:
        """Read its output up to a line that contains a text."""
        assert self.process.stdout
        async with asyncio.timeout(60):
            while not self.lines or text not in self.lines[-1]:
                line = await self.process.stdout.readline()
                assert line, f"ended before {text!r}: {self.lines}"
                self.lines.append(line.decode().strip())

    async def stop(self) -> int:
        """Send SIGTERM; return the exit code."""
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), 30)


@asynccontextmanager
async def subscriber(servers: str, topic: str, *arguments: str) -> AsyncIterator[Following]:
    """Start the subscriber at the beginning of a topic, and end it if the test has not."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "examples/subscriber.py"),
        *("--bootstrap-servers", servers, "--topic", topic, "--from-beginning", *arguments),
        stdout=asyncio.subprocess.PIPE,
        env=environment(),
    )
    try:
        yield Following(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def publish(servers: str, topic: str, *results: Classification) -> None:
    """Publish results as a worker does, in this order."""
    async with producing(servers) as producer:
        for result in results:
            sent = encode_result(result, key=None)
            await producer.send_and_wait(topic, sent.value, key=sent.key, headers=sent.headers)


async def read(servers: str, topic: str, count: int) -> list[ConsumerRecord]:
    """Read the first records of a topic of one partition."""
    records: list[ConsumerRecord] = []
    async with open_consumer(Connection(servers)) as consumer, asyncio.timeout(60):
        consumer.assign([TopicPartition(topic, 0)])
        while len(records) < count:
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                records.extend(batch)
    return records


def result(event_id: str, offset: int, **fields: Any) -> Classification:
    """Return a result of the event at an offset."""
    source = Source(topic="events.news", partition=0, offset=offset)
    return msgspec.structs.replace(RESULT, event_id=event_id, source=source, **fields)


@pytest.mark.broker
async def test_the_producer_sends_events_that_the_worker_accepts(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Headlines from standard input arrive as CloudEvents with key, budget and priority."""
    topic, servers = await topic_factory(), broker.bootstrap_servers
    options = ("--key", "HBR", "--budget-ms", "80", "--priority", "high", "--source", "/wire/north")
    given = "Harbour operator raises its forecast\n\n  Ferry line keeps its timetable  \n"
    done = await asyncio.to_thread(
        run, "producer.py", "--bootstrap-servers", servers, "--topic", topic, *options, given=given
    )
    assert done.returncode == 0, done.stderr
    assert "2 events acknowledged" in done.stderr
    records = await read(servers, topic, 2)
    events = [
        decode_event(
            Record(topic=topic, key=one.key, value=one.value, headers=one.headers),
            Modality.NEWS,
            now_ms=one.timestamp,
        )
        for one in records
    ]
    assert [each.event.headline for each in events] == [
        "Harbour operator raises its forecast",
        "Ferry line keeps its timetable",
    ]
    assert {(each.budget_ms, each.priority, each.event.source) for each in events} == {
        (80, 8, "/wire/north")
    }
    assert {one.key for one in records} == {b"HBR"}
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        each.event.id for each in events
    ]


@pytest.mark.broker
async def test_the_subscriber_prints_each_signal_once(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Repetitions, late and shed, neutral and unsure results are no signals; a stop is clean."""
    topic, servers = await topic_factory(), broker.bootstrap_servers
    neutral = {"negative": 0.02, "neutral": 0.95, "positive": 0.03}
    unsure = {"negative": 0.3, "neutral": 0.2, "positive": 0.5}
    await publish(
        servers,
        topic,
        result("first", 1),
        result("first", 1),
        result("late", 2, verdict=Verdict.LATE),
        result("shed", 3, verdict=Verdict.SHED, label=None, scores={}),
        result("neutral", 4, label="neutral", scores=neutral),
        result("unsure", 5, scores=unsure),
        result("degraded", 6, verdict=Verdict.DEGRADED),
        result("first", 1),
        result("last", 7),
    )
    async with subscriber(servers, topic, "--min-score", "0.8") as following:
        await following.until("last")
        assert await following.stop() == 0
    assert following.lines == [
        f"positive 0.90 {event_id}" for event_id in ("first", "degraded", "last")
    ]


@pytest.mark.broker
async def test_the_subscriber_survives_what_is_no_result(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """A record that somebody else wrote is reported and passed over."""
    topic, servers = await topic_factory(), broker.bootstrap_servers
    async with producing(servers) as producer:
        await producer.send_and_wait(topic, b"not a result")
        await producer.send_and_wait(topic, None, key=b"tombstone")
    await publish(servers, topic, result("good", 1))
    async with subscriber(servers, topic) as following:
        await following.until("good")
    assert following.lines == ["positive 0.90 good"]


@pytest.mark.broker
@pytest.mark.timeout(240)
async def test_a_headline_goes_from_the_producer_to_the_subscriber(
    broker: RunningBroker, tmp_path: Path
) -> None:
    """With a worker between them, what one example sends comes out of the other."""
    servers, topics = broker.bootstrap_servers, ("events.news", "results.news", "events.news.dlq")
    await ensure_topics(Connection(servers), topics, partitions=4, max_message_bytes=16_000_000)
    flags = ("--group", f"examples-{uuid.uuid4().hex[:8]}", "--on-overload", "late")
    async with (
        running_worker(servers, tmp_path / "worker.log", *flags),
        subscriber(servers, "results.news", "--min-score", "0") as following,
    ):
        headlines = [
            "Harbour operator lifts forecast after record profits",
            "Rail company warns of heavy losses and cuts its dividend",
        ]
        done = await asyncio.to_thread(
            run, "producer.py", "--bootstrap-servers", servers, "--budget-ms", "60000", *headlines
        )
        assert done.returncode == 0, done.stderr
        first_id = done.stdout.split()[0]
        await following.until(first_id)
    assert sum(first_id in line for line in following.lines) == 1


def test_offline_answers_every_line() -> None:
    """Lines that hold text are answered in order, across batches, without a broker."""
    lines = [f"Harbour operator number {number} raises its forecast" for number in range(5)]
    done = run("offline.py", "--json", "--batch", "2", given="\n\n".join(lines))
    assert done.returncode == 0, done.stderr
    answers = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert [answer["text"] for answer in answers] == lines
    for answer in answers:
        assert answer["label"] == max(answer["scores"], key=answer["scores"].__getitem__)
        assert sum(answer["scores"].values()) == pytest.approx(1, abs=1e-3)
        assert 0 < answer["active_share"] <= 1


def test_offline_reads_a_file_for_people(tmp_path: Path) -> None:
    """Without --json a line is label, probability and text."""
    path = tmp_path / "lines.txt"
    path.write_text("Ferry line keeps its timetable\n", "utf-8")
    done = run("offline.py", str(path), "--effort", "first_exit")
    assert done.returncode == 0, done.stderr
    label, score, text = done.stdout.rstrip("\n").split("\t")
    assert label in ("negative", "neutral", "positive")
    assert 1 / 3 <= float(score) <= 1
    assert text == "Ferry line keeps its timetable"


@pytest.mark.parametrize(
    ("example", "arguments", "named"),
    [
        ("producer.py", ("--bootstrap-servers", "127.0.0.1:1", "x"), "headrace broker"),
        ("subscriber.py", ("--bootstrap-servers", "127.0.0.1:1"), "headrace broker"),
        ("offline.py", ("--model", "no-such-model"), "no-such-model"),
        ("offline.py", ("--effort", "utmost"), "first_exit"),
        ("offline.py", ("--batch", "0"), "--batch"),
        ("offline.py", ("no-such-file.txt",), "no-such-file.txt"),
    ],
)
def test_mistakes_end_in_one_line_with_the_remedy(
    example: str, arguments: tuple[str, ...], named: str
) -> None:
    """No traceback: the line names what was wrong or what to choose, and the status is not 0."""
    done = run(example, *arguments)
    assert done.returncode == 1
    assert named in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("example", ["producer.py", "subscriber.py", "offline.py"])
def test_help_is_there(example: str) -> None:
    """Each example says how it is used."""
    done = run(example, "--help")
    assert done.returncode == 0
    assert "usage:" in done.stdout
