"""The usual ways to choose batches, as batch strategies: what the scheduler is compared with.

They run in the scheduler's place, on the same queue, device thread and costs. All of them give
every event that they run full effort.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge, nsmallest
from importlib.metadata import Distribution, DistributionFinder
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any

from inference.batcher import Decision, Shed
from inference.cost import CostModel
from inference.engine import EffortLevel
from inference.queue import DeadlineQueue, Entry
from inference.registry import Group
from inference.settings import SchedulerSettings
from inference.strategies import take_in_order

MAX_QUEUE_DELAY_S = 0.005
"""Longest that the Triton-style policy lets a free device wait for more."""
TOKENS_PER_EVENT = 20
"""What a headline has at most, nearly always; for the run time of a full batch."""


class EarliestDeadlineFirst:
    """Runs everything in the order of deadlines, in batches as large as they may be; sheds none."""

    def __init__(self, settings: SchedulerSettings, efforts: Sequence[EffortLevel]) -> None:
        self._settings = settings
        self._effort = efforts[0]
        self._lead = settings.prepare_lead_ms / 1e3

    def decide(
        self,
        queue: DeadlineQueue,
        now: float,
        cost: CostModel,
        device_free_at: float,
        *,
        curious: bool = False,  # noqa: ARG002 - nothing is hopeless here
    ) -> Decision:
        """Run the works that are due first; see ``inference.strategies.BatchStrategy``."""
        if not queue:
            return Decision()
        forms_at = device_free_at - self._lead
        if now < forms_at:
            return Decision(wake_at=forms_at if forms_at < float("inf") else None)
        by_slack = merge(*(line.entries for line in queue.lines))
        start = max(now, device_free_at)
        return Decision(take_in_order(by_slack, self._effort, self._settings, cost, start))


class TritonStyle:
    """Priority levels, a time-out in the queue, a bounded queue, a delay to fill a batch.

    As in Triton's dynamic batcher, the time-out (here the event's budget, less what publishing
    takes) counts from enqueue and knows nothing of how long a batch runs. An event that has waited
    longer is rejected when its turn comes, as is what arrives while the queue is full.
    """

    def __init__(self, settings: SchedulerSettings, efforts: Sequence[EffortLevel]) -> None:
        self._settings = settings
        self._effort = efforts[0]
        self._reserve = settings.publish_reserve_ms / 1e3
        self._lead = settings.prepare_lead_ms / 1e3

    def decide(
        self,
        queue: DeadlineQueue,
        now: float,
        cost: CostModel,
        device_free_at: float,
        *,
        curious: bool = False,  # noqa: ARG002 - as above
    ) -> Decision:
        """Run the oldest works of the highest priority; see ``BatchStrategy``."""
        if not queue:
            return Decision()
        gone = [Shed(entry, "queue full") for entry in self._overflow(queue)]
        forms_at = device_free_at - self._lead
        if now < forms_at:
            wake_at = forms_at if forms_at < float("inf") else None
            return Decision(shed=tuple(gone), wake_at=wake_at)
        start = max(now, device_free_at)
        latest = start + self._reserve + self._margin(cost)
        turned_away = {shed.entry.sequence for shed in gone}
        for entry in self._timed_out(queue, latest):
            if entry.sequence not in turned_away:
                gone.append(Shed(entry, "timed out in the queue"))
                turned_away.add(entry.sequence)
        waiting = len(queue) - len(gone)
        if not waiting:
            return Decision(shed=tuple(gone))
        if waiting < self._settings.max_batch_events:
            oldest = min(
                entry.work.arrival
                for line in queue.lines
                for entry in line.entries
                if entry.sequence not in turned_away
            )
            if now < oldest + MAX_QUEUE_DELAY_S:
                return Decision(shed=tuple(gone), wake_at=oldest + MAX_QUEUE_DELAY_S)
        chosen = self._oldest(queue, turned_away)
        batch = take_in_order(chosen, self._effort, self._settings, cost, start)
        return Decision(batch, tuple(gone))

    def _margin(self, cost: CostModel) -> float:  # noqa: ARG002 - for who counts it in
        """Return what is taken off the time-out for the run time of a batch, in seconds."""
        return 0.0

    def _overflow(self, queue: DeadlineQueue) -> list[Entry]:
        """Return the newest works beyond what the queue may hold."""
        over = queue.tokens - queue.max_tokens
        if over <= 0:
            return []
        # The newest are nearly always the last of their lines.
        tails = [entry for line in queue.lines for entry in line.entries[-1024:]]
        gone = []
        for entry in sorted(tails, key=attrgetter("sequence"), reverse=True):
            if over <= 0:
                break
            gone.append(entry)
            over -= entry.work.tokens
        return gone

    def _timed_out(self, queue: DeadlineQueue, latest: float) -> Iterator[Entry]:
        for line in queue.lines:
            # No key is later than its work's deadline.
            for entry in line.entries[: line.before(latest)]:
                if entry.work.deadline < latest:
                    yield entry

    def _oldest(self, queue: DeadlineQueue, gone: set[int]) -> Iterator[Entry]:
        """Yield works by priority, then age."""
        most = self._settings.max_batch_events
        for level in sorted({line.priority for line in queue.lines}, reverse=True):
            entries = chain.from_iterable(
                line.entries for line in queue.lines if line.priority == level
            )
            staying = (entry for entry in entries if entry.sequence not in gone)
            yield from nsmallest(most, staying, key=attrgetter("sequence"))


class TritonTuned(TritonStyle):
    """The same, its time-out shortened by what a full batch takes: as well as it can be set."""

    def _margin(self, cost: CostModel) -> float:
        settings = self._settings
        tokens = min(settings.max_batch_tokens, TOKENS_PER_EVENT * settings.max_batch_events)
        return cost.predict(tokens, settings.max_batch_events, self._effort.name)


RIVALS = {
    "bench_edf": EarliestDeadlineFirst,
    "bench_triton": TritonStyle,
    "bench_triton_tuned": TritonTuned,
}
"""Batch strategies by the names that settings know them by once :func:`register` was called."""


class _Metadata(Distribution):
    """Declares the rivals as an installed package would."""

    def read_text(self, filename: str) -> str | None:
        if filename == "METADATA":
            return "Metadata-Version: 2.1\nName: headrace-bench\nVersion: 0\n"
        if filename == "entry_points.txt":
            lines = [f"{name} = {__name__}:{made.__name__}" for name, made in RIVALS.items()]
            return "\n".join([f"[{Group.BATCH_STRATEGIES.value}]", *lines])
        return None

    def locate_file(self, path: Any) -> Path:
        return Path(__file__).parent / path


class _Finder(DistributionFinder):
    def find_distributions(self, context: Any = None) -> Iterable[Distribution]:  # noqa: ARG002 - the protocol's
        return [_Metadata()]

    def find_spec(self, *_: Any) -> None:
        """Find no modules."""


def register() -> None:
    """Let the rivals be known as batch strategies in this process."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
