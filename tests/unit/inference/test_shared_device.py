"""Schedulers of several models on one device thread."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from inference.scheduler import Scheduler
from inference.settings import SchedulerSettings
from inference.shared_device import SharedDevice
from inference.work import Completion
from schemas.errors import EngineError
from tests.fakes.bench import cost, turns
from tests.fakes.clock import ManualClock
from tests.fakes.engine import FakeEngine, Poison, encode_words
from tests.fakes.works import work

SETTINGS = SchedulerSettings()
EXAMPLES = [encode_words(["word"] * 10)]


@dataclass
class Shared:
    """Schedulers of two models, their engines and what they delivered."""

    device: SharedDevice
    engines: list[FakeEngine]
    schedulers: list[Scheduler] = field(default_factory=list)
    completions: list[list[Completion]] = field(default_factory=list)

    def offer(self, model: int, text: str, number: int = 1) -> None:
        """Offer works to one model."""
        ids = encode_words(text.split()).data
        self.schedulers[model].offer([work(ids=ids, budget=9) for _ in range(number)])


@asynccontextmanager
async def shared(*engines: FakeEngine) -> AsyncIterator[Shared]:
    """Yield a scheduler per engine on one device; the same engine may come twice."""
    clock = ManualClock()
    clock.drive(asyncio.get_running_loop())
    opened = Shared(SharedDevice(clock, device_timeout_ms=60_000), list(engines))
    for engine in engines:
        delivered: list[Completion] = []
        opened.completions.append(delivered)
        scheduler = Scheduler(engine, SETTINGS, clock, delivered.extend, device=opened.device)
        opened.schedulers.append(scheduler)
        await scheduler.start()
    try:
        yield opened
    finally:
        for engine in engines:
            engine.release()
        for scheduler in opened.schedulers:
            await scheduler.close()


async def test_each_model_runs_its_own_works() -> None:
    """And each scheduler is told of its own alone."""
    async with shared(FakeEngine(), FakeEngine()) as opened:
        opened.offer(0, "one two", 3)
        opened.offer(1, "three", 2)
        for scheduler in opened.schedulers:
            assert await scheduler.drain(9)
        assert [len(each) for each in opened.completions] == [3, 2]
        assert [engine.batches for engine in opened.engines] == [[(3, 6, "full")], [(2, 2, "full")]]


async def test_one_model_waits_while_another_runs() -> None:
    """One thread: the snapshot of each shows its own part of what flies."""
    async with shared(FakeEngine(), FakeEngine()) as opened:
        opened.engines[0].hold()
        opened.offer(0, "one")
        await turns()
        opened.offer(1, "two")
        await turns()
        first, second = (scheduler.snapshot() for scheduler in opened.schedulers)
        assert (first.running_works, second.prepared_works) == (1, 1)
        assert first.prepared_works == second.running_works == 0
        assert not await opened.schedulers[1].drain(0)
        opened.engines[0].release()
        assert await opened.schedulers[1].drain(9)


async def test_a_poisoned_event_of_one_model_spares_the_other() -> None:
    """The culprit alone fails."""
    async with shared(FakeEngine(poison=Poison()), FakeEngine()) as opened:
        opened.offer(0, "poison")
        opened.offer(0, "well")
        opened.offer(1, "well", 2)
        for scheduler in opened.schedulers:
            assert await scheduler.drain(9)
        assert [one.error is not None for one in opened.completions[0]].count(True) == 1
        assert all(one.prediction for one in opened.completions[1])


async def test_a_dead_device_fails_all_its_schedulers() -> None:
    """Whoever waits for any of them hears of it."""
    async with shared(FakeEngine(poison=Poison("die")), FakeEngine()) as opened:
        opened.offer(0, "poison")
        await asyncio.wait([opened.schedulers[1].failure])
        assert not any(scheduler.healthy for scheduler in opened.schedulers)
        with pytest.raises(EngineError, match="restart the worker"):
            await opened.schedulers[0].failure


async def test_the_last_to_leave_ends_the_thread() -> None:
    """The others go on until then."""
    async with shared(FakeEngine(), FakeEngine()) as opened:
        await opened.schedulers[0].close()
        opened.offer(1, "on")
        assert await opened.schedulers[1].drain(9)
        assert not opened.device.failure.done()
        await opened.schedulers[1].close()
        assert opened.device.failure.cancelled()


async def test_what_the_device_was_given_completes_after_its_scheduler_left() -> None:
    """What was queued does not."""
    async with shared(FakeEngine(), FakeEngine()) as opened:
        opened.engines[0].hold()
        for text in ("running", "prepared", "queued"):
            opened.offer(0, text)
            await turns()
        await opened.schedulers[0].close()
        opened.engines[0].release()
        opened.offer(1, "on")
        assert await opened.schedulers[1].drain(9)
        assert len(opened.completions[0]) == 2
        assert opened.schedulers[0].snapshot().queued_works == 1


async def test_schedulers_of_one_engine_learn_together() -> None:
    """It is warmed up once, and what one learns the other knows."""
    clock = ManualClock()
    engine = FakeEngine(cost=cost, spend=clock.advance)
    device = SharedDevice(clock, device_timeout_ms=60_000)
    one, other = (
        Scheduler(engine, SETTINGS, clock, lambda _: None, device=device) for _ in range(2)
    )
    await one.start(EXAMPLES)
    run = len(engine.batches)
    await other.start(EXAMPLES)
    assert run == len(engine.batches) > 0
    assert one.snapshot().costs == other.snapshot().costs
    assert other.snapshot().costs["full"].seconds(10, 1) > 0.01
    for scheduler in (one, other):
        await scheduler.close()
