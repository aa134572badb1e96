"""Works in, completions out: once each, on time where that can be, and an end to everything."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from inference.engine import EffortLevel
from inference.scheduler import Scheduler
from inference.settings import SchedulerSettings
from inference.work import Completion, OverloadPolicy, Work
from schemas.errors import EngineError
from tests.fakes.clock import ManualClock
from tests.fakes.engine import EFFORTS, FakeEngine, Poison, encode_words
from tests.fakes.works import work

FACTORS = {"full": 1.0, "early_exit": 0.5, "low": 0.25}
POISON = encode_words(["poison"]).data
EXAMPLES = [encode_words(["word"] * 10)]


def cost(tokens: int, events: int, effort: EffortLevel) -> float:
    """Return 10 ms and one for each token; less at lower efforts."""
    del events
    return FACTORS[effort.name] * (0.010 + 0.001 * tokens)


class Bench:
    """A scheduler on a clock that the test moves; timers of the loop follow it.

    The device takes no time unless it is ``timed``; then it moves the clock itself.
    """

    def __init__(
        self,
        *,
        settings: SchedulerSettings | None = None,
        poison: Poison | None = None,
        timed: bool = False,
    ) -> None:
        self.clock = ManualClock()
        self.clock.drive(asyncio.get_running_loop())
        self.engine = (
            FakeEngine(cost=cost, spend=self.clock.advance, poison=poison)
            if timed
            else FakeEngine(poison=poison)
        )
        self.completions: list[Completion] = []
        self.batches: list[tuple[int, int, float, str]] = []
        self._news = asyncio.Event()
        self.scheduler = Scheduler(
            self.engine,
            settings or SchedulerSettings(),
            self.clock,
            self._deliver,
            observe_batch=lambda *batch: self.batches.append(batch),
        )

    def work(self, *, budget: float = 9.0, **fields: Any) -> Work:
        """Make a work that arrives now."""
        return work(arrival=self.clock.monotonic(), budget=budget, **fields)

    def offer(self, *works: Work) -> list[Work]:
        """Offer works together, and return them."""
        self.scheduler.offer(works)
        return list(works)

    async def completed(self, number: int) -> list[Completion]:
        """Wait until so many works have completed."""
        while len(self.completions) < number:
            self._news.clear()
            await self._news.wait()
        return self.completions

    async def hold_device(self) -> Work:
        """Offer a work and keep the device busy with it."""
        self.engine.hold()
        (held,) = self.offer(self.work(handle="held"))
        await turns()
        assert self.engine.wait_until_held()
        return held

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and the loop's timers fire."""
        self.clock.advance(seconds)
        await turns()

    def _deliver(self, completions: Sequence[Completion]) -> None:
        self.completions.extend(completions)
        self._news.set()


async def turns(number: int = 5) -> None:
    """Let the event loop turn some times."""
    for _ in range(number):
        await asyncio.sleep(0)


@asynccontextmanager
async def bench(
    *,
    settings: SchedulerSettings | None = None,
    poison: Poison | None = None,
    timed: bool = False,
    started: bool = True,
) -> AsyncIterator[Bench]:
    """Yield a bench and close its scheduler; a timed device is warmed up."""
    opened = Bench(settings=settings, poison=poison, timed=timed)
    if started:
        await opened.scheduler.start(EXAMPLES if timed else ())
        opened.engine.batches.clear()
    try:
        yield opened
    finally:
        opened.engine.release()
        await opened.scheduler.close()


def handles(completions: Sequence[Completion]) -> list[object]:
    """Return the works' handles in order."""
    return [completion.work.handle for completion in completions]


