"""What the scheduler promises under load, measured on simulated devices.

The bounds leave slack to what was measured over five seeds on both devices. Goodput is the number
of events on time per second, as a share of what the device can do at full effort.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import fmean

import pytest

from inference.cost import Coefficients
from inference.settings import SchedulerSettings
from inference.simulation import Outcome, Trace
from inference.work import OverloadPolicy, Work
from tests.fakes.loads import SimulatedDevice, arrivals
from tests.fakes.works import NOW

SMALL_FIXED = SimulatedDevice(Coefficients(0.002, 0.00005, 0.0001))
"""About 900 events a second; a batch of 35 is good."""
LARGE_FIXED = SimulatedDevice(Coefficients(0.020, 0.000004, 0.00001))
"""About 4,000 events a second, in batches of 128 alone; a budget is six batches long."""
DEVICES = pytest.mark.parametrize("device", [SMALL_FIXED, LARGE_FIXED], ids=["small", "large"])
SECONDS = 3.0
DEGRADE, SHED, LATE = OverloadPolicy
THREE_BUDGETS = (0.05, 0.15, 1.0)

Choice = Callable[[Outcome], bool]


def share(trace: Trace, of: Choice, among: Choice = lambda _: True) -> float:
    """Return the share of outcomes that something holds for."""
    return fmean(of(one) for one in trace.outcomes if among(one))


def on_time(one: Outcome) -> bool:
    """Say whether a work made it, at whatever effort."""
    return one.on_time


def in_full(one: Outcome) -> bool:
    """Say whether a work made it at full effort."""
    return one.on_time and not one.degraded


def was_shed(one: Outcome) -> bool:
    """Say whether a work did not run."""
    return one.effort is None


def of_priority(priority: int) -> Choice:
    """Choose the works of a priority."""
    return lambda one: one.work.priority == priority


def goodput(device: SimulatedDevice, trace: Trace) -> float:
    """Return the share of the device's capacity that went into works on time."""
    arrived = [one.work.arrival for one in trace.outcomes]
    seconds = max(arrived) - min(arrived)
    return sum(one.on_time for one in trace.outcomes) / seconds / device.capacity


def longest_wait(trace: Trace, priority: int) -> float:
    """Return the longest time in seconds in which no work of a priority came off the device."""
    ended = [one.ended for one in trace.outcomes if of_priority(priority)(one) and one.effort]
    until = max(one.work.arrival for one in trace.outcomes)
    moments = [NOW, *sorted(moment for moment in ended if moment < until), until]
    return max(after - before for before, after in pairwise(moments))


def earliest_deadline_first(device: SimulatedDevice, works: Sequence[Work]) -> float:
    """Return the share on time if every work is run in the order of deadlines, in full batches."""
    waiting: list[Work] = []
    coming = list(works)
    now, met = NOW, 0
    while waiting or coming:
        now = now if waiting else max(now, coming[0].arrival)
        while coming and coming[0].arrival <= now:
            waiting.append(coming.pop(0))
        waiting.sort(key=lambda one: one.deadline)
        batch, waiting = waiting[:128], waiting[128:]
        now += device.typical_s(sum(one.tokens for one in batch), len(batch), "full")
        met += sum(now + 0.005 <= one.deadline for one in batch)
    return met / len(works)


@DEVICES
@pytest.mark.parametrize("policy", OverloadPolicy)
def test_below_capacity_all_are_on_time_in_full(
    device: SimulatedDevice, policy: OverloadPolicy
) -> None:
    """At 80 %, whatever the policy: it is for overload. Measured: 100 %."""
    trace = device.simulate(arrivals(0.8 * device.capacity, SECONDS, policies=(policy,)))
    assert share(trace, in_full) > 0.995


@DEVICES
def test_earliest_deadline_first_would_collapse(device: SimulatedDevice) -> None:
    """The reason for all this: at twice the capacity, soon everyone is late. Measured: 2 to 4 %."""
    works = arrivals(2 * device.capacity, SECONDS)
    assert earliest_deadline_first(device, works) < 0.1


@DEVICES
def test_shedding_keeps_the_goodput_near_capacity(device: SimulatedDevice) -> None:
    """At twice the capacity half is shed and the other half is on time. Measured: 96 to 103 %."""
    trace = device.simulate(arrivals(2 * device.capacity, SECONDS, policies=(SHED,)))
    assert goodput(device, trace) > 0.9
    assert share(trace, lambda one: one.degraded) == 0.0
    # Whatever was neither on time nor shed ran in vain.
    assert share(trace, on_time) + share(trace, was_shed) > 0.98


@DEVICES
def test_lateness_of_some_does_not_make_all_late(device: SimulatedDevice) -> None:
    """Works that must all run still do not collapse: late ones wait. Measured: 89 to 98 %."""
    trace = device.simulate(arrivals(2 * device.capacity, SECONDS, policies=(LATE,)))
    assert goodput(device, trace) > 0.8
    assert share(trace, was_shed) == 0.0
    assert share(trace, lambda one: one.degraded) == 0.0


def test_effort_falls_before_anything_is_shed() -> None:
    """Lower effort doubles what the device can do, and that is enough. Measured: 100 %."""
    trace = SMALL_FIXED.simulate(arrivals(2 * SMALL_FIXED.capacity, SECONDS))
    assert share(trace, on_time) > 0.98
    assert share(trace, was_shed) < 0.01


