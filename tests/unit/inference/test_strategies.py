"""Batch strategies: who chooses one, and what the two simple ones do with a queue."""

from dataclasses import replace

import pytest

from inference.batcher import MicroBatcher
from inference.clock import SystemClock
from inference.cost import Coefficients
from inference.engine import EffortLevel
from inference.optimizer import CompiledModel
from inference.scheduler import Scheduler
from inference.settings import SchedulerSettings
from inference.strategies import STATIC_WAIT_S, make_strategy
from inference.work import Completion, OverloadPolicy, Work
from schemas.errors import ConfigurationError
from tests.fakes.engine import FakeEngine, encode_words
from tests.fakes.sole_device import SoleDevice
from tests.fakes.works import NOW, FixedCost, work

SETTINGS = SchedulerSettings(max_batch_events=3, max_batch_tokens=100, prepare_lead_ms=2.0)
EFFORTS = (EffortLevel("full"), EffortLevel("low", experts=1))
CURVE = Coefficients(0.002, 0.0001)


def dispatch(name: str | None, **changes: object) -> SoleDevice:
    """Return a dispatch whose settings name a strategy."""
    settings = replace(SETTINGS, batch_strategy=name, **changes)
    return SoleDevice(settings, EFFORTS, FixedCost(CURVE))


def handles(target: SoleDevice, now: float) -> list[str]:
    """Return what flies next, by handle."""
    _, flight = target.step(now)
    return [one.handle for one in flight.works] if flight else []


def due(handle: str, seconds: float, **fields: object) -> Work:
    """Return a work of ten tokens that is due so many seconds after NOW."""
    return work(10, handle=handle, budget=seconds, **fields)


def test_fifo_runs_works_in_the_order_they_came_whatever_their_deadlines_and_priorities():
    """The reverse of what the deadline scheduler would do."""
    works = [due("a", 9), due("b", 5, priority=9), due("c", 1)]
    fifo, scheduler = dispatch("fifo"), dispatch("dynamic_priority")
    for target in (fifo, scheduler):
        target.admit(works, NOW)
    assert handles(fifo, NOW) == ["a", "b", "c"]
    assert handles(scheduler, NOW) == ["c", "b", "a"]


def test_fifo_fills_a_batch_up_to_its_bounds():
    """Events first, tokens where they are more; the rest goes with the next."""
    target = dispatch("fifo")
    target.admit([due(name, 1) for name in "abcd"], NOW)
    assert handles(target, NOW) == ["a", "b", "c"]
    target = dispatch("fifo", max_batch_tokens=25)
    target.admit([due(name, 1) for name in "abcd"], NOW)
    assert handles(target, NOW) == ["a", "b"]


def test_fifo_runs_a_work_longer_than_any_batch_alone():
    """It would otherwise never run, nor anything behind it."""
    target = dispatch("fifo", max_batch_tokens=5)
    target.admit([due("a", 1), due("b", 1)], NOW)
    assert handles(target, NOW) == ["a"]


def test_fifo_runs_in_full_what_is_late_and_sheds_nothing():
    """What it costs to know no deadlines is what it is there to show."""
    target = dispatch("fifo")
    target.admit([due("a", -1, on_overload=OverloadPolicy.SHED)], NOW)
    decision, flight = target.step(NOW)
    assert not decision.shed
    assert flight is not None
    assert flight.batch.late
    assert not flight.batch.degraded


def test_fifo_forms_the_next_batch_shortly_before_the_device_is_free():
    """Before that, later works may still join."""
    target = dispatch("fifo")
    target.admit([due("a", 1)], NOW)
    _, flight = target.step(NOW)
    assert flight is not None
    target.admit([due("b", 1)], NOW)
    free_at = NOW + flight.batch.expected_s
    decision, none = target.step(NOW)
    assert none is None
    assert decision.wake_at == pytest.approx(free_at - 0.002)
    assert handles(target, decision.wake_at) == ["b"]


def test_static_waits_for_a_full_batch():
    """A free device stands idle meanwhile."""
    target = dispatch("static")
    target.admit([due("a", 1), due("b", 1)], NOW)
    decision, flight = target.step(NOW)
    assert flight is None
    assert decision.wake_at == pytest.approx(NOW + STATIC_WAIT_S)
    target.admit([due("c", 1)], NOW)
    assert handles(target, NOW) == ["a", "b", "c"]


def test_static_waits_no_longer_than_its_limit():
    """A batch that never fills runs all the same."""
    target = dispatch("static")
    target.admit([due("a", 1)], NOW)
    assert handles(target, NOW + STATIC_WAIT_S) == ["a"]


def test_the_settings_strategy_goes_before_the_models():
    """Whoever runs the service has the last word."""
    works = [due("a", 9), due("b", 5)]
    chosen = {}
    for name in (None, "dynamic_priority"):
        settings = replace(SETTINGS, batch_strategy=name)
        target = SoleDevice(settings, EFFORTS, FixedCost(CURVE), strategy="fifo")
        target.admit(works, NOW)
        chosen[name] = handles(target, NOW)
    assert chosen == {None: ["a", "b"], "dynamic_priority": ["b", "a"]}


def test_the_deadline_scheduler_is_an_entry_point_like_any_other():
    """One mechanism for ours and for others'."""
    assert isinstance(make_strategy("dynamic_priority", SETTINGS, EFFORTS), MicroBatcher)


def test_an_unknown_strategy_is_refused_with_the_known_ones():
    """So that a slip in the name is seen at once."""
    with pytest.raises(ConfigurationError, match=r"'fofi'.*dynamic_priority, fifo, static"):
        dispatch("fofi")


async def test_a_compiled_models_strategy_reaches_its_scheduler():
    """Chosen with the model, unless the settings say otherwise."""
    order = {}
    for setting in (None, "dynamic_priority"):
        answered: list[Completion] = []
        model = CompiledModel(FakeEngine(), batch_strategy="fifo", backend="fake", device="cpu")
        settings = SchedulerSettings(max_batch_events=1, batch_strategy=setting)
        scheduler = Scheduler(model, settings, SystemClock(), answered.extend)
        now = SystemClock().monotonic()
        ids = encode_words(["word"]).data
        scheduler.offer(
            [
                work(handle=seconds, arrival=now, budget=seconds, ids=ids)
                for seconds in (60.0, 50.0, 40.0)
            ]
        )
        await scheduler.start()
        assert await scheduler.drain(10)
        await scheduler.close()
        order[setting] = [one.work.handle for one in answered]
    assert order == {None: [60.0, 50.0, 40.0], "dynamic_priority": [40.0, 50.0, 60.0]}
