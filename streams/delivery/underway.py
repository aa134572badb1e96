"""Records between their making and the broker's acknowledgement: how many, and for how long.

A verdict is part of the record, so it is given before anyone knows when the broker will have it.
What was made first waits while others are made: aiokafka's ``send`` gives way to nobody until a
batch is full, and a batch leaves once the one before is acknowledged. So only some records are
handed over at a time, and verdicts keep the time in hand that the way to the broker has lately
taken.
"""

import asyncio
import itertools
import math
import time
from collections.abc import Callable

WINDOW = 64
"""Most records that are handed over and not acknowledged: about what fills the time that a request
takes under load."""
SLICE = 16
"""After so many records the producer gets its turn to send them."""
FADE_S = 1.0
"""The longest way of late counts less by and by: after this time by a factor of e."""
SPARE_S = 0.002
"""Verdicts keep so much more in hand than the longest way of late."""


class Longest:
    """The longest time of late: one that was long counts less by and by."""

    def __init__(self) -> None:
        self._seconds = self._at = 0.0

    def note(self, seconds: float, now: float) -> None:
        """Add a time that ended now, in monotonic seconds."""
        if seconds >= self.at(now):
            self._seconds, self._at = seconds, now

    def at(self, now: float) -> float:
        """Return the longest, faded, in seconds."""
        return self._seconds * math.exp((self._at - now) / FADE_S)


class Underway:
    """Follows records on their way.

    Args:
        monotonic: The clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._since: dict[int, float] = {}
        """When each was begun, the oldest first."""
        self._numbers = itertools.count()
        self._longest = Longest()
        self._room = asyncio.Event()

    def begin(self) -> int:
        """Note that a record is about to be made; return its number."""
        number = next(self._numbers)
        self._since[number] = self._monotonic()
        return number

    def end(self, number: int) -> float:
        """Note that a record has arrived, or never will; return how long that took in seconds."""
        now = self._monotonic()
        took_s = now - self._since.pop(number)
        self._longest.note(took_s, now)
        self._room.set()
        return took_s

    async def room(self) -> None:
        """Wait until another record may be handed over, and let the producer have its turns."""
        while len(self._since) >= WINDOW:
            self._room.clear()
            await self._room.wait()
        if len(self._since) % SLICE == SLICE - 1:
            await asyncio.sleep(0)

    @property
    def margin_s(self) -> float:
        """Seconds that a record made now is hardly longer underway than.

        The longest of late, or what the oldest that is underway has waited for already; and a bit.
        """
        now = self._monotonic()
        oldest = next(iter(self._since.values()), now)
        return SPARE_S + max(self._longest.at(now), now - oldest)
