"""Small loads worked out by hand: when each batch starts, what it holds, what comes of it."""

import pytest

from inference.cost import Coefficients
from inference.settings import SchedulerSettings
from inference.simulation import SimulatedBatch, Simulation, Trace
from inference.work import OverloadPolicy, Work
from tests.fakes.engine import EFFORTS
from tests.fakes.works import NOW, FixedCost, work

SETTINGS = SchedulerSettings(publish_reserve_ms=5.0, prepare_lead_ms=2.0)
COST = FixedCost(Coefficients(fixed_s=0.010, per_token_s=0.001))
"""10 ms, and a millisecond for each token; half and a quarter of it at the lower efforts."""
DEGRADE, SHED, LATE = OverloadPolicy


def simulate(
    *works: Work, settings: SchedulerSettings = SETTINGS, slowdown: float = 1.0, latency: float = 0
) -> Trace:
    """Run works on a device that takes ``slowdown`` times what is predicted."""
    return Simulation(
        settings,
        EFFORTS,
        COST,
        lambda tokens, events, effort: slowdown * COST.predict(tokens, events, effort),
        latency_s=latency,
    ).run(works)


def batches(trace: Trace) -> list[tuple[int, float, int, str]]:
    """Return start and run time in milliseconds, events and effort of each batch."""
    return [
        (round((one.started - NOW) * 1e3), round(one.seconds * 1e3, 3), one.events, one.effort)
        for one in trace.batches
    ]


def test_no_works_no_time() -> None:
    """Nothing happens where nothing arrives."""
    trace = simulate()
    assert (trace.outcomes, trace.batches, trace.busy_s) == ([], [], 0.0)


def test_a_single_work_runs_when_it_arrives() -> None:
    """20 ms for its ten tokens."""
    trace = simulate(work(10, budget=0.1))
    assert trace.batches == [SimulatedBatch(NOW, pytest.approx(0.020), 1, 10, "full")]
    (outcome,) = trace.outcomes
    assert outcome.ended - NOW == pytest.approx(0.020, abs=1e-6)
    assert (outcome.effort, outcome.on_time, outcome.degraded) == ("full", True, False)


def test_works_that_arrive_together_run_together() -> None:
    """The decision falls when all of a moment's arrivals are here."""
    assert batches(simulate(*(work(10, budget=1) for _ in range(4)))) == [(0, 50.0, 4, "full")]


def test_what_arrives_while_the_device_is_busy_makes_the_next_batch() -> None:
    """Formed 2 ms before the device is free at 20, so that the arrival at 19 is too late for it."""
    trace = simulate(*(work(10, arrival=NOW + at / 1e3, budget=1) for at in (0, 5, 17, 19, 21)))
    assert batches(trace) == [
        (0, 20.0, 1, "full"),
        (20, 30.0, 2, "full"),
        (50, 30.0, 2, "full"),
    ]
    assert trace.busy_s == pytest.approx(0.080)


def test_a_device_that_slept_starts_at_once() -> None:
    """Time without work is no batch."""
    trace = simulate(work(10, budget=1), work(10, arrival=NOW + 3, budget=1))
    assert batches(trace) == [(0, 20.0, 1, "full"), (3_000, 20.0, 1, "full")]


def test_on_time_leaves_the_reserve_for_publishing() -> None:
    """Ended at 40 instead of 20 ms: 44 ms would be too little, 46 are enough."""
    for budget, on_time in ((0.044, False), (0.046, True)):
        (outcome,) = simulate(work(10, budget=budget), slowdown=2.0).outcomes
        assert outcome.on_time is on_time
        assert outcome.effort == "full"


def test_each_policy_has_its_way() -> None:
    """From 20 ms on 20 are needed at full effort: 15 are left, and for one of them 4."""
    due = {"degrade": 0.040, "shed": 0.041, "late": 0.042, "hopeless": 0.029}
    trace = simulate(
        work(10, budget=9),
        *(
            work(10, arrival=NOW + 0.001, budget=at - 0.001, on_overload=policy, handle=handle)
            for (handle, at), policy in zip(
                due.items(), (DEGRADE, SHED, LATE, DEGRADE), strict=True
            )
        ),
    )
    assert batches(trace) == [
        (0, 20.0, 1, "full"),
        (20, 10.0, 1, "early_exit"),
        (30, 20.0, 1, "full"),
    ]
    ended = {
        one.work.handle: (one.effort, one.degraded, one.on_time, one.reason is not None)
        for one in trace.outcomes
        if one.work.handle
    }
    assert ended == {
        "degrade": ("early_exit", True, True, True),
        "shed": (None, False, False, True),
        "late": ("full", False, False, False),
        "hopeless": (None, False, False, True),
    }


def test_shedding_does_not_wait_for_the_device() -> None:
    """A work of 20 ms, due at 30.5, is beyond hope after 5.5; the device is busy for 100."""
    trace = simulate(
        work(90, budget=9), work(10, arrival=NOW + 0.001, budget=0.0295, on_overload=SHED)
    )
    assert trace.outcomes[0].effort is None
    assert trace.outcomes[0].ended - NOW == pytest.approx(0.006, abs=1e-6)


def test_news_of_an_end_can_take_its_time() -> None:
    """The prepared batch starts on the dot; what is formed after the news starts with it."""
    arrivals = [work(10, arrival=NOW + at / 1e3, budget=1) for at in (0, 5, 25)]
    assert batches(simulate(*arrivals, latency=0.008)) == [
        (0, 20.0, 1, "full"),
        (20, 20.0, 1, "full"),
        (40, 20.0, 1, "full"),
    ]


def test_a_batch_never_starts_before_it_was_formed() -> None:
    """The device was free at 20 ms, the news of it came at 28, the work in between at 24."""
    arrivals = [work(10, arrival=NOW + at / 1e3, budget=1) for at in (0, 24)]
    assert batches(simulate(*arrivals, latency=0.008)) == [
        (0, 20.0, 1, "full"),
        (24, 20.0, 1, "full"),
    ]
