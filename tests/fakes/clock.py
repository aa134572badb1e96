"""A clock that stands still until a test moves it."""

import asyncio


class ManualClock:
    """Implements :class:`inference.clock.Clock`; both of its times move together.

    Args:
        monotonic: Where the monotonic time begins, in seconds.
        wall: Where the wall clock begins, in seconds since the epoch.
    """

    def __init__(self, monotonic: float = 1_000.0, wall: float = 1_700_000_000.0) -> None:
        self._monotonic = monotonic
        self._wall = wall

    def monotonic(self) -> float:
        """Return seconds on a clock that never steps back."""
        return self._monotonic

    def wall(self) -> float:
        """Return seconds since the Unix epoch."""
        return self._wall

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._monotonic += seconds
        self._wall += seconds

    def drive(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make a loop's timers follow this clock, so that none fires before a test says so."""
        loop.time = self.monotonic  # type: ignore[method-assign]
