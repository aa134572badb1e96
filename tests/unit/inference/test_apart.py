"""Who gives way when not all can be met: those that may, of low priorities first, and no more."""

from collections.abc import Sequence
from statistics import fmean

import pytest

from inference.apart import plan_apart, plan_guarded, plan_rigid
from inference.cost import Coefficients
from inference.outlook import Outlook
from inference.queue import DeadlineQueue
from inference.settings import SchedulerSettings
from inference.simulation import Outcome
from inference.work import OverloadPolicy, Work
from tests.fakes.loads import SimulatedDevice, arrivals
from tests.fakes.works import NOW, work

SETTINGS = SchedulerSettings(publish_reserve_ms=0.0, max_batch_events=10)
CURVE = Coefficients(fixed_s=0.001, per_token_s=0.0001)
"""Ten works of ten tokens in 11 ms; a quarter of it at the lowest effort."""
LADDER = [CURVE, CURVE.scaled(0.5), CURVE.scaled(0.25)]
DEGRADE, SHED, LATE = OverloadPolicy


def outlook(*works: Work, ladder: Sequence[Coefficients] = LADDER) -> Outlook:
    """Look at works that have just arrived."""
    queue = DeadlineQueue(100_000, SETTINGS.priority_weights)
    queue.reprice(ladder[0].per_token_s)
    for one in works:
        queue.push(one, NOW)
    return Outlook(queue, NOW, ladder, SETTINGS)


def some(number: int, priority: int, budget: float, policy: OverloadPolicy = DEGRADE) -> list[Work]:
    """Return works of ten tokens."""
    return [
        work(10, priority=priority, budget=budget, on_overload=policy, handle=priority)
        for _ in range(number)
    ]


def priorities(entries: Sequence[object]) -> set[object]:
    """Return whose works are in a batch."""
    return {entry.work.handle for entry in entries}


def test_low_priorities_give_way_first() -> None:
    """40 of each are 88 ms at full effort; with the low ones at half effort 66, in time for 75."""
    found = plan_apart(outlook(*some(40, 1, 0.074), *some(40, 8, 0.075)), 3)
    assert found is not None
    assert found.level == 1
    assert priorities(found.entries) == {1}


def test_those_that_keep_full_effort_have_batches_of_their_own() -> None:
    """The same, but the high priority is due first."""
    found = plan_apart(outlook(*some(40, 1, 0.075), *some(40, 8, 0.074)), 3)
    assert found is not None
    assert found.level == 0
    assert priorities(found.entries) == {8}


def test_they_give_way_as_far_as_it_takes() -> None:
    """Of 68 ms the high ones take 44, and one batch of theirs, 11, may be in the way of the others.

    A quarter of the low ones' 44 fits, a half does not.
    """
    found = plan_apart(outlook(*some(40, 1, 0.0675), *some(40, 8, 0.068)), 3)
    assert found is not None
    assert (found.level, priorities(found.entries)) == (2, {1})


def test_the_middle_gives_way_where_the_lowest_is_not_enough() -> None:
    """20 of each are 66 ms; in 47, with the lowest at a quarter 49.5 are too many, 33 are not."""
    waiting = [*some(20, 1, 0.047), *some(20, 4, 0.0465), *some(20, 8, 0.047)]
    found = plan_apart(outlook(*waiting), 3)
    assert found is not None
    assert found.level > 0
    assert priorities(found.entries) <= {1, 4}


def test_works_that_allow_no_lower_effort_keep_full_effort_whatever_their_priority() -> None:
    """The high priority gives way for the sake of the low one: it says that it may."""
    found = plan_apart(outlook(*some(40, 1, 0.075, SHED), *some(40, 8, 0.074)), 3)
    assert found is not None
    assert (found.level, priorities(found.entries)) == (1, {8})


def test_where_all_must_give_way_nobody_is_set_apart() -> None:
    """One batch for all is better filled; so it is where no effort helps."""
    assert plan_apart(outlook(*some(40, 1, 0.040), *some(40, 8, 0.040)), 3) is None
    same = [CURVE, CURVE, CURVE]
    assert plan_apart(outlook(*some(40, 1, 0.075), *some(40, 8, 0.074), ladder=same), 3) is None


def test_one_class_alone_is_not_parted() -> None:
    """There is nobody who could give way for others."""
    assert plan_apart(outlook(*some(80, 4, 0.075)), 3) is None
    assert plan_apart(outlook(*some(80, 4, 0.075, SHED)), 3) is None


def test_rigid_works_do_not_lift_others_to_full_effort() -> None:
    """A batch of them alone; the others' at a quarter of the time comes behind it."""
    found = plan_rigid(outlook(*some(10, 8, 0.05, SHED), *some(90, 1, 0.05)), 3)
    assert found is not None
    assert (found.level, priorities(found.entries)) == (0, {8})


def test_rigid_works_share_a_batch_where_a_batch_costs_much_whatever_it_holds() -> None:
    """20 ms each, and a token nearly nothing: two batches would do half of what one does."""
    large = [Coefficients(0.020, 0.00001 * factor) for factor in (1.0, 0.5, 0.25)]
    waiting = [*some(1, 8, 0.05, SHED), *some(90, 1, 0.05)]
    assert plan_rigid(outlook(*waiting, ladder=large), 3) is None


