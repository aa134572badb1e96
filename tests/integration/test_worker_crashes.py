"""Events that take their worker along: one crash, one dead letter, and everybody else answered."""

import asyncio
import os
import signal
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from aiokafka import ConsumerRecord

from schemas.kafka import decode_dead_letter, decode_result
from streams.broker import RunningBroker
from streams.connection import Connection
from streams.topics import dead_letter_topic, ensure_topics, result_topic_of
from tests.fakes import crashing_engine
from tests.integration.worker import (
    RunningWorker,
    header,
    producing,
    read_all,
    running_worker,
)

pytestmark = [pytest.mark.real_kafka, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
PARTITIONS = 2
SINCE = dict.fromkeys(range(PARTITIONS), 0)
CONFIG = """
session_timeout_ms = 2000
stall_ms = 5000
drain_ms = 1000
state_dir = "{state}"

[scheduler]
device_timeout_ms = 3000

[isolation]
timeout_ms = 5000

[breaker]
events = 20
retry_ms = {retry_ms}

[[topics]]
name = "{topic}"
modality = "news"
model = "{model}"
on_overload = "late"
"""


@dataclass
class Site:
    """A topic of this test's own, and workers whose model dies of some events.

    Attributes:
        flags: What the workers are started with.
    """

    servers: str
    topic: str
    flags: tuple[str, ...]
    log: Path

    @property
    def state(self) -> Path:
        """Where workers note what they work on."""
        return self.log.parent / "state" / "suspects"

    async def send(self, *texts: str, pause_s: float = 0.0) -> None:
        """Send an event for each text, to the partitions in turn; ids count from 0."""
        async with producing(self.servers) as producer:
            for number, text in enumerate(texts):
                event = {"id": f"n-{number}", "headline": text}
                await producer.send(self.topic, orjson.dumps(event), partition=number % PARTITIONS)
                await asyncio.sleep(pause_s)
            await producer.flush()

    async def results(self) -> list[ConsumerRecord]:
        """Read what was answered."""
        return await read_all(self.servers, result_topic_of(self.topic), SINCE)

    async def letters(self) -> list[ConsumerRecord]:
        """Read what was not."""
        return await read_all(self.servers, dead_letter_topic(self.topic), SINCE)

    async def until_ended(self, count: int, worker: RunningWorker) -> Counter[str]:
        """Wait until so many events have an end; return how many answers each has, by its id."""
        async with asyncio.timeout(120):
            while True:
                ends = {
                    decode_result(one.value or b"").event_id for one in await self.results()
                } | {header(one, "headrace_event_id") for one in await self.letters()}
                if len(ends) >= count:
                    break
                assert worker.process.returncode is None, self.log.read_text()[-3000:]
                await asyncio.sleep(0.5)
        answers = {
            header(one, "ce_id"): decode_result(one.value or b"").event_id
            for one in await self.results()
        }
        return Counter(answers.values())

    def worker_pids(self) -> list[int]:
        """Return the processes that have been given partitions."""
        lines = [orjson.loads(line) for line in self.log.read_bytes().splitlines()]
        return [line["pid"] for line in lines if line["event"] == "partitions_assigned"]

    def logged(self, event: str) -> int:
        """Count the log's lines of one kind."""
        lines = [orjson.loads(line) for line in self.log.read_bytes().splitlines()]
        return sum(line["event"] == event for line in lines)


@pytest.fixture
async def site(real_kafka: RunningBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Return a topic, and what workers need to know."""
    packages = crashing_engine.install(tmp_path / "packages")
    monkeypatch.setenv("PYTHONPATH", f"{packages}:{ROOT}")
    servers, topic = real_kafka.bootstrap_servers, f"events.crash-{uuid.uuid4().hex[:8]}"
    names = [topic, result_topic_of(topic), dead_letter_topic(topic)]
    await ensure_topics(Connection(servers), names, partitions=PARTITIONS)
    config = tmp_path / "headrace.toml"
    model = crashing_engine.write_model(tmp_path / "model")
    config.write_text(
        CONFIG.format(state=tmp_path / "state", topic=topic, model=model, retry_ms=600_000)
    )
    flags = ("--config", str(config), "--log-format", "json", "--group", topic)
    return Site(servers, topic, flags, tmp_path / "worker.log")


@pytest.mark.parametrize(
    ("text", "how", "delivery"),
    [
        ("a segfault in the mill", "SIGSEGV", "exactly_once"),
        ("an endless tale of a mill", "gave no answer within 5 s", "at_least_once"),
    ],
)
async def test_exactly_the_culprit_becomes_a_dead_letter(
    site: Site, text: str, how: str, delivery: str
) -> None:
    """The worker ends once of it, comes back under its supervisor, and tries it in a child."""
    texts = [f"Dock {number} reports a loss" for number in range(60)]
    texts[31] = text
    await site.send(*texts)
    async with running_worker(
        site.servers, site.log, *site.flags, "--workers", "2", "--delivery", delivery, ready=False
    ) as worker:
        answers = await site.until_ended(60, worker)
        letters = [header(one, "headrace_message") for one in await site.letters()]
        assert len(letters) == 1, letters
        assert set(answers) == {f"n-{number}" for number in range(60)} - {"n-31"}
        assert set(answers.values()) == {1}
        if delivery == "exactly_once":
            assert len(await site.results()) == 59
        (letter,) = await site.letters()
        told = decode_dead_letter(letter)
        assert (told.error, told.event_id, told.attempts) == ("crashed", "n-31", 2)
        assert how in told.message
        assert letter.value == orjson.dumps({"id": "n-31", "headline": text})
        assert site.logged("worker_died") == 1
        metrics = await worker.metrics()
        assert metrics['headrace_suspect_events_total{outcome="crashed"}'] == 1
        assert metrics["headrace_suspect_waiting_events"] == 0
        assert await worker.stop() == 0
    assert list(site.state.glob("*.journal")) == []


async def test_a_worker_that_is_killed_from_outside_costs_no_event(site: Site) -> None:
    """What it worked on is tried alone and answered; nothing of it becomes a letter."""
    texts = [f"Dock {number} reports a loss" for number in range(600)]
    async with running_worker(site.servers, site.log, *site.flags, "--workers", "2") as worker:
        sending = asyncio.create_task(site.send(*texts, pause_s=0.01))
        await asyncio.sleep(2.0)
        os.kill(site.worker_pids()[-1], signal.SIGKILL)
        await sending
        answers = await site.until_ended(600, worker)
        assert len(answers) == 600
        assert await site.letters() == []
        assert site.logged("worker_died") == 1
        assert await worker.stop() == 0
    assert list(site.state.glob("*.journal")) == []


async def test_a_model_that_fails_on_everything_is_stopped(site: Site, tmp_path: Path) -> None:
    """Most events stay where they are, for a model that works, and nothing is lost.

    Letters that had overtaken an event that is kept lie beyond what could be committed, so a model
    that works may answer their events after all.
    """
    model = crashing_engine.write_model(tmp_path / "model", sick=True)
    count = 2_000
    await site.send(*(f"Dock {number} sees a ferry" for number in range(count)))
    async with running_worker(
        site.servers, site.log, *site.flags, "--workers", "2", ready=False
    ) as worker:
        open_breakers = f'headrace_breaker_open{{topic="{site.topic}"}}'
        async with asyncio.timeout(60):
            while site.logged("breaker_open") < 2:  # noqa: ASYNC110 - another process logs it
                await asyncio.sleep(0.2)
        await asyncio.sleep(2)  # the device has a batch or two of the same kind
        buried = len(await site.letters())
        # Longer than a stall: that they stand still is no reason to start them again.
        await asyncio.sleep(7)
        assert (await worker.metrics())[open_breakers] == 2
        assert await worker.status("/readyz") == 503
        assert len(await site.letters()) == buried < count / 2
        assert site.logged("worker_died") == site.logged("consumer_stalled") == 0
        assert await worker.stop() == 0
    crashing_engine.write_model(model)
    async with running_worker(site.servers, site.log, *site.flags) as worker:
        answers = await site.until_ended(count, worker)
        assert set(answers.values()) == {1}
        assert count - buried <= len(answers) <= count
        assert await worker.stop() == 0
