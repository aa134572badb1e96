"""What waits for a connection, bounded in events and bytes."""

import asyncio
from collections import deque

BATCH_BYTES = 262_144
"""Least bytes that leave together, if there are as many: one write for many small events."""


class Outbox:
    """Frames that wait to be written to one connection.

    Args:
        most_events: Frames that may wait.
        most_bytes: Bytes of them; a frame that is larger may wait alone.
    """

    def __init__(self, most_events: int, most_bytes: int) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._left = asyncio.Event()
        self.has_ended = False

    def put(self, frame: bytes) -> bool:
        """Add a frame; ``False`` if there was no room: then nothing is sent any more."""
        if self.has_ended:
            return True
        size = self._bytes + len(frame)
        if self._waiting and (size > self._most_bytes or len(self._waiting) >= self._most_events):
            self.end()
            return False
        self._waiting.append(frame)
        self._bytes = size
        self._arrived.set()
        return True

    async def take(self) -> list[bytes]:
        """Wait for frames, and return those that come first.

        Raises:
            ConnectionResetError: There are no more.
        """
        while not self._waiting:
            if self.has_ended:
                raise ConnectionResetError
            self._arrived.clear()
            await self._arrived.wait()
        taken: list[bytes] = []
        size = 0
        while self._waiting and size < BATCH_BYTES:
            frame = self._waiting.popleft()
            size += len(frame)
            taken.append(frame)
        self._bytes -= size
        self._left.set()
        return taken

    def end(self) -> None:
        """Send nothing more."""
        self.has_ended = True
        self._waiting.clear()
        self._bytes = 0
        self._arrived.set()
        self._left.set()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    @property
    def is_half_empty(self) -> bool:
        """Whether half of all that may wait could come at once."""
        return len(self._waiting) * 2 <= self._most_events and self._bytes * 2 <= self._most_bytes

    async def until_half_empty(self) -> None:
        """Wait for room. Readers of back-logs do, so that what is new finds some."""
        while not self.is_half_empty:
            self._left.clear()
            await self._left.wait()
