"""Batch strategies: the seam, and two simple ones to compare the scheduler's own with.

A strategy decides over the queue at a moment: which works run next, at what effort, which are shed.
``dynamic_priority`` is ``inference.batcher.MicroBatcher``. The two here know neither deadlines nor
priorities nor efforts: every work runs in full, in the order of arrival, and what ends too late is
late.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Protocol

from inference.batcher import Batch, Decision
from inference.cost import CostModel
from inference.engine import EffortLevel
from inference.queue import DeadlineQueue, Entry
from inference.registry import Group, load
from inference.settings import SchedulerSettings

DYNAMIC_PRIORITY = "dynamic_priority"
"""The strategy where nothing else is asked for."""
STATIC_WAIT_S = 0.020
"""Longest that :class:`Static` lets a work wait for others to fill its batch."""


class BatchStrategy(Protocol):
    """Decides what runs next; one per scheduler, called on its event loop."""

    def decide(
        self,
        queue: DeadlineQueue,
        now: float,
        cost: CostModel,
        device_free_at: float,
        *,
        curious: bool = False,
    ) -> Decision:
        """Decide what happens at ``now``, without changing the queue.

        Args:
            queue: What waits.
            now: Monotonic seconds.
            cost: What batches cost at each effort.
            device_free_at: When the device is expected to take a batch; the past if it is idle,
                infinity if a batch is waiting for it already.
            curious: No batch's cost has been seen for long; run something even if it looks
                hopeless.
        """
        ...


MakeStrategy = Callable[[SchedulerSettings, Sequence[EffortLevel]], BatchStrategy]
"""What an entry point of the group ``headrace.batch_strategies`` names: the scheduler's settings
and the engine's efforts, full effort first, to a strategy."""


def make_strategy(
    name: str, settings: SchedulerSettings, efforts: Sequence[EffortLevel]
) -> BatchStrategy:
    """Make a strategy by its name.

    Raises:
        ConfigurationError: No installed package has it.
    """
    make: MakeStrategy = load(Group.BATCH_STRATEGIES, name)
    return make(settings, efforts)


class Fifo:
    """First in, first out; as many as a batch may hold, as soon as the device is free."""

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
        """Run the oldest works; see :meth:`BatchStrategy.decide`."""
        if not queue:
            return Decision()
        forms_at = self._forms_at(queue, device_free_at)
        if now < forms_at:
            return Decision(wake_at=forms_at if forms_at < float("inf") else None)
        start = max(now, device_free_at)
        return Decision(take_in_order(in_order(queue), self._effort, self._settings, cost, start))

    def _forms_at(self, queue: DeadlineQueue, device_free_at: float) -> float:  # noqa: ARG002 - for who waits on more
        """Return when the next batch is to be formed, in monotonic seconds."""
        return device_free_at - self._lead


class Static(Fifo):
    """Waits until a batch is full, or its oldest work has waited 20 ms: batches of one size."""

    def _forms_at(self, queue: DeadlineQueue, device_free_at: float) -> float:
        settings = self._settings
        free_at = super()._forms_at(queue, device_free_at)
        full = len(queue) >= settings.max_batch_events or queue.tokens >= settings.max_batch_tokens
        if full:
            return free_at
        waiting = chain.from_iterable(line.entries for line in queue.lines)
        oldest = min(entry.work.arrival for entry in waiting)
        return max(free_at, oldest + STATIC_WAIT_S)


def in_order(queue: DeadlineQueue) -> list[Entry]:
    """Return all that waits, in the order of arrival."""
    waiting = chain.from_iterable(line.entries for line in queue.lines)
    return sorted(waiting, key=attrgetter("sequence"))


def take_in_order(
    entries: Iterable[Entry],
    effort: EffortLevel,
    settings: SchedulerSettings,
    cost: CostModel,
    start: float,
) -> Batch:
    """Fill a batch with works in the order given, up to its bounds; with one at least.

    Args:
        entries: At least one.
        effort: For all of them.
        settings: The bounds.
        cost: What the batch is expected to take.
        start: Monotonic seconds at which it would start.
    """
    chosen: list[Entry] = []
    tokens = 0
    for entry in entries:
        more = tokens + entry.work.tokens
        full = len(chosen) == settings.max_batch_events or more > settings.max_batch_tokens
        if chosen and full:
            break
        chosen.append(entry)
        tokens = more
    expected_s = cost.expect(tokens, len(chosen), effort.name)
    return Batch(
        entries=tuple(chosen),
        effort=effort,
        degraded=False,
        reason=None,
        tokens=tokens,
        expected_s=expected_s,
        late=start + expected_s > min(entry.work.deadline for entry in chosen),
    )
