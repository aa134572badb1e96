"""What waits for a connection, bounded in events and bytes."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

BATCH_BYTES = 262_144
"""Least bytes that leave together, if there are as many: one write for many small events."""


class _Waiting(NamedTuple):
    data: bytes
    events: int
    is_packed: bool


class Outbox:
    """Bytes that wait to be written to one connection.

    Args:
        most_events: Events that may wait.
        most_bytes: Bytes that may wait; what is larger may wait alone.
        pack: Makes the bytes that are written of frames that are for this connection alone.
    """

    def __init__(
        self,
        most_events: int,
        most_bytes: int,
        pack: Callable[[Sequence[bytes]], bytes] = b"".join,
    ) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._pack = pack
        self._waiting: deque[_Waiting] = deque()
        self._events = 0
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._left = asyncio.Event()
        self._transport: asyncio.WriteTransport | None = None
        self._wrote: Callable[[], None] = lambda: None
        self.has_ended = False

    def put(self, frame: bytes) -> bool:
        """Add a frame; ``False`` if there was no room: then nothing is sent any more."""
        return self._put(_Waiting(frame, 1, is_packed=False))

    def put_packed(self, data: bytes, events: int) -> bool:
        """Add bytes of several events that are written as they are, as other connections' are."""
        if not self._is_clear():
            return self._put(_Waiting(data, events, is_packed=True))
        self._write(data)
        return True

    async def take(self) -> bytes:
        """Wait for something, and return what comes first, ready to be written.

        Raises:
            ConnectionResetError: There is no more.
        """
        while not self._waiting:
            if self.has_ended:
                raise ConnectionResetError
            self._arrived.clear()
            await self._arrived.wait()
        parts: list[bytes] = []
        alone: list[bytes] = []
        size = 0
        while self._waiting and size < BATCH_BYTES:
            data, events, is_packed = self._waiting.popleft()
            size += len(data)
            self._events -= events
            if is_packed and alone:
                parts.append(self._pack(alone))
                alone = []
            (parts if is_packed else alone).append(data)
        if alone:
            parts.append(self._pack(alone))
        self._bytes -= size
        self._left.set()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def write_to(
        self,
        transport: asyncio.WriteTransport,
        drain: Callable[[], Awaitable[None]],
        wrote: Callable[[], None],
    ) -> None:
        """Write what waits and what comes, until there is no more or the connection is gone.

        While the system takes all that is written, nothing waits: it is written when it is put.

        Args:
            transport: Of the connection.
            drain: Waits while the connection has enough to send.
            wrote: Called after each write.

        Raises:
            ConnectionError: Always.
        """
        self._transport, self._wrote = transport, wrote
        try:
            while True:
                self._write(await self.take())
                await drain()
        finally:
            self._transport = None

    def end(self) -> None:
        """Send nothing more."""
        self.has_ended = True
        self._waiting.clear()
        self._events = self._bytes = 0
        self._arrived.set()
        self._left.set()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    @property
    def is_half_empty(self) -> bool:
        """Whether half of all that may wait could come at once."""
        return self._events * 2 <= self._most_events and self._bytes * 2 <= self._most_bytes

    async def until_half_empty(self) -> None:
        """Wait for room. Readers of back-logs do, so that what is new finds some."""
        while not self.is_half_empty:
            self._left.clear()
            await self._left.wait()

    def _put(self, waiting: _Waiting) -> bool:
        if self.has_ended:
            return True
        events, size = self._events + waiting.events, self._bytes + len(waiting.data)
        if self._waiting and (size > self._most_bytes or events > self._most_events):
            self.end()
            return False
        self._waiting.append(waiting)
        self._events, self._bytes = events, size
        self._arrived.set()
        return True

    def _is_clear(self) -> bool:
        return (
            self._transport is not None
            and not self._waiting
            and not self.has_ended
            and not self._transport.is_closing()
            and self._transport.get_write_buffer_size() == 0
        )

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            self.end()
            raise ConnectionResetError
        transport.write(data)
        self._wrote()