async def test_every_work_completes_once_with_its_own_answer() -> None:
    """Whatever else was in its batch."""
    async with bench() as opened:
        works = [
            one
            for start in range(0, 300, 7)
            for one in opened.offer(
                *(opened.work(ids=(n, n + 1), priority=n % 10) for n in range(start, start + 7))
            )
        ]
        completions = await opened.completed(len(works))
        assert await opened.scheduler.drain(1.0)
    assert {id(one.work) for one in completions} == {id(one) for one in works}
    assert len(completions) == len(works)
    for one in completions:
        assert one.prediction == opened.engine.answer(one.work.encoded.data, EFFORTS[0])
        assert (one.error, one.reason, one.degraded, one.effort) == (None, None, False, EFFORTS[0])


async def test_a_free_device_waits_for_no_timer() -> None:
    """The clock stands still, and the work runs all the same."""
    async with bench() as opened:
        opened.offer(opened.work(handle="only"))
        assert handles(await opened.completed(1)) == ["only"]


async def test_works_of_one_turn_of_the_loop_share_a_batch() -> None:
    """A poll's worth of events comes in several offers; the decision waits for the last of them."""
    async with bench() as opened:
        opened.offer(opened.work())
        opened.offer(opened.work(), opened.work())
        await opened.completed(3)
    assert opened.engine.batches == [(3, 30, "full")]
    assert opened.batches == [(3, 30, 0.0, "full")]


async def test_what_is_offered_before_the_start_waits_for_it() -> None:
    """Nothing runs on an engine that is not warmed up."""
    async with bench(started=False) as opened:
        opened.offer(opened.work())
        await turns()
        assert opened.scheduler.snapshot().queued_works == 1
        await opened.scheduler.start()
        await opened.completed(1)


async def test_a_completion_says_where_the_time_went() -> None:
    """The first waits for nothing and runs 20 ms; the second waits for it."""
    async with bench(timed=True) as opened:
        opened.offer(opened.work(handle=1))
        await opened.completed(1)
        late = opened.work(handle=2)
        opened.clock.advance(0.5)
        opened.offer(late)
        first, second = await opened.completed(2)
    assert (first.queue_s, first.model_s) == (pytest.approx(0.0), pytest.approx(0.020))
    assert (second.queue_s, second.model_s) == (pytest.approx(0.5), pytest.approx(0.020))


async def test_one_batch_runs_one_is_prepared_the_rest_waits() -> None:
    """And the snapshot tells them apart."""
    async with bench() as opened:
        await opened.hold_device()
        opened.offer(*(opened.work() for _ in range(4)))
        await turns()
        opened.offer(*(opened.work() for _ in range(3)))
        await turns()
        state = opened.scheduler.snapshot()
        opened.engine.release()
        await opened.completed(8)
        assert opened.scheduler.snapshot().expected_free_at is None
    assert (state.running_works, state.prepared_works) == (1, 4)
    assert (state.queued_works, state.queued_tokens) == (3, 30)
    assert [events for events, _, _ in opened.engine.batches] == [1, 4, 3]


async def test_the_next_batch_is_formed_just_before_the_device_is_free() -> None:
    """The timer is set for that moment: 2 ms before the 20 are over."""
    async with bench(timed=True) as opened:
        await opened.hold_device()
        opened.offer(opened.work())
        await turns()
        await opened.pass_time(0.017)
        assert opened.scheduler.snapshot().prepared_works == 0
        await opened.pass_time(0.002)
        assert opened.scheduler.snapshot().prepared_works == 1
        opened.engine.release()
        await opened.completed(2)


async def test_an_arrival_moves_the_timer() -> None:
    """A work with less time left than all others is looked after when its own time is up."""
    async with bench(timed=True) as opened:
        await opened.hold_device()
        for _ in range(2):
            opened.offer(opened.work())
            await turns()
        opened.offer(opened.work(budget=0.032, on_overload=OverloadPolicy.SHED, handle="brief"))
        await turns()
        assert opened.completions == []
        await opened.pass_time(0.010)
        assert handles(opened.completions) == ["brief"]
        opened.engine.release()
        await opened.completed(4)


