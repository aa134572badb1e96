"""Works in, completions out: once each, on time where that can be."""

import asyncio

import pytest

from inference.settings import SchedulerSettings
from inference.work import OverloadPolicy
from tests.fakes.bench import EXAMPLES, FACTORS, POISON, bench, handles, turns
from tests.fakes.engine import EFFORTS


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
    (run,) = opened.batches
    assert run[:6] == (3, 30, 0.0, "full", 0.0, True)
    assert run.works == tuple(one.work for one in opened.completions)


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


async def test_costs_that_were_kept_spare_the_measuring() -> None:
    """A few batches bear them out."""
    async with bench(timed=True) as first:
        kept = first.scheduler.learned_costs
    async with bench(timed=True, started=False) as anew:
        await anew.scheduler.start(EXAMPLES)
    async with bench(timed=True, started=False) as second:
        await second.scheduler.start(EXAMPLES, remembered=kept)
    assert len(second.engine.batches) < len(anew.engine.batches) / 2


async def test_costs_that_no_worker_wrote_are_measured_anew() -> None:
    """Well-formed nonsense must not keep a worker from starting, nor make it believe."""
    async with bench(timed=True, started=False) as opened:
        nonsense = {"log_speed": 1e4, "log_tail": 0.1, "efforts": {}}
        await opened.scheduler.start(EXAMPLES, remembered=nonsense)
        assert opened.scheduler.cost.predict(10, 1, "full") == pytest.approx(0.022, rel=0.1)
