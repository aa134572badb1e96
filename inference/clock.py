"""The one source of time for everything that schedules."""

import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds and wall-clock seconds since the epoch."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never steps back."""
        ...

    def wall(self) -> float:
        """Return seconds since the Unix epoch."""
        ...


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        """Return ``time.monotonic()``."""
        return time.monotonic()

    def wall(self) -> float:
        """Return ``time.time()``."""
        return time.time()
