"""The first measurement of what an engine's batches cost."""

from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from statistics import median

from inference.clock import Clock
from inference.cost import LearnedCost, Measurement
from inference.engine import EffortLevel, Encoded, Engine
from inference.settings import SchedulerSettings
from schemas.errors import EngineError

REPEATS = 3


def warm_up(
    engine: Engine,
    examples: Sequence[Encoded],
    settings: SchedulerSettings,
    clock: Clock,
    cost: LearnedCost,
) -> None:
    """Run batches of growing size at every effort and calibrate the cost model with them.

    Stops growing when ``settings.warmup_ms`` is spent, evenly over the efforts.

    Raises:
        EngineError: The engine fails on the examples.
    """
    share_s = settings.warmup_ms / 1e3 / len(engine.efforts)
    for effort in engine.efforts:
        until = clock.monotonic() + share_s
        measurements = []
        for batch in _batches(examples, settings):
            measurements.append(_measure(engine, batch, effort, clock))
            if clock.monotonic() + 2 * REPEATS * measurements[-1].seconds > until:
                break
        cost.calibrate(effort.name, [one for one in measurements if one.seconds > 0])


def _batches(
    examples: Sequence[Encoded], settings: SchedulerSettings
) -> Iterator[Sequence[Encoded]]:
    """Yield batches of 1, 2, 4, … events within the bounds of a batch, at least one."""
    events = 1
    while True:
        batch = list(islice(cycle(examples), events))
        yield batch
        events *= 2
        tokens = 2 * sum(encoded.tokens for encoded in batch)
        if events > settings.max_batch_events or tokens > settings.max_batch_tokens:
            return


def _measure(
    engine: Engine, batch: Sequence[Encoded], effort: EffortLevel, clock: Clock
) -> Measurement:
    """Return the median of some runs; the first one, which may pay for set-up, does not count."""
    seconds = []
    for _ in range(1 + REPEATS):
        try:
            prepared = engine.prepare(batch)
            started = clock.monotonic()
            predictions = engine.run(prepared, effort)
        except Exception as error:
            raise EngineError(f"the model fails on its warm-up at effort {effort.name}") from error
        seconds.append(clock.monotonic() - started)
        if len(predictions) != len(batch):
            raise EngineError(
                f"the model gave {len(predictions)} predictions for {len(batch)} events; "
                "an engine must return one per event, in order"
            )
    return Measurement(sum(one.tokens for one in batch), len(batch), median(seconds[1:]))
