"""Candidate batches grow to their bounds, and losses are foreseen in whole batches."""

import math

import pytest

from inference.cost import Coefficients
from inference.outlook import Losses, Outlook
from inference.plan import MISFITS, Plan, plan_all
from inference.queue import DeadlineQueue, Entry
from inference.settings import SchedulerSettings
from inference.work import OverloadPolicy, Work
from tests.fakes.works import NOW, work

SETTINGS = SchedulerSettings(max_batch_tokens=1_000, max_batch_events=20, publish_reserve_ms=5.0)
CURVE = Coefficients(fixed_s=0.010, per_token_s=0.001)
"""10 ms, and a millisecond for each token."""
HALF = CURVE.scaled(0.5)


def plan(enough: float = math.inf, settings: SchedulerSettings = SETTINGS) -> Plan:
    """Return an empty plan for a batch that starts now."""
    return Plan(0, CURVE, NOW, enough, settings)


def entries(*works: Work) -> list[Entry]:
    """Return entries in the order given, as a line would hold them."""
    return [Entry(one.deadline, number, one, one.deadline) for number, one in enumerate(works)]


def outlook(*works: Work, settings: SchedulerSettings = SETTINGS) -> Outlook:
    """Look at works that have all just arrived, with two efforts."""
    queue = DeadlineQueue(100_000, settings.priority_weights)
    queue.reprice(CURVE.per_token_s)
    for one in works:
        queue.push(one, NOW)
    return Outlook(queue, NOW, [CURVE, HALF], settings)


def sizes(candidate: Plan) -> list[int]:
    """Return the members' lengths in order."""
    return [entry.work.tokens for entry in candidate.entries]


def test_a_plan_grows_while_its_tightest_member_is_in_time() -> None:
    """100 ms less the reserve of 5 and the fixed 10 are 85 tokens: eight events of ten."""
    full = plan().fill(entries(work(budget=0.1), *(work(budget=9) for _ in range(20))))
    assert (len(full.entries), full.tokens) == (8, 80)
    assert full.seconds == pytest.approx(0.09)
    assert full.due == pytest.approx(NOW + 0.095)
    assert full.rate == pytest.approx(80 / 0.09)


def test_a_later_member_can_be_the_tightest() -> None:
    """One that would be late in the batch as it has become is left out; the rest goes on."""
    full = plan().fill(entries(work(40, budget=9), work(10, budget=0.06), work(5, budget=9)))
    assert sizes(full) == [40, 5]


def test_a_plan_stops_at_the_bound_of_events() -> None:
    """However short they are."""
    assert len(plan().fill(entries(*(work(1, budget=9) for _ in range(40)))).entries) == 20


def test_a_plan_stays_within_the_bound_of_tokens() -> None:
    """An event that would exceed it waits, and shorter ones go in its place."""
    full = plan().fill(entries(work(600, budget=9), work(600, budget=9), work(400, budget=9)))
    assert sizes(full) == [600, 400]


def test_a_longer_event_runs_alone() -> None:
    """It exceeds the bound by itself, so nothing joins it."""
    full = plan().fill(entries(work(1_500, budget=9), work(1, budget=9)))
    assert sizes(full) == [1_500]


def test_a_plan_stops_where_throughput_no_longer_improves() -> None:
    """Whoever is let wait a little then has a batch of as good a rate."""
    full = plan(enough=30).fill(entries(*(work(budget=9) for _ in range(9))))
    assert sizes(full) == [10, 10, 10]


def test_a_plan_is_closed_after_some_misfits() -> None:
    """The queue is not searched to its end for something that fits."""
    misfits = [work(2_000, budget=9) for _ in range(MISFITS + 1)]
    assert sizes(plan().fill(entries(work(budget=9), *misfits, work(budget=9)))) == [10]
    assert sizes(plan().fill(entries(work(budget=9), *misfits[1:], work(budget=9)))) == [10, 10]


def test_members_that_are_late_anyway_bind_nothing() -> None:
    """They fill up what the others leave, and the plan says so."""
    full = plan().fill(entries(work(20, budget=0.05)))
    assert not full.late
    full.fill(entries(work(10, budget=-1), work(10, budget=-1)), late=True)
    assert sizes(full) == [20, 10]
    assert full.late
    assert full.due == pytest.approx(NOW + 0.045)


def test_an_empty_plan_takes_no_time() -> None:
    """Nothing is promised of it."""
    assert (plan().seconds, plan().rate, plan().late) == (0.0, 0.0, False)


def test_works_too_tight_for_full_effort_are_doubtful() -> None:
    """20 tokens and the reserve need 35 ms: with less the work is in doubt, unless it may be late.

    The boundary is judged by the key, so only what is clearly on either side is looked at.
    """
    view = outlook(
        work(20, budget=0.034, handle="tight"),
        work(20, budget=0.036, handle="fine"),
        work(20, budget=0.034, handle="any time", on_overload=OverloadPolicy.LATE),
    )
    assert [entry.work.handle for entry in view.doubtful()] == ["tight"]
    assert [entry.work.handle for entry in view.late()] == ["any time"]


def test_the_tight_plan_begins_with_the_least_slack() -> None:
    """Across priorities and policies: while all can be met, nothing else matters."""
    view = outlook(
        work(10, budget=0.5, priority=9),
        work(20, budget=0.3, priority=1),
        work(30, budget=0.4, on_overload=OverloadPolicy.SHED),
    )
    assert sizes(view.tight(0)) == [20, 30, 10]


