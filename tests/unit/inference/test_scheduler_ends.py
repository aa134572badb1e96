"""A scheduler comes to an end: drained, closed, or failed with a reason."""

import asyncio
from collections.abc import Sequence

import pytest

from inference.scheduler import Scheduler
from inference.settings import SchedulerSettings
from inference.work import Completion
from schemas.errors import EngineError
from tests.fakes.bench import POISON, bench, handles, turns
from tests.fakes.clock import ManualClock
from tests.fakes.engine import FakeEngine, Poison, encode_words
from tests.fakes.works import work


async def test_draining_an_idle_scheduler_takes_no_time() -> None:
    """Before the first work as well as after the last."""
    async with bench() as opened:
        assert await opened.scheduler.drain(0.0)
        opened.offer(opened.work())
        await opened.completed(1)
        assert await opened.scheduler.drain(0.0)


async def test_draining_gives_up_when_time_runs_out() -> None:
    """It says so, and can be tried again."""
    async with bench() as opened:
        await opened.hold_device()
        draining = asyncio.create_task(opened.scheduler.drain(2.0))
        await turns()
        await opened.pass_time(1.9)
        assert not draining.done()
        await opened.pass_time(0.2)
        assert not await draining
        opened.engine.release()
        await opened.completed(1)
        assert await opened.scheduler.drain(2.0)


async def test_closing_finishes_what_the_device_was_given() -> None:
    """Running and prepared batches complete; what is queued stays unanswered; twice is fine."""
    async with bench() as opened:
        await opened.hold_device()
        for handle in ("prepared", "queued"):
            opened.offer(opened.work(handle=handle))
            await turns()
        closing = asyncio.create_task(opened.scheduler.close())
        await turns()
        opened.engine.release()
        await closing
        await opened.scheduler.close()
        assert handles(opened.completions) == ["held", "prepared"]
        assert opened.scheduler.snapshot().queued_works == 1
        assert opened.scheduler.failure.cancelled()
        opened.offer(opened.work())
        await turns()
        assert len(opened.engine.batches) == 2


async def test_a_scheduler_that_never_started_can_be_closed() -> None:
    """Start-up may fail before it comes to that."""
    async with bench(started=False) as opened:
        await opened.scheduler.close()
        assert opened.scheduler.failure.cancelled()


async def test_a_device_that_hangs_is_a_failure() -> None:
    """After the time allowed, with a remedy, and closing does not wait for it."""
    async with bench(settings=SchedulerSettings(device_timeout_ms=4_000.0)) as opened:
        await opened.hold_device()
        await opened.pass_time(3.9)
        assert opened.scheduler.healthy
        await opened.pass_time(0.2)
        assert not opened.scheduler.healthy
        with pytest.raises(EngineError, match="device_timeout_ms"):
            await opened.scheduler.failure
        assert not await opened.scheduler.drain(60.0)
        await opened.scheduler.close()


async def test_draining_ends_when_the_device_fails() -> None:
    """There is nothing left to wait for."""
    async with bench(poison=Poison("die")) as opened:
        opened.offer(opened.work(ids=POISON))
        assert not await opened.scheduler.drain(60.0)
        assert not opened.scheduler.healthy
        with pytest.raises(EngineError, match="the device thread ended: DeviceDiedError"):
            await opened.scheduler.failure


async def test_a_receiver_that_raises_is_a_failure() -> None:
    """Completions that nobody took would otherwise be lost in silence."""
    clock = ManualClock()
    clock.drive(asyncio.get_running_loop())

    def refuse(completions: Sequence[Completion]) -> None:
        raise KeyError(len(completions))

    scheduler = Scheduler(FakeEngine(), SchedulerSettings(), clock, refuse)
    await scheduler.start()
    scheduler.offer([work()])
    with pytest.raises(KeyError):
        await scheduler.failure
    await scheduler.close()


async def test_an_error_of_the_scheduler_itself_is_a_failure() -> None:
    """In a callback of the loop it would only be logged, and the batch's events would be lost."""
    async with bench() as opened:

        def break_down(*_: object) -> None:
            raise ZeroDivisionError

        opened.scheduler._cost.observe = break_down  # type: ignore[method-assign]
        opened.offer(opened.work())
        with pytest.raises(ZeroDivisionError):
            await opened.scheduler.failure


async def test_an_engine_that_fails_its_warm_up_does_not_start() -> None:
    """The error reaches whoever starts it, and nothing has been run for anyone."""
    async with bench(started=False) as opened:
        opened.offer(opened.work())
        with pytest.raises(EngineError, match="warm-up"):
            await opened.scheduler.start([encode_words(["poison"])])
        await turns()
        assert opened.scheduler.snapshot().queued_works == 1


async def test_a_thread_that_dies_in_the_warm_up_is_told() -> None:
    """Starting must not wait for ever."""
    async with bench(started=False, poison=Poison("die")) as opened:
        with pytest.raises(EngineError, match="the device thread ended"):
            await opened.scheduler.start([encode_words(["poison"])])
