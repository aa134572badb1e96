"""The usual policies, as batch strategies in the scheduler's place."""

from dataclasses import replace

import pytest
from overload_rivals import MAX_QUEUE_DELAY_S

from inference.cost import Coefficients
from inference.engine import EffortLevel
from inference.settings import SchedulerSettings
from inference.work import OverloadPolicy, Work
from tests.fakes.sole_device import SoleDevice
from tests.fakes.works import NOW, FixedCost, work

SETTINGS = SchedulerSettings(
    max_batch_events=3, max_batch_tokens=100, prepare_lead_ms=2.0, publish_reserve_ms=5.0
)
EFFORTS = (EffortLevel("full"), EffortLevel("low", experts=1))
CURVE = Coefficients(0.002, 0.0001)
FULL_BATCH_S = 0.002 + 0.0001 * 60
"""Of three events of 20 tokens."""

pytestmark = pytest.mark.usefixtures("rivals")


def device(name: str, **changes: object) -> SoleDevice:
    """Return a device whose batches a rival chooses."""
    return SoleDevice(replace(SETTINGS, batch_strategy=name, **changes), EFFORTS, FixedCost(CURVE))


def due(handle: str, seconds: float, **fields: object) -> Work:
    """Return a work of ten tokens that is due so many seconds after NOW."""
    return work(10, handle=handle, budget=seconds, on_overload=OverloadPolicy.LATE, **fields)


def flown(target: SoleDevice, now: float) -> list[str]:
    """Return what flies next, by handle."""
    _, flight = target.step(now)
    return [one.handle for one in flight.works] if flight else []


def shed(target: SoleDevice, now: float) -> list[str]:
    """Return what is shed, by handle."""
    turn, _ = target.step(now)
    return [one.entry.work.handle for _, one in turn.shed]


def test_edf_runs_the_earliest_deadlines_first_whatever_their_priorities():
    """Late or not, at full effort, and as many as a batch holds."""
    target = device("bench_edf")
    target.admit([due("a", 9), due("b", -1), due("c", 5, priority=0), due("d", 7, priority=9)], NOW)
    _, flight = target.step(NOW)
    assert flight is not None
    assert [one.handle for one in flight.works] == ["b", "c", "d"]
    assert flight.batch.effort.name == "full"
    assert flown(target, NOW + 1) == ["a"]


def test_edf_sheds_nothing():
    """However late."""
    target = device("bench_edf")
    target.admit([due("a", -9)], NOW)
    assert shed(target, NOW) == []


@pytest.mark.parametrize("name", ["bench_edf", "bench_triton"])
def test_the_next_batch_is_formed_shortly_before_the_device_is_free(name: str):
    """As ours is: they differ in what they choose alone."""
    target = device(name)
    target.admit([due("a", 1), due("b", 1), due("c", 1)], NOW)
    _, flight = target.step(NOW)
    assert flight is not None
    target.admit([due("d", 1), due("e", 1), due("f", 1)], NOW)
    turn, none = target.step(NOW)
    assert none is None
    assert turn.wake_at == pytest.approx(NOW + flight.batch.expected_s - 0.002)
    assert flown(target, turn.wake_at) == ["d", "e", "f"]


def test_triton_serves_higher_priorities_first_and_the_oldest_of_each():
    """An earlier deadline is no reason."""
    target = device("bench_triton")
    target.admit([due("a", 9), due("b", 1), due("c", 9, priority=9), due("d", 5)], NOW)
    assert flown(target, NOW) == ["c", "a", "b"]


def test_triton_waits_a_while_for_a_full_batch():
    """The device stands idle meanwhile."""
    target = device("bench_triton")
    target.admit([due("a", 1)], NOW)
    turn, flight = target.step(NOW)
    assert flight is None
    assert turn.wake_at == pytest.approx(NOW + MAX_QUEUE_DELAY_S)
    assert flown(target, turn.wake_at) == ["a"]


def test_tritons_time_out_knows_nothing_of_the_run_time():
    """5 ms before the deadline is the reserve; a work with 6 left runs, though it needs 3."""
    target = device("bench_triton")
    target.admit([due("gone", 0.0049), due("a", 0.006), due("b", 1), due("c", 1)], NOW)
    turn, flight = target.step(NOW)
    assert [one.entry.work.handle for _, one in turn.shed] == ["gone"]
    assert flight is not None
    assert [one.handle for one in flight.works] == ["a", "b", "c"]


def test_a_tuned_time_out_leaves_room_for_a_full_batch():
    """Which takes 8 ms here."""
    target = device("bench_triton_tuned")
    beyond = 0.005 + FULL_BATCH_S
    target.admit([due("gone", beyond - 1e-4), due("a", beyond + 1e-4)], NOW)
    assert shed(target, NOW) == ["gone"]


def test_triton_turns_the_newest_away_where_the_queue_is_full():
    """Two of ten tokens have room in 25; also while the device is busy."""
    target = device("bench_triton", max_queue_tokens=25)
    target.admit([due("a", 1), due("b", 1)], NOW)
    assert shed(target, NOW) == []
    target.admit([due("c", 9, priority=9), due("d", 1)], NOW)
    assert sorted(shed(target, NOW)) == ["c", "d"]
    assert flown(target, NOW + MAX_QUEUE_DELAY_S) == ["a", "b"]