async def test_shed_works_complete_without_having_run() -> None:
    """With a reason, while the device is busy with something else."""
    async with bench(timed=True) as opened:
        await opened.hold_device()
        opened.offer(opened.work(budget=0.001, handle="hopeless"))
        await turns()
        (shed,) = opened.completions
        opened.engine.release()
        await opened.completed(2)
    assert shed.work.handle == "hopeless"
    assert (shed.prediction, shed.effort, shed.error, shed.model_s) == (None, None, None, 0.0)
    assert shed.reason is not None
    assert len(opened.engine.batches) == 1


async def test_degraded_works_say_so() -> None:
    """20 ms would be needed and 10 are left after the reserve."""
    async with bench(timed=True) as opened:
        opened.offer(opened.work(budget=0.018))
        (completion,) = await opened.completed(1)
    assert completion.effort == EFFORTS[1]
    assert completion.degraded
    assert completion.reason is not None
    assert completion.prediction == opened.engine.answer(completion.work.encoded.data, EFFORTS[1])


async def test_a_poisoned_work_errs_alone() -> None:
    """Its neighbours are answered; what the search took is not mistaken for the cost of a batch."""
    async with bench(timed=True) as opened:
        before = opened.scheduler.snapshot().costs
        opened.offer(opened.work(ids=(1,)), opened.work(ids=POISON), opened.work(ids=(2,)))
        completions = await opened.completed(3)
        assert opened.scheduler.snapshot().costs == before
        assert opened.scheduler.healthy
    failed = [one for one in completions if one.error is not None]
    assert [one.work.encoded.data for one in failed] == [POISON]
    assert failed[0].prediction is None
    assert all(one.prediction for one in completions if one.error is None)


async def test_what_is_queued_can_be_withdrawn() -> None:
    """It never completes; what is running or prepared completes all the same."""
    async with bench() as opened:
        await opened.hold_device()
        opened.offer(opened.work(handle="prepared"))
        await turns()
        queued = opened.offer(*(opened.work(handle=number) for number in range(6)))
        gone = opened.scheduler.withdraw(lambda one: one.handle in {"prepared", 0, 2, 4})
        opened.engine.release()
        await opened.completed(5)
        assert await opened.scheduler.drain(1.0)
    assert gone == [queued[0], queued[2], queued[4]]
    assert handles(opened.completions) == ["held", "prepared", 1, 3, 5]


async def test_withdrawing_the_last_work_makes_it_idle() -> None:
    """Whoever drains need not wait for what is no longer there."""
    async with bench(started=False) as opened:
        opened.offer(opened.work())
        draining = asyncio.create_task(opened.scheduler.drain(60.0))
        await turns()
        assert not draining.done()
        opened.scheduler.withdraw(lambda _: True)
        assert await draining


async def test_the_caller_is_told_when_to_stop_and_when_to_resume() -> None:
    """Full at the mark, room again at half of it; what comes in between is counted, not refused."""
    settings = SchedulerSettings(max_queue_tokens=40)
    async with bench(settings=settings, started=False) as opened:
        scheduler = opened.scheduler
        opened.offer(*(opened.work(handle=number) for number in range(3)))
        assert (scheduler.full, scheduler.room_tokens, scheduler.has_room_again) == (
            False,
            10,
            False,
        )
        opened.offer(opened.work(handle=3))
        assert scheduler.full
        opened.offer(opened.work(handle=4), opened.work(handle=5))
        assert scheduler.snapshot().overfilled_works == 2
        scheduler.withdraw(lambda one: one.handle < 4)
        assert scheduler.has_room_again
        await scheduler.start()
        await opened.completed(2)


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


async def test_costs_are_known_from_the_warm_up_and_then_learned() -> None:
    """The snapshot holds a curve for each effort."""
    async with bench(timed=True) as opened:
        costs = opened.scheduler.snapshot().costs
        assert set(costs) == set(FACTORS)
        # Above the 60 ms that it takes, for predictions hold a margin.
        assert 0.060 < costs["full"].seconds(50, 5) < 0.072
        opened.offer(opened.work())
        await opened.completed(1)
        assert opened.scheduler.snapshot().costs != costs
