"""Effort falls at once and rises step by step, so that it does not alternate."""

from statistics import fmean

import pytest

from inference.batcher import Batch
from inference.cost import Coefficients
from inference.dispatch import Dispatch
from inference.effort_hold import EffortHold
from inference.queue import Entry
from inference.settings import SchedulerSettings
from inference.simulation import Simulation, Trace
from inference.turns import Turns
from inference.work import OverloadPolicy
from tests.fakes.engine import EFFORTS
from tests.fakes.loads import SimulatedDevice, arrivals
from tests.fakes.works import NOW, FixedCost, work

COST = FixedCost(Coefficients(0.010))
DEVICE = SimulatedDevice(Coefficients(0.0004, 0.000008, 0.00002))
HOLD_S = 0.05
FULL, EARLY, LOW = EFFORTS


def batch(level: int, **fields: object) -> Batch:
    """Return a batch of one work, as a strategy would have it."""
    one = work(20, **fields)  # type: ignore[arg-type]
    return Batch(
        entries=(Entry(0.0, 1, one, one.deadline),),
        effort=EFFORTS[level],
        degraded=level > 0,
        reason="too much" if level else None,
        tokens=20,
        expected_s=0.010,
        late=False,
    )


def run_at(hold: EffortHold, level: int, after_s: float, **fields: object) -> str:
    """Return the effort that a batch is run at which needs a level."""
    return hold.applied(batch(level, **fields), NOW + after_s, COST).effort.name


def test_effort_falls_at_once_and_rises_by_a_rung_at_a_time() -> None:
    """Each rung is held for as long."""
    hold = EffortHold(EFFORTS, HOLD_S)
    assert run_at(hold, 0, 0.0) == FULL.name
    assert run_at(hold, 2, 0.0) == LOW.name
    assert run_at(hold, 0, 0.049) == LOW.name
    assert run_at(hold, 0, 0.051) == EARLY.name
    assert run_at(hold, 0, 0.099) == EARLY.name
    assert run_at(hold, 0, 0.101) == FULL.name


def test_a_new_need_begins_a_new_hold() -> None:
    """A lesser one does not lift what is held."""
    hold = EffortHold(EFFORTS, HOLD_S)
    run_at(hold, 2, 0.0)
    assert run_at(hold, 1, 0.02) == LOW.name
    assert run_at(hold, 2, 0.04) == LOW.name
    assert run_at(hold, 0, 0.08) == LOW.name


def test_what_is_held_says_so() -> None:
    """The verdict is degraded, and the reason is not that it would be late."""
    hold = EffortHold(EFFORTS, HOLD_S)
    hold.applied(batch(2), NOW, COST)
    held = hold.applied(batch(0), NOW, COST)
    assert held.degraded
    assert held.reason == "effort low is held after an overload"


@pytest.mark.parametrize(
    "fields",
    [
        {"on_overload": OverloadPolicy.SHED},
        {"on_overload": OverloadPolicy.LATE},
        {"priority": 5},
    ],
)
def test_it_holds_those_alone_who_were_degraded(fields: dict[str, object]) -> None:
    """Not those who allow no lower effort, nor those of higher priority."""
    hold = EffortHold(EFFORTS, HOLD_S)
    run_at(hold, 2, 0.0, priority=4)
    assert run_at(hold, 0, 0.01, **fields) == FULL.name
    assert run_at(hold, 0, 0.01, priority=4) == LOW.name


def test_without_a_hold_effort_is_what_is_needed() -> None:
    """Batch by batch."""
    hold = EffortHold(EFFORTS, 0.0)
    assert [run_at(hold, level, 0.0) for level in (2, 0, 1, 0)] == [
        "low",
        "full",
        "early_exit",
        "full",
    ]


def test_an_event_on_a_device_at_rest_runs_in_full() -> None:
    """An overload of long ago is forgotten."""
    dispatch = Dispatch(SchedulerSettings(effort_hold_ms=50.0), EFFORTS, COST)
    turns = Turns([dispatch])
    dispatch.admit([work(20, budget=9)], NOW)
    flight = turns.step(NOW).flight
    assert flight is not None
    assert flight.batch.effort is FULL


def simulated(load: float, hold_ms: float, seed: int = 1) -> Trace:
    """Return what becomes of a load."""
    simulation = Simulation(
        SchedulerSettings(effort_hold_ms=hold_ms),
        EFFORTS,
        DEVICE.warmed_up(),
        DEVICE.run_times(seed),
    )
    return simulation.run(arrivals(DEVICE.capacity * load, 2.0, seed=seed))


def changes(trace: Trace) -> int:
    """Count changes of effort from batch to batch."""
    pairs = zip(trace.batches, trace.batches[1:], strict=False)
    return sum(one.effort != other.effort for one, other in pairs)


@pytest.mark.parametrize("load", [1.05, 1.2, 1.5, 2.0])
def test_effort_changes_seldom_and_costs_no_deadline(load: float) -> None:
    """Nor is more of the load degraded, but for a little."""
    held, free = simulated(load, 50.0), simulated(load, 0.0)
    assert changes(held) < max(12, 0.5 * changes(free))
    assert fmean(one.on_time for one in held.outcomes) > 0.999
    degraded = [fmean(one.degraded for one in trace.outcomes) for trace in (held, free)]
    assert degraded[0] < degraded[1] + 0.05


def test_below_capacity_nothing_is_held() -> None:
    """There is nothing to hold."""
    trace = simulated(0.7, 50.0)
    assert not any(one.degraded for one in trace.outcomes)
