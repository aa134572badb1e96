"""Hysteresis of effort: it falls at once when it must, and rises step by step.

A load near what the device can do would otherwise flip it from batch to batch, and of two headlines
a millisecond apart one would be read in full, the other at a glance.
"""

from collections.abc import Sequence
from dataclasses import replace

from inference.batcher import Batch
from inference.cost import CostModel
from inference.engine import EffortLevel
from inference.work import OverloadPolicy


class EffortHold:
    """What effort a queue's batches are held at after an overload.

    Lower effort than needed is never later, so holding it breaks no promise. It concerns works that
    may be degraded alone, and none of higher priority than those that were.

    Args:
        efforts: The ladder, full effort first.
        hold_s: For so long effort stays on a rung after it was last needed, and then on each rung
            above it; 0 for no hold.
    """

    def __init__(self, efforts: Sequence[EffortLevel], hold_s: float) -> None:
        self._efforts = tuple(efforts)
        self._places = {effort.name: place for place, effort in enumerate(efforts)}
        self._hold_s = hold_s
        self._level = 0
        self._priority = 0
        self._until = 0.0

    def applied(self, batch: Batch, now: float, cost: CostModel) -> Batch:
        """Return a batch at the effort that it is to run at; note what it needed.

        Args:
            batch: As the strategy would have it.
            now: Monotonic seconds.
            cost: What it takes at another effort.
        """
        needed = self._places.get(batch.effort.name, 0)
        self._rise(now)
        if needed and needed >= self._level:
            self._level = needed
            self._priority = max(entry.work.priority for entry in batch.entries)
            self._until = now + self._hold_s
            return batch
        if needed >= self._level or not self._binds(batch):
            return batch
        effort = self._efforts[self._level]
        seconds = cost.expect(batch.tokens, len(batch.entries), effort.name)
        reason = f"effort {effort.name} is held after an overload"
        return replace(batch, effort=effort, degraded=True, reason=reason, expected_s=seconds)

    def _rise(self, now: float) -> None:
        if not self._hold_s:
            self._level = 0
        while self._level and now >= self._until:
            self._level -= 1
            self._until += self._hold_s

    def _binds(self, batch: Batch) -> bool:
        return all(
            entry.work.on_overload is OverloadPolicy.DEGRADE
            and entry.work.priority <= self._priority
            for entry in batch.entries
        )
