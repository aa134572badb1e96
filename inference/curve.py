"""What batches take on a device: measured, kept in a file, drawn for a simulation."""

import json
import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from inference.clock import Clock
from inference.cost import Coefficients, LearnedCost, Measurement
from inference.engine import Encoded, Engine
from inference.simulation import RunTime

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
NOISE_RUNS = 40
NOISE_EVENTS = 32
LEAST_BUSY = 0.25
"""Share of a batch's typical cost that is work, however long it waits."""


@dataclass(frozen=True)
class Curve:
    """What batches take on a device.

    Attributes:
        efforts: Typical cost by effort, full effort first.
        noise: Standard deviation of the logarithm of run times.
        wait_s: Mean of what a batch waits for a core, or for the interpreter, whatever its size; a
            part of its typical cost, and very uneven.
    """

    efforts: dict[str, Coefficients]
    noise: float
    wait_s: float = 0.0

    def run_times(self, seed: int) -> RunTime:
        """Return what batches take, drawn from a seed."""
        dice = random.Random(seed)  # noqa: S311 - no secret

        def seconds(tokens: int, events: int, effort: str) -> float:
            factor = math.exp(dice.gauss(0.0, self.noise))
            typical = self.efforts[effort].seconds(tokens, events)
            if not self.wait_s:
                return typical * factor
            busy_s = max(LEAST_BUSY * typical, typical - self.wait_s)
            return busy_s * factor + dice.expovariate(1.0 / self.wait_s)

        return seconds

    def learned(self, quantile: float, mean_tokens: float) -> LearnedCost:
        """Return a cost model that a warm-up has told the curve."""
        cost = LearnedCost(quantile)
        for effort, curve in self.efforts.items():
            sizes = [(round(mean_tokens * events), events) for events in SIZES]
            cost.calibrate(effort, [Measurement(*size, curve.seconds(*size)) for size in sizes])
        return cost

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Curve":
        """Read what :meth:`save` wrote."""
        found = json.loads(path.read_text(encoding="utf-8"))
        efforts = {name: Coefficients(*values) for name, values in found["efforts"].items()}
        return cls(efforts, found["noise"], found.get("wait_s", 0.0))


def measured(engine: Engine, cost: LearnedCost, encoded: Sequence[Encoded], clock: Clock) -> Curve:
    """Return the curve of an engine that a warm-up has measured; runs some batches for the noise.

    Args:
        engine: On the thread that it runs on.
        cost: What the warm-up found.
        encoded: Events to make batches of.
        clock: What run times are read from.
    """
    full = engine.efforts[0]
    dice = random.Random(1)  # noqa: S311 - no secret
    logs = []
    for _ in range(NOISE_RUNS):
        batch = dice.choices(encoded, k=NOISE_EVENTS)
        prepared = engine.prepare(batch)
        started = clock.monotonic()
        engine.run(prepared, full)
        seconds = clock.monotonic() - started
        typical = cost.expect(sum(one.tokens for one in batch), NOISE_EVENTS, full.name)
        logs.append(math.log(seconds / typical))
    return Curve({each.name: _typical(cost, each.name) for each in engine.efforts}, _spread(logs))


def _typical(cost: LearnedCost, effort: str) -> Coefficients:
    fixed = cost.expect(0, 0, effort)
    many = 1_000
    return Coefficients(
        fixed,
        (cost.expect(many, 0, effort) - fixed) / many,
        (cost.expect(0, many, effort) - fixed) / many,
    )


def _spread(values: Sequence[float]) -> float:
    """Return a standard deviation that outliers do not sway."""
    middle = statistics.median(values)
    return 1.4826 * statistics.median(abs(value - middle) for value in values)
