"""What runs next, what is shed, and when to look again."""

import math

import pytest

from inference.batcher import EXPIRY_TICK_S, Decision, MicroBatcher
from inference.cost import Coefficients
from inference.engine import EffortLevel
from inference.queue import DeadlineQueue
from inference.settings import SchedulerSettings
from inference.work import OverloadPolicy, Work
from tests.fakes.engine import EFFORTS
from tests.fakes.works import NOW, FixedCost, work

SETTINGS = SchedulerSettings(max_batch_tokens=1_000, publish_reserve_ms=5.0, prepare_lead_ms=2.0)
CURVE = Coefficients(fixed_s=0.010, per_token_s=0.001)
"""10 ms, and a millisecond for each token; half and a quarter of it at the lower efforts."""
COST = FixedCost(CURVE)
IDLE = -math.inf
SHED, LATE = OverloadPolicy.SHED, OverloadPolicy.LATE


def queue_of(*works: Work) -> DeadlineQueue:
    """Return a queue of works that have just arrived."""
    queue = DeadlineQueue(100_000, SETTINGS.priority_weights)
    queue.reprice(CURVE.per_token_s)
    for one in works:
        queue.push(one, one.arrival)
    return queue


def decide(
    *works: Work, now: float = NOW, free_at: float = IDLE, curious: bool = False
) -> Decision:
    """Decide over a queue of these works."""
    batcher = MicroBatcher(SETTINGS, EFFORTS)
    return batcher.decide(queue_of(*works), now, COST, free_at, curious=curious)


def members(decision: Decision) -> list[object]:
    """Return the handles of what runs."""
    assert decision.batch is not None
    return [entry.work.handle for entry in decision.batch.entries]


def test_an_empty_queue_needs_nothing() -> None:
    """No batch, no shedding, no wake-up."""
    decision = decide()
    assert (decision.batch, decision.shed, decision.wake_at) == (None, (), None)


def test_an_idle_device_runs_a_single_work_at_once() -> None:
    """Nobody waits for company that may never come."""
    decision = decide(work(10, budget=9))
    assert decision.batch is not None
    assert decision.batch.effort == EFFORTS[0]
    assert (decision.batch.tokens, decision.batch.degraded, decision.batch.late) == (
        10,
        False,
        False,
    )
    assert decision.batch.expected_s == pytest.approx(0.020)


def test_deciding_changes_nothing() -> None:
    """The same queue gives the same decision twice."""
    queue = queue_of(*(work(budget=0.2, handle=number) for number in range(40)), work(budget=0.01))
    batcher = MicroBatcher(SETTINGS, EFFORTS)
    first, second = (batcher.decide(queue, NOW, COST, IDLE) for _ in range(2))
    assert members(first) == members(second)
    assert [shed.entry for shed in first.shed] == [shed.entry for shed in second.shed]
    assert len(queue) == 41


def test_what_all_fits_runs_by_slack_at_full_effort() -> None:
    """Priorities do not matter as long as everyone can be met."""
    decision = decide(
        work(budget=0.8, handle="lax", priority=9),
        work(budget=0.2, handle="tight", priority=0),
        work(budget=0.5, handle="between", on_overload=SHED),
    )
    assert members(decision) == ["tight", "between", "lax"]


def test_a_busy_device_is_left_alone_until_just_before_it_is_free() -> None:
    """The later a batch is formed, the more it knows; the lead is what preparing takes."""
    decision = decide(work(budget=9), free_at=NOW + 0.050)
    assert decision.batch is None
    assert decision.wake_at == pytest.approx(NOW + 0.048)
    assert decide(work(budget=9), now=NOW + 0.048, free_at=NOW + 0.050).batch is not None


def test_a_batch_formed_ahead_starts_when_the_device_is_free() -> None:
    """Its members must be in time from then on, not from now on: 19 ms are needed, 18 left."""
    late_by_then = work(4, budget=0.020, on_overload=SHED)
    assert decide(late_by_then, free_at=NOW).batch is not None
    decision = decide(late_by_then, free_at=NOW + 0.002)
    assert decision.batch is None
    assert len(decision.shed) == 1


def test_a_device_that_overruns_is_expected_at_any_moment() -> None:
    """When the expected end has passed, the next batch is formed as if it started now."""
    assert decide(work(budget=9), free_at=NOW - 1).batch is not None