@pytest.mark.parametrize("policies", [(SHED,), (SHED, LATE)])
def test_without_others_there_is_nobody_to_be_rigid_against(
    policies: Sequence[OverloadPolicy],
) -> None:
    """Nor where all are rigid."""
    waiting = [one for policy in policies for one in some(10, 8, 0.05, policy)]
    assert plan_rigid(outlook(*waiting), 3) is None


SMALL_FIXED = SimulatedDevice(Coefficients(0.002, 0.00005, 0.0001))


def both(high: OverloadPolicy, share: float) -> tuple[list[Outcome], list[Outcome]]:
    """Let priorities 8 and 1 arrive, the high one with a fifth of the capacity."""
    capacity = SMALL_FIXED.capacity
    works = [
        *arrivals(0.2 * capacity, 3.0, priorities=(8,), policies=(high,)),
        *arrivals(share * capacity, 3.0, seed=2, priorities=(1,)),
    ]
    outcomes = SMALL_FIXED.simulate(sorted(works, key=lambda one: one.arrival)).outcomes
    return (
        [one for one in outcomes if one.work.priority == 8],
        [one for one in outcomes if one.work.priority == 1],
    )


def test_a_flood_of_low_priority_does_not_cost_the_high_one_its_full_effort() -> None:
    """1.2 times the capacity in all. Measured: 100 % in full, and 69 % with one effort for all."""
    high, low = both(DEGRADE, 1.0)
    assert fmean(one.on_time and not one.degraded for one in high) > 0.9
    assert fmean(one.on_time for one in low) > 0.98


def test_a_few_works_at_full_effort_leave_the_rest_its_lower_effort() -> None:
    """2 times the capacity in all. Measured: 100 % on time, and 45 % in batches for all."""
    high, low = both(SHED, 1.8)
    assert fmean(one.on_time for one in high) > 0.99
    assert fmean(one.on_time for one in low) > 0.9


def test_high_priorities_that_fit_are_guarded_from_a_flood() -> None:
    """400 of low priority cannot be met at any effort; 5 of high priority take their turn."""
    flood = some(400, 1, 0.1)
    found = plan_guarded(outlook(*flood, *some(5, 8, 0.1)), 3)
    assert found is not None
    assert (found.level, priorities(found.entries)) == (0, {8})
    assert len(found.entries) == 5


def test_the_flood_has_its_turns_between() -> None:
    """Once the high priority was served, and could wait for some batches more."""
    of_high, of_low = some(10, 8, 0.1), some(400, 1, 0.1)
    queue = DeadlineQueue(100_000, SETTINGS.priority_weights)
    queue.reprice(CURVE.per_token_s)
    entries = [queue.push(one, NOW) for one in (*of_high, *of_low)]
    queue.take(entries[:5], NOW + 0.001)
    found = plan_guarded(Outlook(queue, NOW + 0.001, LADDER, SETTINGS), 3)
    assert found is not None
    assert (found.level, priorities(found.entries)) == (2, {1})


def test_a_high_priority_in_a_hurry_does_not_wait_for_the_flood() -> None:
    """Though it was served last."""
    queue = DeadlineQueue(100_000, SETTINGS.priority_weights)
    queue.reprice(CURVE.per_token_s)
    entries = [queue.push(one, NOW) for one in (*some(10, 8, 0.012), *some(400, 1, 0.1))]
    queue.take(entries[:5], NOW + 0.001)
    found = plan_guarded(Outlook(queue, NOW + 0.001, LADDER, SETTINGS), 3)
    assert found is not None
    assert (found.level, priorities(found.entries)) == (0, {8})


@pytest.mark.parametrize(
    "works",
    [
        [*some(400, 8, 0.1), *some(5, 1, 0.1)],
        [*some(400, 1, 0.1, SHED), *some(5, 8, 0.1)],
        some(400, 8, 0.1),
    ],
    ids=["the flood is the high priority", "the flood may not be degraded", "one priority"],
)
def test_nobody_is_guarded_where_that_is_no_help(works: list[Work]) -> None:
    """The weights decide as before."""
    assert plan_guarded(outlook(*works), 3) is None


def test_a_high_priority_keeps_full_effort_while_a_low_one_floods() -> None:
    """At five times what the device can do; the low one still has most of it."""
    device = SimulatedDevice(Coefficients(0.0004, 0.000008, 0.00002))
    low = arrivals(5.0 * device.capacity, 1.5, priorities=(1,))
    high = arrivals(0.2 * device.capacity, 1.5, priorities=(8,), seed=2)
    trace = device.simulate(sorted([*low, *high], key=lambda one: one.arrival))
    parts: dict[int, list[Outcome]] = {1: [], 8: []}
    for one in trace.outcomes:
        parts[one.work.priority].append(one)
    assert fmean(one.on_time for one in parts[8]) > 0.999
    assert fmean(one.degraded for one in parts[8]) < 0.05
    assert sum(one.on_time for one in parts[1]) > 1.5 * device.capacity * 1.5
