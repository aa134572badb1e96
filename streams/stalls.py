"""Whether progress has stopped, judged by positions that move."""

from enum import Enum


class Stall(Enum):
    """Where an event's way is blocked."""

    CONSUMER = "consumer"
    """The broker holds events and none arrives."""
    PIPELINE = "pipeline"
    """Events are in flight and none ends."""


class StallDetector:
    """Decides from what was observed, at the observer's pace, whether progress has stopped.

    Args:
        stall_s: Seconds without progress that are too many.
    """

    def __init__(self, stall_s: float) -> None:
        self._stall_s = stall_s
        self._since: float | None = None
        self._progress = 0

    def observe(self, *, now: float, lag: int, in_flight: int, progress: int) -> Stall | None:
        """Judge one observation.

        Args:
            now: Monotonic seconds.
            lag: Events at the broker that are not completed.
            in_flight: Events taken in and not completed.
            progress: Events completed since the start.
        """
        idle = lag == 0 and in_flight == 0
        if idle or progress != self._progress or self._since is None:
            self._progress = progress
            self._since = now
            return None
        if now - self._since < self._stall_s:
            return None
        self._since = now  # the remedy gets as long again to show an effect
        return Stall.PIPELINE if in_flight else Stall.CONSUMER
