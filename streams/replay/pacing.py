"""When each event of a log is due: pure functions, and one waiter over an injected clock."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

from inference.clock import Clock
from schemas.errors import ConfigurationError

TOLERANCE_S = 0.001
"""Events due within this are sent together; a sleep this short would come back late anyway."""
MAX_RUN = 64
"""Events sent without a sleep before the producer gets its turn."""
MAX_SPEED = "max"

_SPEED = re.compile(r"x?(?P<number>[0-9]+(\.[0-9]+)?)x?").fullmatch

Sleep = Callable[[float], Awaitable[None]]


class Pace(Protocol):
    """Says how long after the first event each next one is due."""

    def due_s(self, time_ms: float | None) -> float:
        """Return seconds after the start; never less than for the event before.

        Args:
            time_ms: When the event happened, in milliseconds since the epoch, if it says so.
        """
        ...


class OriginalPace:
    """Keeps the gaps of the log, divided by a speed.

    The order of the log is kept: an event that is older than the one before it, or has no time,
    is due together with it.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._first_ms: float | None = None
        self._due_s = 0.0

    def due_s(self, time_ms: float | None) -> float:
        """Return the event's distance from the first, scaled."""
        if time_ms is not None:
            if self._first_ms is None:
                self._first_ms = time_ms
            self._due_s = max(self._due_s, (time_ms - self._first_ms) / 1e3 / self._speed)
        return self._due_s


class SteadyPace:
    """A fixed number of events per second, whatever the log says."""

    def __init__(self, events_per_s: float) -> None:
        self._events_per_s = events_per_s
        self._count = 0

    def due_s(self, time_ms: float | None) -> float:
        """Return this event's place in a steady row."""
        del time_ms
        due = self._count / self._events_per_s
        self._count += 1
        return due


class NoPace:
    """Everything is due at once."""

    def due_s(self, time_ms: float | None) -> float:
        """Return 0."""
        del time_ms
        return 0.0


def make_pace(speed: str, rate: float | None = None) -> Pace:
    """Choose the pace that ``--speed`` and ``--rate`` ask for; a rate wins.

    Args:
        speed: A factor (``1000``, ``x1000``) or ``max``.
        rate: Events per second.

    Raises:
        ConfigurationError: The speed is not one.
    """
    if rate is not None:
        if rate <= 0:
            raise ConfigurationError(f"--rate: {rate:g} is not above 0; give events per second")
        return SteadyPace(rate)
    if speed.strip().lower() == MAX_SPEED:
        return NoPace()
    found = _SPEED(speed.strip())
    factor = float(found["number"]) if found else 0.0
    if factor <= 0:
        raise ConfigurationError(
            f"--speed: {speed!r} is not a speed; give a factor above 0, such as 1000, or max"
        )
    return OriginalPace(factor)


class Pacer:
    """Waits until events are due, measured from the first wait.

    Args:
        pace: When each event is due.
        clock: Read for every event.
        sleep: Takes seconds.
    """

    def __init__(self, pace: Pace, clock: Clock, sleep: Sleep = asyncio.sleep) -> None:
        self._pace = pace
        self._clock = clock
        self._sleep = sleep
        self._start: float | None = None
        self._run = 0
        self.worst_behind_s = 0.0
        """Furthest that an event was sent after it was due."""

    async def wait(self, time_ms: float | None) -> None:
        """Return when the event is due, at most :data:`TOLERANCE_S` early."""
        now = self._clock.monotonic()
        if self._start is None:
            self._start = now
        remaining = self._start + self._pace.due_s(time_ms) - now
        if remaining > TOLERANCE_S:
            await self._sleep(remaining)
            self._run = 0
            return
        if not isinstance(self._pace, NoPace):
            self.worst_behind_s = max(self.worst_behind_s, -remaining)
        self._run += 1
        if self._run >= MAX_RUN:
            await self._sleep(0)
            self._run = 0
