"""Costs are measured before the first event, on batches as they will occur."""

from collections.abc import Callable

import pytest

from inference.cost import LearnedCost
from inference.engine import EffortLevel
from inference.settings import SchedulerSettings
from inference.warmup import LEAST_EVENTS, REPEATS, still_holds, warm_up
from schemas.errors import EngineError
from tests.fakes.clock import ManualClock
from tests.fakes.engine import EFFORTS, FakeEngine, Poison, encode_words

SETTINGS = SchedulerSettings(max_batch_events=16, max_batch_tokens=64, warmup_ms=3_000.0)
FACTORS = {"full": 1.0, "early_exit": 0.5, "low": 0.25}
RUNS = {size: 1 + max(REPEATS, LEAST_EVENTS // size) for size in (1, 2, 4, 8, 16)}
EXAMPLES = [encode_words(["word"] * length) for length in (2, 4, 6)]


def seconds(tokens: int, events: int, effort: EffortLevel) -> float:
    """Return 2 ms, a tenth for each token and a fifth for each event, less at lower efforts."""
    return FACTORS[effort.name] * (0.002 + 0.0001 * tokens + 0.0002 * events)


def warmed(
    engine: FakeEngine, clock: ManualClock, settings: SchedulerSettings = SETTINGS
) -> LearnedCost:
    """Return a cost model after the warm-up."""
    cost = LearnedCost(0.95)
    warm_up(engine, EXAMPLES, settings, clock, cost)
    return cost


def test_every_effort_is_known_afterwards() -> None:
    """Batches of sizes never measured are predicted too."""
    clock = ManualClock()
    cost = warmed(FakeEngine(cost=seconds, spend=clock.advance), clock)
    assert set(cost.known()) == {effort.name for effort in EFFORTS}
    for effort in EFFORTS:
        assert cost.expect(24, 6, effort.name) == pytest.approx(seconds(24, 6, effort), rel=0.05)


def test_batches_grow_to_their_bounds() -> None:
    """1, 2, 4, 8 events, the smaller the oftener; 16 might hold more tokens than are allowed."""
    clock = ManualClock()
    engine = FakeEngine(cost=seconds, spend=clock.advance)
    warmed(engine, clock)
    sizes = [events for events, _, effort in engine.batches if effort == "full"]
    assert sizes == [size for size in (1, 2, 4, 8) for _ in range(RUNS[size])]
    assert max(tokens for _, tokens, _ in engine.batches) <= SETTINGS.max_batch_tokens


def test_what_single_events_cost_is_their_mean() -> None:
    """A hard one among easy ones counts with its share, whichever of them comes first."""

    def uneven(tokens: int, events: int, effort: EffortLevel) -> float:
        del events, effort
        return 0.007 if tokens == 6 else 0.001

    clock = ManualClock()
    settings = SchedulerSettings(max_batch_events=1)
    cost = warmed(FakeEngine(cost=uneven, spend=clock.advance), clock, settings)
    assert cost.expect(4, 1, "full") == pytest.approx(0.003, rel=0.1)


def test_a_slow_engine_is_measured_in_small_batches() -> None:
    """The time allowed is shared by the efforts; what would exceed it is not begun."""
    clock = ManualClock()
    started = clock.monotonic()
    engine = FakeEngine(cost=lambda tokens, events, effort: 0.05 * events, spend=clock.advance)  # noqa: ARG005
    warmed(engine, clock)
    assert clock.monotonic() - started <= 3.0
    assert max(events for events, _, _ in engine.batches) == 2
    assert {effort for _, _, effort in engine.batches} == set(FACTORS)


def test_without_time_one_batch_is_measured_all_the_same() -> None:
    """Knowing one size is better than knowing nothing."""
    clock = ManualClock()
    cost = warmed(
        FakeEngine(cost=seconds, spend=clock.advance), clock, SchedulerSettings(warmup_ms=0.0)
    )
    assert cost.expect(4, 1, "full") == pytest.approx(0.0026, rel=0.05)


def test_the_first_run_of_a_size_does_not_count() -> None:
    """It may pay for set-up that later runs do not need; one slow run does not count either."""
    clock = ManualClock()
    runs = dict.fromkeys(RUNS, 0)

    def uneven(tokens: int, events: int, effort: EffortLevel) -> float:
        runs[events] += 1
        return seconds(tokens, events, effort) * {1: 100, 2: 30}.get(runs[events] % RUNS[events], 1)

    patient = SchedulerSettings(max_batch_events=16, max_batch_tokens=64, warmup_ms=1e6)
    cost = warmed(FakeEngine(cost=uneven, spend=clock.advance), clock, patient)
    assert cost.expect(24, 6, "full") == pytest.approx(seconds(24, 6, EFFORTS[0]), rel=0.05)


def test_an_engine_too_fast_for_the_clock_stays_unknown() -> None:
    """Times of zero are no measurements; costs are learned from the first batches then."""
    assert warmed(FakeEngine(), ManualClock()).predict(100, 10, "full") == 0.0


def test_an_engine_that_fails_is_not_started_with() -> None:
    """The error names the effort and keeps what the engine said."""
    with pytest.raises(EngineError, match="warm-up at effort full") as caught:
        warm_up(
            FakeEngine(),
            [encode_words(["poison"])],
            SETTINGS,
            ManualClock(),
            LearnedCost(0.95),
        )
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_an_engine_that_answers_too_little_is_not_started_with() -> None:
    """Better now than with somebody's events."""
    with pytest.raises(EngineError, match="0 predictions for 1 events"):
        warm_up(
            FakeEngine(poison=Poison("short")),
            [encode_words(["poison"])],
            SETTINGS,
            ManualClock(),
            LearnedCost(0.95),
        )


def slower(factor: float) -> Callable[[int, int, EffortLevel], float]:
    """Return the costs of a machine that needs so many times as long."""
    return lambda tokens, events, effort: factor * seconds(tokens, events, effort)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.8])
def test_costs_learned_before_hold_on_a_machine_somewhat_other(factor: float) -> None:
    """A few batches tell how much quicker or slower it is; all efforts need not be measured."""
    clock = ManualClock()
    first = FakeEngine(cost=seconds, spend=clock.advance)
    state = warmed(first, clock).state()
    cost = LearnedCost(0.95)
    cost.recall(state)
    engine = FakeEngine(cost=slower(factor), spend=clock.advance)
    assert still_holds(engine, EXAMPLES, SETTINGS, clock, cost)
    assert len(engine.batches) < len(first.batches) / 2
    for effort in EFFORTS:
        wanted = factor * seconds(24, 6, effort)
        assert cost.expect(24, 6, effort.name) == pytest.approx(wanted, rel=0.05)


def test_costs_of_quite_another_machine_are_not_believed() -> None:
    """Nor where only some sizes cost what they did, nor where an effort was never measured."""
    clock = ManualClock()
    state = warmed(FakeEngine(cost=seconds, spend=clock.advance), clock).state()

    def fixed(tokens: int, events: int, effort: EffortLevel) -> float:
        del tokens, events, effort
        return 0.0005

    def holds(engine: FakeEngine) -> bool:
        cost = LearnedCost(0.95)
        cost.recall(state)
        return still_holds(engine, EXAMPLES, SETTINGS, clock, cost)

    assert not holds(FakeEngine(cost=slower(4.0), spend=clock.advance))
    assert not holds(FakeEngine(cost=fixed, spend=clock.advance))
    more = (*EFFORTS, EffortLevel("least", experts=1, exit_threshold=0.0))
    assert not holds(FakeEngine(cost=seconds, spend=clock.advance, efforts=more))
