"""Events whose first answer was a lesser one, kept until there is time to do better."""

from collections import deque
from typing import Annotated

import msgspec

from inference.work import Work


class Revisions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether degraded and shed events are classified again in full, and how many wait for that."""

    enabled: bool = False
    """Classify them again in idle time and publish a second result, with ``revision`` 1."""
    max_events: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 2_048
    """Most events per topic that wait for that; the oldest are given up first."""
    max_bytes: Annotated[int, msgspec.Meta(ge=65_536)] = 32 * 1024 * 1024
    """Most memory per topic that their records take, likewise."""
    max_age_ms: Annotated[float, msgspec.Meta(gt=0, le=86_400_000)] = 60_000.0
    """After so long a better answer is of no use any more."""


class Backlog:
    """Works that wait to be revised, the newest first: it is the one that still matters most.

    Args:
        settings: Bounds of memory and age.

    Attributes:
        dropped: Given up so far, for want of room or of time.
        bytes: Memory that the waiting works' records take.
    """

    def __init__(self, settings: Revisions) -> None:
        self.dropped = 0
        self.bytes = 0
        self._settings = settings
        self._waiting: deque[tuple[Work, int]] = deque()

    def __len__(self) -> int:
        """Count the works that wait."""
        return len(self._waiting)

    def add(self, work: Work, size: int) -> None:
        """Let a work wait.

        Args:
            work: As it will be run; its arrival decides its age.
            size: Bytes of its record.
        """
        self._waiting.append((work, size))
        self.bytes += size
        while len(self) > self._settings.max_events or self.bytes > self._settings.max_bytes:
            self._give_up()

    def take(self, most: int, now: float) -> list[Work]:
        """Remove and return the newest works.

        Args:
            most: How many.
            now: Monotonic seconds.
        """
        oldest = now - self._settings.max_age_ms / 1e3
        while self._waiting and self._waiting[0][0].arrival < oldest:
            self._give_up()
        taken: list[Work] = []
        while self._waiting and len(taken) < most:
            work, size = self._waiting.pop()
            self.bytes -= size
            taken.append(work)
        return taken

    def clear(self) -> None:
        """Give all of them up."""
        while self._waiting:
            self._give_up()

    def _give_up(self) -> None:
        _, size = self._waiting.popleft()
        self.bytes -= size
        self.dropped += 1
