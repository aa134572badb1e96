"""A clock that stands where it is set."""


class SetClock:
    """Implements ``inference.clock.Clock``."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def set(self, seconds: float) -> None:
        """Let it be so many seconds since the epoch."""
        self._seconds = seconds

    def monotonic(self) -> float:
        """Return the same as :meth:`wall`."""
        return self._seconds

    def wall(self) -> float:
        """Return what was set."""
        return self._seconds
