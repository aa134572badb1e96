"""Showing what batches cost while they run, and keeping it for the next start."""

import asyncio
import itertools
from collections.abc import Collection

from streams.lane.lane import Lane
from streams.worker.cost_state import CostStates

KEEP_EVERY_S = 60


class CostKeeping:
    """Keeps what the models of a worker's lanes have been seen to cost.

    Args:
        lanes: All of them; topics of one model learn its costs together.
        states: Where it is kept.
    """

    def __init__(self, lanes: Collection[Lane], states: CostStates) -> None:
        self._lanes = lanes
        self._one_per_engine = list({id(lane.engine): lane for lane in lanes}.values())
        self._states = states

    def keep(self) -> None:
        """Keep what is known now."""
        for lane in self._one_per_engine:
            self._states.save(lane.engine, lane.scheduler.learned_costs)

    async def watch(self, *, second_s: float = 1.0) -> None:
        """Show costs every second, and keep them now and then: not every end is an orderly one."""
        for second in itertools.count(1):
            await asyncio.sleep(second_s)
            for lane in self._lanes:
                lane.gauge_costs()
            if second % KEEP_EVERY_S == 0:
                self.keep()