@pytest.mark.parametrize(
    ("device", "least"), [(SMALL_FIXED, 2.4), (LARGE_FIXED, 1.2)], ids=["small", "large"]
)
def test_what_lower_effort_cannot_save_is_shed(device: SimulatedDevice, least: float) -> None:
    """At five times the capacity the lowest effort's throughput is used: 2.7 and 1.3 times it."""
    trace = device.simulate(arrivals(5 * device.capacity, 2.0))
    assert goodput(device, trace) > least
    assert share(trace, on_time) + share(trace, was_shed) > 0.98


@DEVICES
@pytest.mark.parametrize("policy", OverloadPolicy)
def test_under_overload_the_device_is_never_idle(
    device: SimulatedDevice, policy: OverloadPolicy
) -> None:
    """From the first arrival to the last. Measured: 99.9 %."""
    trace = device.simulate(arrivals(2 * device.capacity, 1.0, policies=(policy,)))
    ended = max(batch.started + batch.seconds for batch in trace.batches)
    assert trace.busy_s > 0.99 * (ended - trace.batches[0].started)


@DEVICES
@pytest.mark.parametrize("policies", [(SHED,), tuple(OverloadPolicy)], ids=["shed", "mixed"])
def test_a_high_priority_keeps_its_share(
    device: SimulatedDevice, policies: Sequence[OverloadPolicy]
) -> None:
    """A third of twice the capacity has priority 7 and fits. Measured: at least 99.7 %.

    Of what is left, priority 4 gets about eight times what priority 1 gets.
    """
    works = arrivals(2 * device.capacity, 4.0, priorities=(1, 4, 7), policies=policies)
    trace = device.simulate(works)
    low, middle, high = (share(trace, on_time, of_priority(level)) for level in (1, 4, 7))
    assert high > 0.98
    assert high > middle > 1.2 * low


@DEVICES
def test_a_low_priority_is_not_starved(device: SimulatedDevice) -> None:
    """By weight it would get one token in 73; by age it gets its turn. Measured: 0.40 to 0.53 s."""
    works = arrivals(2 * device.capacity, 4.0, priorities=(1, 4, 7), policies=(SHED,))
    ageing_s = SchedulerSettings().ageing_ms / 1e3
    assert longest_wait(device.simulate(works), priority=1) < 1.3 * ageing_s


@DEVICES
def test_a_rare_urgent_event_is_not_held_up(device: SimulatedDevice) -> None:
    """One in ten has priority 7 and all of those are on time; the rest has the rest."""
    works = arrivals(2 * device.capacity, SECONDS, priorities=(7, *[4] * 9), policies=(SHED,))
    trace = device.simulate(works)
    assert share(trace, on_time, of_priority(7)) > 0.99
    assert goodput(device, trace) > 0.85


@pytest.mark.parametrize(
    ("device", "least"), [(SMALL_FIXED, 0.97), (LARGE_FIXED, 0.86)], ids=["small", "large"]
)
def test_budgets_of_all_kinds_are_met_at_lower_effort(
    device: SimulatedDevice, least: float
) -> None:
    """At 1.2 times the capacity, with budgets of 50 ms to 1 s. Measured: 99 and 90 to 92 %."""
    trace = device.simulate(arrivals(1.2 * device.capacity, SECONDS, budgets=THREE_BUDGETS))
    assert share(trace, on_time) > least


@DEVICES
def test_short_budgets_do_not_cost_throughput(device: SimulatedDevice) -> None:
    """A batch for each event in a hurry would: those are given up. Measured: 91 to 109 %."""
    works = arrivals(1.2 * device.capacity, SECONDS, budgets=THREE_BUDGETS, policies=(SHED,))
    assert goodput(device, device.simulate(works)) > 0.85


@DEVICES
def test_bursts_are_met_at_lower_effort(device: SimulatedDevice) -> None:
    """Half the capacity on average, 1.7 times it while the burst lasts. Measured: 92 to 100 %."""
    trace = device.simulate(arrivals(0.5 * device.capacity, SECONDS, busy_share=0.3))
    assert share(trace, on_time) > 0.88
    assert share(trace, in_full) > 0.15


@DEVICES
def test_after_an_overload_all_is_as_before(device: SimulatedDevice) -> None:
    """Half a second after the load has fallen, nobody is degraded any more. Measured: 100 %."""
    heavy = arrivals(2 * device.capacity, 2.0)
    light = arrivals(0.6 * device.capacity, 2.0, seed=2, start=NOW + 2.0)
    trace = device.simulate([*heavy, *light])
    assert share(trace, in_full, lambda one: one.work.arrival > NOW + 2.5) > 0.99


@DEVICES
def test_a_device_slower_than_believed_is_found_out(device: SimulatedDevice) -> None:
    """Everything takes twice what the warm-up said; at 80 % of what it really can do, all fit."""
    slow = SimulatedDevice(device.curve, slowdown=2.0)
    trace = slow.simulate(arrivals(0.8 * slow.capacity, 4.0, policies=(SHED,)))
    assert share(trace, on_time, lambda one: one.work.arrival > NOW + 2.0) > 0.99