def test_no_third_batch_is_formed() -> None:
    """While the slot is taken, the only thing to wait for by the clock is a work's last chance."""
    waiting = decide(work(10, budget=0.5, on_overload=SHED), free_at=math.inf)
    assert waiting.batch is None
    assert waiting.wake_at == pytest.approx(NOW + 0.5 - 0.005 - 0.020)
    assert decide(work(10, on_overload=LATE), free_at=math.inf).wake_at is None


def test_looking_for_what_expires_does_not_spin() -> None:
    """Works that expire one after the other are looked after in ticks."""
    decision = decide(work(10, budget=0.0251, on_overload=SHED), free_at=math.inf)
    assert decision.wake_at == pytest.approx(NOW + EXPIRY_TICK_S)


def test_a_work_that_nothing_can_save_is_shed_with_a_reason() -> None:
    """A quarter of 20 ms at the lowest effort and the reserve are 10 ms; 9 are left."""
    decision = decide(work(10, budget=0.009))
    assert decision.batch is None
    (shed,) = decision.shed
    assert shed.reason == (
        "would miss its deadline by 1.0 ms: effort low needs 5.0 ms, 4.0 ms are left"
    )


def test_the_hopeless_are_shed_while_the_device_is_busy() -> None:
    """Whoever waits for the answer learns at once that there will be none."""
    decision = decide(work(10, budget=0.009), work(10, budget=9), free_at=NOW + 1)
    assert len(decision.shed) == 1
    assert decision.batch is None


def test_shed_means_full_effort_or_nothing() -> None:
    """20 ms would be too long and 10 would do, but not under this policy."""
    decision = decide(work(10, budget=0.020, on_overload=SHED))
    assert decision.batch is None
    assert "effort full needs 20.0 ms, 15.0 ms are left" in decision.shed[0].reason


def test_degrade_means_the_highest_effort_in_time() -> None:
    """Half the cost is in time, so a quarter is not resorted to; the result will say why."""
    batch = decide(work(10, budget=0.020)).batch
    assert batch is not None
    assert batch.effort == EFFORTS[1]
    assert batch.degraded
    assert batch.reason == "full effort would miss the deadline by 5.0 ms"
    lowest = decide(work(10, budget=0.011)).batch
    assert lowest is not None
    assert lowest.effort == EFFORTS[2]


def test_a_rescue_takes_nobody_along_who_needs_none() -> None:
    """Works that can be met at full effort are not degraded for a neighbour's sake."""
    decision = decide(work(10, budget=0.020, handle="tight"), work(10, budget=9, handle="lax"))
    assert members(decision) == ["tight"]
    assert decision.batch is not None
    assert decision.batch.degraded


def test_those_in_need_are_rescued_together() -> None:
    """Where full effort saves nobody, as many as possible go at the effort that saves most."""
    batch = decide(*(work(10, budget=0.019) for _ in range(30))).batch
    assert batch is not None
    assert not batch.late
    assert batch.effort == EFFORTS[2]
    assert batch.tokens == 40  # in 12.5 of 14 ms; at half the cost it would be 10 in 10


def test_those_in_need_go_before_those_who_are_late_anyway() -> None:
    """And works that no lower effort can help do not count as if it could."""
    decision = decide(
        work(10, budget=0.019, handle="in need"),
        *(work(10, budget=0.021, handle="late", on_overload=LATE) for _ in range(3)),
    )
    assert members(decision) == ["in need"]


def test_late_means_it_runs_all_the_same() -> None:
    """At full effort, and without a reason: nothing was taken from it."""
    batch = decide(work(10, budget=-1, on_overload=LATE)).batch
    assert batch is not None
    assert batch.late
    assert (batch.effort, batch.degraded, batch.reason) == (EFFORTS[0], False, None)


def test_late_works_fill_up_what_the_others_leave() -> None:
    """They come after those in time, who lose nothing by it."""
    decision = decide(
        work(10, budget=-0.1, handle="late", on_overload=LATE),
        work(10, budget=0.04, handle="in time", on_overload=SHED),
    )
    assert members(decision) == ["in time", "late"]
    too_tight = decide(
        work(10, budget=-0.1, handle="late", on_overload=LATE),
        work(10, budget=0.03, handle="in time", on_overload=SHED),
    )
    assert members(too_tight) == ["in time"]


def test_late_works_get_their_turn_by_age() -> None:
    """After half a second without any, a batch of late works goes first."""
    works = [work(10, budget=0.1, handle="late", on_overload=LATE)]
    for now, first in ((NOW + 0.3, "in time"), (NOW + 0.7, "late")):
        lax = [work(10, arrival=now, budget=0.5, handle="in time") for _ in range(60)]
        assert members(decide(*works, *lax, now=now))[0] == first


