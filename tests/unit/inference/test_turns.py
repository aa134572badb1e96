"""Several models on one device: whose batch runs when, and who pays for an overload."""

import math
from statistics import fmean

import pytest

from inference.cost import Coefficients
from inference.dispatch import Dispatch
from inference.settings import SchedulerSettings
from inference.simulation import Outcome
from inference.turns import Turns
from inference.work import OverloadPolicy, Work
from tests.fakes.engine import EFFORTS
from tests.fakes.loads import SimulatedDevice, arrivals, simulate_shared
from tests.fakes.works import NOW, FixedCost, work

SETTINGS = SchedulerSettings(publish_reserve_ms=5.0, prepare_lead_ms=2.0, ageing_ms=500.0)
CURVE = Coefficients(fixed_s=0.010)
"""Every batch of a model takes 10 ms."""
TEXT = SimulatedDevice(Coefficients(0.002, 0.00004, 0.0001))
"""About 1,100 events a second."""
IMAGE = SimulatedDevice(Coefficients(0.003, 0.0001, 0.0002))
"""About 450 events a second."""
SECONDS = 3.0
POLICIES = pytest.mark.parametrize("policy", list(OverloadPolicy))


def two_models(
    first: Coefficients = CURVE, second: Coefficients = CURVE
) -> tuple[Turns, Dispatch, Dispatch]:
    """Return two models that share a device."""
    one, other = (Dispatch(SETTINGS, EFFORTS, FixedCost(curve)) for curve in (first, second))
    return Turns([one, other]), one, other


def load(device: SimulatedDevice, share: float, **fields: object) -> list[Work]:
    """Return arrivals that ask for a share of the device."""
    return arrivals(device.capacity * share, SECONDS, **fields)


def met(outcomes: list[Outcome]) -> float:
    """Return the share on time."""
    return fmean(one.on_time for one in outcomes)


def test_a_batch_holds_works_of_one_model_alone() -> None:
    """What is tokens to one is nothing to the other."""
    turns, one, other = two_models()
    one.admit([work(handle="a", budget=1) for _ in range(3)], NOW)
    other.admit([work(handle="b", budget=1) for _ in range(3)], NOW)
    flights = [turns.step(NOW).flight, turns.step(NOW + 0.009).flight]
    assert [{each.handle for each in flight.works} for flight in flights if flight] == [
        {"a"},
        {"b"},
    ]
    assert [flight.owner for flight in flights if flight] == [one, other]


def test_the_more_urgent_model_goes_first() -> None:
    """Whichever has joined first."""
    for budgets in ((0.9, 0.3), (0.3, 0.9)):
        turns, *both = two_models()
        for each, budget in zip(both, budgets, strict=True):
            each.admit([work(budget=budget)], NOW)
        flight = turns.step(NOW).flight
        assert flight is not None
        assert flight.owner is both[budgets.index(0.3)]


def test_a_longer_batch_waits_where_that_saves_a_shorter_one() -> None:
    """100 ms can start until 120 ms from now; 10 ms have to start within 80."""
    turns, slow, quick = two_models(first=Coefficients(fixed_s=0.100))
    slow.admit([work(budget=0.180)], NOW)
    quick.admit([work(budget=0.095)], NOW)
    flight = turns.step(NOW).flight
    assert flight is not None
    assert flight.owner is quick


def test_a_batch_of_one_model_holds_the_device_for_the_other() -> None:
    """There is one thread: what comes meanwhile takes the slot, and then nothing more does."""
    turns, one, other = two_models()
    one.admit([work(budget=1)], NOW)
    first = turns.step(NOW).flight
    other.admit([work(budget=1)], NOW)
    turn = turns.step(NOW)
    assert turn.flight is None
    assert turn.wake_at == pytest.approx(NOW + 0.008)
    second = turns.step(NOW + 0.008).flight
    assert first is not None
    assert second is not None
    assert second.started is None
    assert turns.expected_free_at == math.inf
    assert turns.land(0.010, NOW + 0.010) is first
    assert (one.idle, other.idle) == (True, False)
    assert second.started == NOW + 0.010


def test_costs_are_learned_per_model() -> None:
    """A token of text costs other than a patch of an image."""
    turns, one, other = two_models()
    one.admit([work(7, budget=1)], NOW)
    turns.step(NOW)
    turns.land(0.012, NOW + 0.012)
    assert [one.cost.observed, other.cost.observed] == [[(7, 1, "full", 0.012)], []]  # type: ignore[attr-defined]


def test_what_cannot_be_met_is_shed_with_its_model_named() -> None:
    """So that whoever waits for it is told."""
    turns, one, other = two_models()
    one.admit([work(budget=9)], NOW)
    turns.step(NOW)
    turns.land(0.010, NOW)
    other.admit([work(budget=9)], NOW)
    turns.step(NOW)
    other.admit([work(budget=0.001)], NOW)
    one.admit([work(budget=0.001)], NOW)
    assert {owner for owner, _ in turns.step(NOW).shed} == {one, other}


