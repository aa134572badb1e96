"""The first measurement of what an engine's batches cost."""

from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from statistics import fmean, median

from inference.clock import Clock
from inference.cost import LearnedCost, Measurement
from inference.engine import EffortLevel, Encoded, Engine
from inference.settings import SchedulerSettings
from schemas.errors import EngineError

REPEATS = 3
"""Batches that are measured of each size at least."""
LEAST_EVENTS = 32
"""Of small batches so many are measured that this number of events is run: what a single event
costs depends on how hard it is."""
OTHER_MACHINE, OTHER_SHAPE = 3.0, 2.0
"""Costs learned before are not believed where batches take so many times what they did, or where
some sizes differ so much more from it than others."""
SIZE_SHARE = 0.25
"""Share of an effort's time that one size may take."""


def warm_up(
    engine: Engine,
    examples: Sequence[Encoded],
    settings: SchedulerSettings,
    clock: Clock,
    cost: LearnedCost,
) -> None:
    """Run batches of growing size at every effort and calibrate the cost model with them.

    Stops growing when ``settings.warmup_ms`` is spent, evenly over the efforts.

    Args:
        engine: What is measured, on the thread that it will run on.
        examples: Taken in turns; of lengths and difficulties as they will occur, or the costs will
            be those of other events.
        settings: Bounds of a batch, and the time that this may take.
        clock: What run times are read from.
        cost: Is told the measurements.

    Raises:
        EngineError: The engine fails on the examples.
    """
    share_s = settings.warmup_ms / 1e3 / len(engine.efforts)
    for effort in engine.efforts:
        until = clock.monotonic() + share_s
        measurements = []
        taken = cycle(examples)
        for events in _sizes(examples, settings):
            batches = _batches(taken, events)
            measurements.append(_measure(engine, batches, effort, clock, SIZE_SHARE * share_s))
            if clock.monotonic() + 2 * REPEATS * measurements[-1].seconds > until:
                break
        cost.calibrate(effort.name, [one for one in measurements if one.seconds > 0])


def still_holds(
    engine: Engine,
    examples: Sequence[Encoded],
    settings: SchedulerSettings,
    clock: Clock,
    cost: LearnedCost,
) -> bool:
    """Say whether costs that were learned before are those of now; a few batches tell.

    Where the machine is quicker or slower as a whole, the costs are corrected by that.

    Args:
        engine: As of :func:`warm_up`.
        examples: Likewise.
        settings: Likewise.
        clock: Likewise.
        cost: Has recalled something.

    Raises:
        EngineError: The engine fails on the examples.
    """
    effort = engine.efforts[0]
    if {one.name for one in engine.efforts} - set(cost.known()):
        return False
    taken = cycle(examples)
    ratios = []
    for events in _sizes(examples, settings):
        if events > LEAST_EVENTS:
            break
        batches = _batches(taken, events)
        seen = _measure(engine, batches, effort, clock, SIZE_SHARE * settings.warmup_ms / 1e3)
        expected = cost.expect(seen.tokens, seen.events, effort.name)
        if seen.seconds <= 0 or expected <= 0:
            return False
        ratios.append(seen.seconds / expected)
    middle = median(ratios)
    if not 1 / OTHER_MACHINE < middle < OTHER_MACHINE:
        return False
    if max(ratios) > OTHER_SHAPE * middle or min(ratios) < middle / OTHER_SHAPE:
        return False
    cost.correct(middle)
    return True


def _batches(taken: Iterator[Encoded], events: int) -> Iterator[Sequence[Encoded]]:
    """Yield as many batches of so many events as are measured, and one more."""
    for _ in range(1 + max(REPEATS, LEAST_EVENTS // events)):
        yield list(islice(taken, events))


def _sizes(examples: Sequence[Encoded], settings: SchedulerSettings) -> Iterator[int]:
    """Yield 1, 2, 4, … events within the bounds of a batch, at least one."""
    longest = max(encoded.tokens for encoded in examples)
    events = 1
    while True:
        yield events
        events *= 2
        if events > settings.max_batch_events or events * longest > settings.max_batch_tokens:
            return


def _measure(
    engine: Engine,
    batches: Iterator[Sequence[Encoded]],
    effort: EffortLevel,
    clock: Clock,
    most_s: float,
) -> Measurement:
    """Return the mean over batches of one size, while there is time for more.

    The first, which may pay for set-up, does not count, nor does the slowest of several.
    """
    started = clock.monotonic()
    runs: list[tuple[float, int]] = []
    batch: Sequence[Encoded] = ()
    for number, batch in enumerate(batches):
        seconds = _run(engine, batch, effort, clock)
        if number:
            runs.append((seconds, sum(encoded.tokens for encoded in batch)))
            if clock.monotonic() - started >= most_s:
                break
    counted = sorted(runs)[: max(1, len(runs) - 1)]
    return Measurement(
        tokens=round(fmean(tokens for _, tokens in counted)),
        events=len(batch),
        seconds=fmean(seconds for seconds, _ in counted),
    )


def _run(engine: Engine, batch: Sequence[Encoded], effort: EffortLevel, clock: Clock) -> float:
    """Return the seconds that one batch takes."""
    try:
        prepared = engine.prepare(batch)
        started = clock.monotonic()
        predictions = engine.run(prepared, effort)
    except Exception as error:
        raise EngineError(f"the model fails on its warm-up at effort {effort.name}") from error
    if len(predictions) != len(batch):
        raise EngineError(
            f"the model gave {len(predictions)} predictions for {len(batch)} events; "
            "an engine must return one per event, in order"
        )
    return clock.monotonic() - started
