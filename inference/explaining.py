"""Why a batch was formed, as data: for whoever wants to see what the scheduler did.

The scheduler's parts note the rules that they went by, which costs next to nothing. An observer of
the device (see ``inference.shared_device``) gets the rest from a flight when it wants to.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from inference.rules import Rule, TurnRule
from inference.work import OverloadPolicy

if TYPE_CHECKING:
    from inference.dispatch import Dispatch, Flight
    from inference.turns import Turn


@dataclass(frozen=True, slots=True)
class Formed:
    """A batch as it was seen when it was formed.

    Attributes:
        predicted_s: Run time in seconds that it should hardly exceed.
        expected_s: Run time in seconds that is typical of it.
        slack_s: Seconds that the tightest member has to spare if the batch takes as long as
            predicted, the publish reserve taken off; below 0 where it is late whatever is done.
        left_events: What it leaves in its model's queue.
        left_tokens: Likewise.
        reason: Why the effort is below full; ``None`` otherwise.
    """

    events: int
    tokens: int
    effort: str
    predicted_s: float
    expected_s: float
    slack_s: float
    left_events: int
    left_tokens: int
    rule: Rule
    turn: TurnRule
    reason: str | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits of one priority and overload policy.

    Attributes:
        slack_s: Seconds from now to the deadline of the first in line.
        oldest_s: Seconds since the first in line arrived.
        share: Its weight's share of the device among the lines that wait.
    """

    priority: int
    policy: OverloadPolicy
    events: int
    tokens: int
    slack_s: float
    oldest_s: float
    share: float


class ScheduleObserver(Protocol):
    """Is told what happens on a device; called on the event loop, must not raise."""

    def decided(self, turn: "Turn", now: float) -> None:
        """Note what was decided at a moment; its batch has been taken out of the queue."""
        ...

    def landed(self, flight: "Flight", seconds: float) -> None:
        """Note that a batch ended after so many seconds of run time."""
        ...


def formed(flight: "Flight") -> Formed:
    """Describe a flight; to be called when it was launched and nothing has happened since."""
    batch, owner = flight.batch, flight.owner
    reserve_s = owner.settings.publish_reserve_ms / 1e3
    due = min(work.deadline for work in flight.works) - reserve_s
    return Formed(
        events=len(flight.works),
        tokens=batch.tokens,
        effort=batch.effort.name,
        predicted_s=flight.predicted_s,
        expected_s=batch.expected_s,
        slack_s=due - flight.starts_at - flight.predicted_s,
        left_events=len(owner.queue),
        left_tokens=owner.queue.tokens,
        rule=batch.rule,
        turn=flight.turn,
        reason=batch.reason,
    )


def waiting(dispatch: "Dispatch", now: float) -> Iterator[Waiting]:
    """Yield what waits for a model, by class, the highest priority first."""
    lines = dispatch.queue.lines
    weights = sum(line.weight for line in lines)
    for line in lines:
        first = line.entries[0].work
        yield Waiting(
            priority=line.priority,
            policy=line.policy,
            events=len(line.entries),
            tokens=line.tokens,
            slack_s=first.deadline - now,
            oldest_s=now - first.arrival,
            share=line.weight / weights,
        )
