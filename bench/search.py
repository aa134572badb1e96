"""Find the highest rate that still passes: a geometric ramp, then bisection."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from harness import DISTURBED_CORES, Step

RAMP = 1.25
MAX_DISTURBED = 2
"""How often a failed step is repeated because something else was using the machine."""


@dataclass
class Search:
    """One search over rates.

    Attributes:
        measure: Runs one step at a rate.
        resolution: Stop when the failing rate is within this factor of the passing one.
        max_steps: Stop at the latest after so many steps.
        tries: A rate fails when it fails this often in a row.
        steps: All that was measured, in order.
    """

    measure: Callable[[float], Awaitable[Step]]
    resolution: float = 1.06
    max_steps: int = 14
    tries: int = 2
    steps: list[Step] = field(default_factory=list)

    async def run(self, start: float) -> Step | None:
        """Return the passing step of the highest rate, or ``None`` if no rate passed.

        Args:
            start: The first rate, in events per second.
        """
        best: Step | None = None
        low, high, rate = 0.0, math.inf, start
        while len(self.steps) < self.max_steps and high / max(low, 1e-9) > self.resolution:
            step = await self._try(rate)
            if step.passed:
                best, low = step, rate
            else:
                high = rate
            rate = next_rate(low, high)
            if rate < 1:
                break
        return best

    async def _try(self, rate: float) -> Step:
        """Measure a rate; a failure counts when it repeats on an undisturbed machine."""
        failures = disturbed = 0
        while True:
            step = await self.measure(rate)
            self.steps.append(step)
            if step.passed:
                return step
            if step.cores.get("other", 0.0) > DISTURBED_CORES and disturbed < MAX_DISTURBED:
                disturbed += 1
            else:
                failures += 1
            if failures >= self.tries or len(self.steps) >= self.max_steps:
                return step


def next_rate(low: float, high: float) -> float:
    """Return the rate to try between a passing and a failing one; 0 and infinity if unknown."""
    if math.isinf(high):
        return low * RAMP
    if low == 0:
        return high / RAMP
    return math.sqrt(low * high)