def test_a_model_that_waits_too_long_goes_first_once() -> None:
    """Its budget of an hour would keep it behind all others."""
    turns, busy, patient = two_models()
    patient.admit([work(budget=3_600) for _ in range(3)], NOW)
    now, owners = NOW, []
    while now < NOW + 1.0:
        busy.admit([work(arrival=now, budget=0.050)], now)
        flight = turns.step(now).flight
        assert flight is not None
        owners.append(flight.owner)
        now += 0.010
        turns.land(0.010, now)
    assert owners.count(patient) == 1
    assert owners.index(patient) == pytest.approx(51, abs=2)


def test_a_model_that_left_lands_and_flies_no_more() -> None:
    """Its queue stays as it is."""
    turns, one, other = two_models()
    one.admit([work(budget=1)], NOW)
    flight = turns.step(NOW).flight
    one.admit([work(budget=1)], NOW)
    other.admit([work(budget=2)], NOW)
    turns.leave(one)
    assert turns.land(0.010, NOW + 0.010) is flight
    following = turns.step(NOW + 0.010).flight
    assert following is not None
    assert following.owner is other
    assert len(one.queue) == 1


def test_both_are_on_time_while_the_device_can_serve_both() -> None:
    """Half for text, a quarter for images, at full effort as if they were alone."""
    simulation, outcomes = simulate_shared(
        (TEXT, load(TEXT, 0.5)), (IMAGE, load(IMAGE, 0.25, seed=2, budgets=(0.1,)))
    )
    for each in outcomes:
        assert met(each) > 0.99
        assert fmean(one.degraded for one in each) < 0.05
    assert {batch.model for batch in simulation.trace.batches} == {0, 1}


@POLICIES
@pytest.mark.parametrize("flood", [2.0, 6.0])
def test_a_flooded_model_does_not_cost_the_other_its_deadlines(
    flood: float, policy: OverloadPolicy
) -> None:
    """Text comes several times as fast as it can be run; images still take under 100 ms."""
    _, (_, images) = simulate_shared(
        (TEXT, load(TEXT, flood, policies=(policy,))),
        (IMAGE, load(IMAGE, 0.15, seed=2, budgets=(0.1,))),
    )
    assert met(images) > 0.99
    assert not any(one.degraded for one in images)


@POLICIES
def test_two_flooded_models_share_the_device_evenly(policy: OverloadPolicy) -> None:
    """By time, not by events: an image takes longer."""
    simulation, _ = simulate_shared(
        (TEXT, load(TEXT, 3.0, policies=(policy,))),
        (IMAGE, load(IMAGE, 3.0, seed=2, budgets=(0.1,), policies=(policy,))),
    )
    seconds = [0.0, 0.0]
    for batch in simulation.trace.batches:
        if batch.started < NOW + SECONDS:
            seconds[batch.model] += batch.seconds
    assert seconds[0] / sum(seconds) == pytest.approx(0.5, abs=0.1)


def test_higher_priority_is_worth_more_of_the_device() -> None:
    """A priority's weight counts across models, too."""
    simulation, _ = simulate_shared(
        (TEXT, load(TEXT, 3.0, priorities=(6,), policies=(OverloadPolicy.SHED,))),
        (TEXT, load(TEXT, 3.0, priorities=(4,), policies=(OverloadPolicy.SHED,), seed=2)),
    )
    seconds = [0.0, 0.0]
    for batch in simulation.trace.batches:
        seconds[batch.model] += batch.seconds
    assert seconds[0] > 2 * seconds[1]


def test_effort_falls_when_only_both_together_are_too_much() -> None:
    """Each alone would be met in full; together they are 1.4 times the device."""
    _, outcomes = simulate_shared(
        (TEXT, load(TEXT, 0.7)), (TEXT, load(TEXT, 0.7, seed=2, budgets=(0.1,)))
    )
    for each in outcomes:
        assert met(each) > 0.9
        assert fmean(one.degraded for one in each) > 0.3


def test_every_work_ends_once_whatever_the_load() -> None:
    """None is lost between two models, none runs twice."""
    works = [load(TEXT, 2.0), load(IMAGE, 2.0, seed=2)]
    _, outcomes = simulate_shared((TEXT, works[0]), (IMAGE, works[1]))
    for sent, ended in zip(works, outcomes, strict=True):
        assert sorted(map(id, sent)) == sorted(id(one.work) for one in ended)


def test_the_device_never_rests_while_a_model_has_work() -> None:
    """Gaps between batches come from empty queues alone."""
    simulation, _ = simulate_shared((TEXT, load(TEXT, 2.0)), (IMAGE, load(IMAGE, 2.0, seed=2)))
    assert simulation.trace.busy_s > 0.98 * SECONDS