def test_a_lower_effort_is_for_works_that_allow_it() -> None:
    """The others are not even candidates."""
    view = outlook(
        work(10),
        work(20, on_overload=OverloadPolicy.SHED),
        work(30, on_overload=OverloadPolicy.LATE),
    )
    assert sizes(view.tight(1)) == sizes(view.wide(1)) == [10]
    assert sorted(sizes(view.tight(0))) == [10, 20, 30]


def test_the_wide_plan_passes_over_what_would_keep_it_small() -> None:
    """A work due in 40 ms would allow a batch of 25 tokens, of which most is the fixed cost."""
    view = outlook(work(10, budget=0.04), *(work(10, budget=0.3) for _ in range(19)))
    assert sizes(view.tight(0)) == [10, 10]
    assert sizes(view.wide(0)) == [10] * 19


def test_the_wide_plan_follows_the_weights() -> None:
    """Twice the weight, twice the tokens."""
    lax = [work(10, budget=5, priority=priority) for priority in (3, 4) for _ in range(20)]
    wide = outlook(*lax).wide(0)
    priorities = [entry.work.priority for entry in wide.entries]
    assert len(priorities) == 19  # 190 tokens, of which 10 ms are a twentieth
    assert priorities.count(4) == pytest.approx(2 * priorities.count(3), abs=2)


def test_a_line_that_got_nothing_for_too_long_goes_first_once() -> None:
    """Its first work leads; for the rest its weight counts again."""
    queue = DeadlineQueue(100_000, SETTINGS.priority_weights)
    for number in range(30):
        queue.push(work(budget=5, priority=9), NOW + 0.4 + number * 1e-3)
        queue.push(work(budget=5, priority=0), NOW - 0.2)
    queue.lines[0].served_at = NOW + 0.4
    wide = Outlook(queue, NOW + 0.45, [CURVE], SETTINGS).wide(0)
    assert [entry.work.priority for entry in wide.entries][:3] == [0, 9, 9]


def test_enough_is_where_the_fixed_cost_is_a_twentieth() -> None:
    """190 tokens at a millisecond each for 10 ms; the bounds of a batch come first."""
    assert outlook(work()).enough_tokens(CURVE) == pytest.approx(190)
    assert outlook(work(2)).enough_tokens(CURVE) == 40  # 20 events
    assert outlook(work()).enough_tokens(Coefficients()) == 200
    # Hardly any fixed cost: a batch of 5 ms then, for the hand-over costs something too.
    assert outlook(work()).enough_tokens(Coefficients(0.0, 0.001)) == pytest.approx(5)


def test_nothing_is_lost_where_nothing_waits() -> None:
    """A plan that takes all leaves no one behind."""
    view = outlook(work(), work())
    assert view.losses(view.tight(0)) == Losses(0.0, 0.0)


def test_works_due_before_the_end_of_the_next_batch_are_lost_now() -> None:
    """The plan's 90 ms and the next batch's 50 are too long for the one that is due in 120."""
    tight = [work(20, budget=0.1) for _ in range(4)]
    view = outlook(*tight, work(20, budget=0.12), work(20, budget=9))
    full = view.tight(0)
    assert sizes(full) == [20, 20, 20, 20]
    assert view.losses(full) == (pytest.approx(20), 0.0)


def test_more_than_the_device_can_do_is_lost_later() -> None:
    """400 tokens due in 330 ms: after one batch of 190 there is time for one more."""
    view = outlook(*(work(budget=0.33) for _ in range(57)))
    first = view.tight(0)
    assert first.tokens == 190
    losses = view.losses(first)
    assert losses.now + losses.later > 0.0
    lax = outlook(*(work(budget=1.0) for _ in range(57)))
    assert lax.losses(lax.tight(0)) == Losses(0.0, 0.0)


def test_a_load_that_is_too_much_is_told_from_works_that_came_too_late() -> None:
    """A handful that cannot be met does not make the device saturated."""
    few = outlook(work(80, budget=0.1), work(10, budget=0.104), *(work(budget=9) for _ in range(5)))
    assert not few.is_saturated_after(few.tight(0))
    many = outlook(*(work(budget=0.33) for _ in range(100)))
    assert many.is_saturated_after(many.tight(0))


def test_an_effort_helps_if_it_gains_throughput() -> None:
    """Half the cost does, the same cost does not."""
    assert outlook(work()).helps(1, 0)
    assert not outlook(work()).helps(0, 0)


def waiting(*works: Work) -> DeadlineQueue:
    """Return a queue of works that have all just arrived."""
    queue = DeadlineQueue(100_000, SETTINGS.priority_weights)
    for one in works:
        queue.push(one, NOW)
    return queue


def test_a_small_queue_without_hurry_is_one_batch() -> None:
    """The same that an outlook finds, whatever the lines."""
    shed = OverloadPolicy.SHED
    works = [work(10, budget=0.5, priority=level, on_overload=shed) for level in (1, 4, 7)]
    queue = waiting(*works, work(10, budget=0.4))
    found = plan_all(queue, NOW, CURVE, SETTINGS)
    assert found is not None
    same = Outlook(queue, NOW, [CURVE], SETTINGS).tight(0)
    assert (found.entries, found.tokens) == (same.entries, same.tokens)


@pytest.mark.parametrize(
    ("number", "tokens", "budget"),
    [(4, 10, 0.0549), (21, 1, 9.0), (10, 101, 9.0), (4, 10, -1.0)],
    ids=["tight", "many", "large", "late"],
)
def test_otherwise_it_takes_an_outlook(number: int, tokens: int, budget: float) -> None:
    """50 ms for 40 tokens and 5 to publish; more works, or tokens, than a batch holds; too late."""
    works = [work(tokens, budget=budget, on_overload=OverloadPolicy.LATE) for _ in range(number)]
    assert plan_all(waiting(*works), NOW, CURVE, SETTINGS) is None
