"""A batch strategy of one's own: the shortest texts first.

What is short is answered soonest, and batches hold texts of like lengths. A long text waits while
shorter ones keep coming, so one that has waited for ``PATIENCE_S`` goes first.
"""

from collections.abc import Sequence
from itertools import chain

from inference.batcher import Batch, Decision
from inference.cost import CostModel
from inference.engine import EffortLevel
from inference.queue import DeadlineQueue, Entry
from inference.settings import SchedulerSettings

PATIENCE_S = 0.5


class ShortestFirst:
    """Named by the entry point; made once per scheduler."""

    def __init__(self, settings: SchedulerSettings, efforts: Sequence[EffortLevel]) -> None:
        self._settings = settings
        self._effort = efforts[0]

    def decide(
        self,
        queue: DeadlineQueue,
        now: float,
        cost: CostModel,
        device_free_at: float,
        *,
        curious: bool = False,
    ) -> Decision:
        """Run the shortest texts as soon as the device is free; shed none."""
        del curious  # nothing is given up here, so there is nothing to be curious about
        if not queue:
            return Decision()
        if now < device_free_at:
            return Decision(wake_at=device_free_at if device_free_at < float("inf") else None)

        def turn(entry: Entry) -> tuple[bool, int, int]:
            is_patient = now - entry.work.arrival < PATIENCE_S
            return is_patient, entry.work.tokens, entry.sequence

        waiting = chain.from_iterable(line.entries for line in queue.lines)
        entries: list[Entry] = []
        tokens = 0
        for entry in sorted(waiting, key=turn)[: self._settings.max_batch_events]:
            if entries and tokens + entry.work.tokens > self._settings.max_batch_tokens:
                break
            entries.append(entry)
            tokens += entry.work.tokens
        expected_s = cost.expect(tokens, len(entries), self._effort.name)
        return Decision(
            Batch(
                entries=tuple(entries),
                effort=self._effort,
                degraded=False,
                reason=None,
                tokens=tokens,
                expected_s=expected_s,
                late=any(entry.work.deadline < now + expected_s for entry in entries),
            )
        )
