"""A device that one model has to itself, over simulated time."""

import math
from collections.abc import Callable, Iterable, Sequence

from inference.cost import CostModel
from inference.dispatch import Dispatch, Flight
from inference.engine import EffortLevel
from inference.queue import DeadlineQueue
from inference.settings import SchedulerSettings
from inference.strategies import DYNAMIC_PRIORITY
from inference.turns import Turn, Turns
from inference.work import Work


class SoleDevice:
    """One model's dispatch and the turns that it takes with nobody."""

    def __init__(
        self,
        settings: SchedulerSettings,
        efforts: Sequence[EffortLevel],
        cost: CostModel,
        *,
        strategy: str = DYNAMIC_PRIORITY,
    ) -> None:
        self.dispatch = Dispatch(settings, efforts, cost, strategy=strategy)
        self.turns = Turns([self.dispatch])

    @property
    def queue(self) -> DeadlineQueue:
        """What waits."""
        return self.dispatch.queue

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing flies."""
        return self.dispatch.idle

    @property
    def expected_free_at(self) -> float:
        """When the device is expected to take the next batch."""
        return self.turns.expected_free_at

    def admit(self, works: Iterable[Work], now: float) -> None:
        """Queue works."""
        self.dispatch.admit(works, now)

    def withdraw(self, predicate: Callable[[Work], bool]) -> list[Work]:
        """Take queued works back."""
        return self.dispatch.withdraw(predicate)

    def step(self, now: float) -> tuple[Turn, Flight | None]:
        """Decide once."""
        turn = self.turns.step(now)
        assert self.queue.share == 1.0
        assert turn.wake_at is None or math.isfinite(turn.wake_at)
        return turn, turn.flight

    def land(self, seconds: float | None, now: float) -> Flight:
        """End the running batch."""
        return self.turns.land(seconds, now)