def test_overload_lowers_the_effort_first() -> None:
    """40 events take 410 ms, or in two batches 420; due in 300 they can be met at half of it."""
    decision = decide(*(work(10, budget=0.3) for _ in range(40)))
    assert decision.shed == ()
    assert decision.batch is not None
    assert decision.batch.effort == EFFORTS[1]
    assert decision.batch.reason is not None
    assert decision.batch.reason.startswith("full effort for all would leave ")


def test_effort_is_not_lowered_below_what_is_needed() -> None:
    """With the double budget, full effort does."""
    batch = decide(*(work(10, budget=0.6) for _ in range(40))).batch
    assert batch is not None
    assert not batch.degraded


def test_effort_is_not_lowered_where_that_gains_nothing() -> None:
    """An engine whose rungs cost the same degrades nobody under load."""
    flat = FixedCost(CURVE, {EFFORTS[1].name: 1.0, EFFORTS[2].name: 1.0})
    works = [work(10, budget=0.3) for _ in range(40)]
    batch = MicroBatcher(SETTINGS, EFFORTS).decide(queue_of(*works), NOW, flat, IDLE).batch
    assert batch is not None
    assert not batch.degraded


@pytest.mark.parametrize("policy", [SHED, LATE])
def test_an_overload_of_works_that_must_not_be_degraded_runs_good_batches(
    policy: OverloadPolicy,
) -> None:
    """Works due too soon for a large batch are passed over: by slack, each would take a batch."""
    tight = [work(10, budget=0.035, on_overload=policy) for _ in range(10)]
    lax = [work(10, budget=0.25, on_overload=policy) for _ in range(60)]
    batch = decide(*tight, *lax).batch
    assert batch is not None
    assert batch.tokens >= 180
    assert not batch.degraded
    assert {entry.work.deadline for entry in batch.entries} == {NOW + 0.25}


def test_under_overload_the_weights_decide() -> None:
    """Those of the higher priority get nearly all, though they came last and are due last."""
    low = [work(10, budget=0.25, priority=1, on_overload=SHED) for _ in range(40)]
    high = [work(10, budget=0.26, priority=8, on_overload=SHED) for _ in range(40)]
    batch = decide(*low, *high).batch
    assert batch is not None
    priorities = [entry.work.priority for entry in batch.entries]
    assert priorities.count(8) >= 0.9 * len(priorities)


def test_a_curious_batcher_runs_one_hopeless_work() -> None:
    """An estimate that sheds everything would never be corrected: the least hopeless runs."""
    hopeless = [work(10, budget=budget, handle=budget) for budget in (0.001, 0.005, 0.003)]
    assert len(decide(*hopeless).shed) == 3
    probe = decide(*hopeless, curious=True)
    assert members(probe) == [0.005]
    assert len(probe.shed) == 2
    assert probe.batch is not None
    assert (probe.batch.effort, probe.batch.late) == (EFFORTS[2], True)
    assert probe.batch.reason is not None


def test_a_curious_batcher_does_not_degrade_what_must_not_be() -> None:
    """The probe too keeps to the policy."""
    batch = decide(work(10, budget=0.001, on_overload=SHED), curious=True).batch
    assert batch is not None
    assert (batch.effort, batch.degraded, batch.reason) == (EFFORTS[0], False, None)


def test_curiosity_is_not_needed_where_something_runs() -> None:
    """The hopeless are shed then as ever."""
    decision = decide(work(10, budget=9, handle="fine"), work(10, budget=0.001), curious=True)
    assert members(decision) == ["fine"]
    assert len(decision.shed) == 1


@pytest.mark.parametrize(
    ("policy", "effort", "late"),
    [(OverloadPolicy.DEGRADE, EFFORTS[1], False), (SHED, EFFORTS[0], True)],
)
def test_a_free_device_does_not_wait_for_keys_to_be_computed_anew(
    policy: OverloadPolicy, effort: EffortLevel, late: bool
) -> None:
    """By its old key a work seems fine, by its cost it is not: it is saved, or runs, late."""
    queue = DeadlineQueue(100_000, SETTINGS.priority_weights)
    queue.push(work(100, on_overload=policy), NOW)
    batch = MicroBatcher(SETTINGS, EFFORTS).decide(queue, NOW, COST, IDLE).batch
    assert batch is not None
    assert (batch.effort, batch.late) == (effort, late)
    assert (batch.reason is None) is (policy is SHED)
