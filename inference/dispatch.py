"""One model's queue, batch strategy and costs, with no thread and no clock of their own.

The scheduler drives them in real time, the simulation in simulated time; when a model's batch may
run is decided by ``inference.turns``.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from inference.batcher import Batch, Decision, Shed
from inference.cost import CostModel
from inference.effort_hold import EffortHold
from inference.engine import EffortLevel
from inference.latest import Latest, Superseded
from inference.queue import DeadlineQueue
from inference.rules import TurnRule
from inference.settings import SchedulerSettings
from inference.shares import Quota, binding
from inference.strategies import DYNAMIC_PRIORITY, make_strategy
from inference.work import OverloadPolicy, Subject, Work

CURIOUS_AFTER_S = 1.0
"""Seconds without an observed cost after which a hopeless work is run to learn from it."""


@dataclass(slots=True, eq=False)
class Flight:
    """A batch on the device or in the slot before it.

    Attributes:
        owner: Whose batch it is.
        works: In the order of the batch.
        started: Monotonic seconds; ``None`` in the slot.
        predicted_s: Run time in seconds that it should hardly exceed, as known when it was formed.
        starts_at: When it was to start, in monotonic seconds, likewise.
        turn: Why it was this model's turn.
    """

    owner: "Dispatch"
    batch: Batch
    works: tuple[Work, ...]
    started: float | None
    predicted_s: float = 0.0
    starts_at: float = 0.0
    turn: TurnRule = TurnRule.ALONE


class Dispatch:
    """What waits for one model, and what is known about its costs.

    Args:
        strategy: Chooses the batches where the settings name no other.
        quotas: Bounds on the tokens per second that may run.

    Attributes:
        flying: Batches of this model on the device and in the slot.

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
        quotas: Sequence[Quota] = (),
    ) -> None:
        self.queue = DeadlineQueue(settings.max_queue_tokens, settings.priority_weights)
        self._latest = Latest(self.queue)
        self.cost = cost
        self.settings = settings
        self.flying = 0
        self._quotas = quotas
        self._strategy = make_strategy(settings.batch_strategy or strategy, settings, efforts)
        self._full, self._lowest = efforts[0].name, efforts[-1].name
        self._hold = EffortHold(efforts, settings.effort_hold_ms / 1e3)
        self._observed_at = -math.inf

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing flies."""
        return not self.queue and not self.flying

    def admit(self, works: Iterable[Work], now: float) -> list[Superseded]:
        """Queue works; return those, of them or of those that waited, that newer ones supersede."""
        found = []
        for work in works:
            superseded = self._latest.admit(work, now)
            if superseded is not None:
                found.append(superseded)
        return found

    def refusal(self, work: Work, now: float) -> str | None:
        """Say why a work that has not been encoded could not be met any more; ``None`` if it may.

        Certain as far as costs are: what waits in its own line and is due before it takes the
        whole device longer than it has, at the lowest effort that it allows.
        """
        if work.on_overload is OverloadPolicy.LATE:
            return None
        effort = self._lowest if work.on_overload is OverloadPolicy.DEGRADE else self._full
        line = self.queue.waiting_like(work)
        tokens, events = 0, 0
        if line is not None:
            events = line.before(work.deadline)
            tokens = round(events * line.mean_tokens)
        needed_s = self.cost.coefficients(effort).seconds(tokens + 1, events + 1)
        left_s = work.deadline - self.settings.publish_reserve_ms / 1e3 - now
        if needed_s <= left_s:
            return None
        return (
            f"would miss its deadline by {(needed_s - left_s) * 1e3:.1f} ms: it came with "
            f"{max(0.0, left_s) * 1e3:.1f} ms left, and {events} events before it"
        )

    def settle(self, subject: Subject, now: float) -> list[Superseded]:
        """Take out what waits for a subject that something newer has answered already."""
        superseded = self._latest.settle(subject, now)
        return [] if superseded is None else [superseded]

    def withdraw(self, predicate: Callable[[Work], bool]) -> list[Work]:
        """Remove and return queued works."""
        withdrawn = self.queue.withdraw(predicate)
        self._latest.withdrew(withdrawn)
        return withdrawn

    def decide(self, now: float, device_free_at: float) -> Decision:
        """Decide what should happen; what is shed is gone from the queue, a batch is not yet.

        Args:
            now: Monotonic seconds.
            device_free_at: When the device is expected to take a batch; the past if it is idle,
                infinity if a batch is waiting for it already.
        """
        self.queue.reprice(self.cost.coefficients(self._full).per_token_s)
        # To those who have used up their quota the device is busy until there is some again.
        allowed_at, quota = binding(self._quotas, now) if self._quotas else (-math.inf, None)
        decision = self._strategy.decide(
            self.queue,
            now,
            self.cost,
            max(device_free_at, allowed_at),
            curious=now - self._observed_at > CURIOUS_AFTER_S,
        )
        if self._quotas:
            decision = self._within_quotas(decision, quota, now)
        if decision.shed:
            gone = [shed.entry for shed in decision.shed]
            self.queue.remove(gone)
            self._latest.left(gone, ran=False)
        return decision

    def launch(self, batch: Batch, now: float, *, started: float | None) -> Flight:
        """Take a batch's works out of the queue: they are going to run."""
        batch = self._hold.applied(batch, now, self.cost)
        self.queue.take(batch.entries, now, late=batch.late)
        for quota in self._quotas:
            quota.charge(batch.tokens, now)
        self._latest.left(batch.entries, ran=True)
        self.flying += 1
        works = tuple(entry.work for entry in batch.entries)
        predicted_s = self.cost.predict(batch.tokens, len(works), batch.effort.name)
        return Flight(self, batch, works, started, predicted_s, starts_at=now)

    def land(self, flight: Flight, seconds: float | None, now: float) -> None:
        """Note that a batch of this model has ended.

        Args:
            flight: The batch.
            seconds: Its run time, or ``None`` where that says nothing about its cost.
            now: When it ended.
        """
        self.flying -= 1
        if seconds is not None:
            batch = flight.batch
            self.cost.observe(batch.tokens, len(flight.works), batch.effort.name, seconds)
            self._observed_at = now

    def _within_quotas(self, decision: Decision, used_up: Quota | None, now: float) -> Decision:
        """Return a decision with no larger a batch than quotas allow, and with what they cost."""
        batch = decision.batch
        if batch is not None:
            batch = self._cut(batch, max(1.0, min(quota.room(now) for quota in self._quotas)))
        shed = decision.shed
        if used_up is not None:
            shed = tuple(Shed(one.entry, f"{one.reason}; {used_up} is used up") for one in shed)
        return replace(decision, batch=batch, shed=shed)

    def _cut(self, batch: Batch, most_tokens: float) -> Batch:
        """Return the front of a batch that has so many tokens at most, or one work."""
        if batch.tokens <= most_tokens:
            return batch
        sums = list(accumulate(entry.work.tokens for entry in batch.entries))
        kept = max(1, sum(tokens <= most_tokens for tokens in sums))
        tokens = sums[kept - 1]
        expected_s = self.cost.expect(tokens, kept, batch.effort.name)
        return replace(batch, entries=batch.entries[:kept], tokens=tokens, expected_s=expected_s)
