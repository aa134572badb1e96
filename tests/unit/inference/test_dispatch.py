"""Queue, decisions and costs around one device: what flies, until when, what is learned."""

import math

import pytest

from inference.cost import Coefficients
from inference.dispatch import CURIOUS_AFTER_S, Flight
from inference.settings import SchedulerSettings
from inference.work import OverloadPolicy
from tests.fakes.engine import EFFORTS
from tests.fakes.sole_device import SoleDevice
from tests.fakes.works import NOW, FixedCost, work

SETTINGS = SchedulerSettings(max_batch_events=2, publish_reserve_ms=5.0, prepare_lead_ms=2.0)
CURVE = Coefficients(fixed_s=0.010, per_token_s=0.001)


def dispatch() -> SoleDevice:
    """Return an idle device with an empty queue; batches of two works at most."""
    return SoleDevice(SETTINGS, EFFORTS, FixedCost(CURVE))


def fly(target: SoleDevice, now: float = NOW) -> Flight:
    """Let a batch be formed."""
    flight = target.step(now)[1]
    assert flight is not None
    return flight


def test_at_first_it_is_idle() -> None:
    """Nothing waits, nothing flies, and the device could have run something long ago."""
    target = dispatch()
    assert target.idle
    assert target.expected_free_at == -math.inf
    assert target.step(NOW)[1] is None


def test_the_first_batch_starts_and_the_second_is_prepared_in_time() -> None:
    """The slot is filled just before the device is free, and then nothing more flies."""
    target = dispatch()
    target.admit([work(budget=9) for _ in range(6)], NOW)
    assert not target.idle
    first = fly(target)
    assert (first.started, len(first.works)) == (NOW, 2)
    assert target.expected_free_at == pytest.approx(NOW + 0.030)
    decision, nothing = target.step(NOW + 0.001)
    assert nothing is None
    assert decision.wake_at == pytest.approx(NOW + 0.028)
    assert fly(target, NOW + 0.028).started is None
    assert target.expected_free_at == math.inf
    assert target.step(NOW + 0.029)[1] is None
    assert len(target.queue) == 2


def test_a_landing_starts_the_prepared_batch() -> None:
    """Flights land in order; the next one runs from that moment."""
    target = dispatch()
    target.admit([work(budget=9, handle=number) for number in range(4)], NOW)
    first = fly(target)
    second = fly(target, NOW + 0.028)
    assert target.land(0.030, NOW + 0.030) is first
    assert [one.handle for one in first.works] == [0, 1]
    assert second.started == NOW + 0.030
    assert target.land(0.030, NOW + 0.060) is second
    assert target.idle


def test_what_flies_is_no_longer_in_the_queue() -> None:
    """So it cannot be withdrawn, nor run twice."""
    target = dispatch()
    target.admit([work(budget=9, handle=number) for number in range(3)], NOW)
    fly(target)
    assert [one.handle for one in target.withdraw(lambda _: True)] == [2]
    assert not target.idle


def test_what_is_shed_is_no_longer_in_the_queue() -> None:
    """It is told of once."""
    target = dispatch()
    target.admit([work(budget=9)], NOW)
    fly(target)
    target.land(0.02, NOW)
    target.admit([work(budget=0.001)], NOW)
    decision, flight = target.step(NOW)
    assert len(decision.shed) == 1
    assert flight is None
    assert target.idle


def test_costs_are_learned_from_clean_batches_alone() -> None:
    """A batch that was taken apart for its culprit says nothing about cost."""
    cost = FixedCost(CURVE)
    target = SoleDevice(SETTINGS, EFFORTS, cost)
    target.admit([work(10, budget=9) for _ in range(4)], NOW)
    fly(target)
    target.land(None, NOW + 1)
    assert cost.observed == []
    fly(target, NOW + 1)
    target.land(0.5, NOW + 1.5)
    assert cost.observed == [(20, 2, "full", 0.5)]


def test_slack_follows_the_price_of_tokens() -> None:
    """What is known of costs, from a warm-up or from batches, orders the very first decision."""
    target = dispatch()
    target.admit([work(10, budget=1.00), work(90, budget=1.01)], NOW)
    assert [one.tokens for one in fly(target).works] == [90, 10]


def test_after_a_while_without_observations_a_hopeless_work_is_tried() -> None:
    """A cost that was once too high would otherwise shed everything for ever."""
    target = dispatch()
    target.admit([work(budget=9)], NOW)
    fly(target)
    target.land(0.02, NOW)

    def offer(at: float) -> Flight | None:
        target.admit([work(arrival=at, budget=0.015, on_overload=OverloadPolicy.SHED)], at)
        return target.step(at)[1]

    assert offer(NOW + CURIOUS_AFTER_S) is None
    assert offer(NOW + CURIOUS_AFTER_S + 0.001) is not None
