"""Queue, batcher and cost model around one device, with no thread and no clock of its own.

The scheduler drives it in real time, the simulation in simulated time.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from inference.batcher import Batch, Decision
from inference.cost import CostModel
from inference.engine import EffortLevel
from inference.queue import DeadlineQueue
from inference.settings import SchedulerSettings
from inference.strategies import DYNAMIC_PRIORITY, make_strategy
from inference.work import Work

SLOTS = 2
"""One batch running, one prepared."""
CURIOUS_AFTER_S = 1.0
"""Seconds without an observed cost after which a hopeless work is run to learn from it."""


@dataclass(slots=True, eq=False)
class Flight:
    """A batch on the device or in the slot before it.

    Attributes:
        works: In the order of the batch.
        started: Monotonic seconds; ``None`` in the slot.
    """

    batch: Batch
    works: tuple[Work, ...]
    started: float | None


class Dispatch:
    """What waits, what flies and what is known about costs.

    Args:
        strategy: Chooses the batches where the settings name no other.

    Raises:
        ConfigurationError: The strategy is not known.
    """

    def __init__(
        self,
        settings: SchedulerSettings,
        efforts: Sequence[EffortLevel],
        cost: CostModel,
        *,
        strategy: str = DYNAMIC_PRIORITY,
    ) -> None:
        self.queue = DeadlineQueue(settings.max_queue_tokens, settings.priority_weights)
        self.cost = cost
        self.flights: deque[Flight] = deque()
        self._strategy = make_strategy(settings.batch_strategy or strategy, settings, efforts)
        self._full = efforts[0].name
        self._observed_at = -math.inf

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing flies."""
        return not self.queue and not self.flights

    @property
    def expected_free_at(self) -> float:
        """When the device is expected to take the next batch, in monotonic seconds.

        The past when it is idle, infinity while the slot is taken.
        """
        if not self.flights:
            return -math.inf
        running = self.flights[0]
        if len(self.flights) == SLOTS or running.started is None:
            return math.inf
        return running.started + running.batch.expected_s

    def admit(self, works: Iterable[Work], now: float) -> None:
        """Queue works."""
        for work in works:
            self.queue.push(work, now)

    def withdraw(self, predicate: Callable[[Work], bool]) -> list[Work]:
        """Remove and return queued works."""
        return self.queue.withdraw(predicate)

    def step(self, now: float) -> tuple[Decision, Flight | None]:
        """Decide and carry it out: shed works are gone, the batch flies.

        A flight must be handed to the device; call again until there is none.
        """
        self.queue.reprice(self.cost.coefficients(self._full).per_token_s)
        decision = self._strategy.decide(
            self.queue,
            now,
            self.cost,
            self.expected_free_at,
            curious=now - self._observed_at > CURIOUS_AFTER_S,
        )
        if decision.shed:
            self.queue.remove(shed.entry for shed in decision.shed)
        batch = decision.batch
        if batch is None:
            return decision, None
        self.queue.take(batch.entries, now, late=batch.late)
        works = tuple(entry.work for entry in batch.entries)
        flight = Flight(batch, works, None if self.flights else now)
        self.flights.append(flight)
        return decision, flight

    def land(self, seconds: float | None, now: float) -> Flight:
        """Take the running batch off the device; the one in the slot starts.

        Args:
            seconds: Its run time, or ``None`` where that says nothing about its cost.
            now: When it ended.
        """
        flight = self.flights.popleft()
        if self.flights:
            self.flights[0].started = now
        if seconds is not None:
            batch = flight.batch
            self.cost.observe(batch.tokens, len(flight.works), batch.effort.name, seconds)
            self._observed_at = now
        return flight
