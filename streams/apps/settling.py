"""What was taken is settled in the order of taking, many records at once.

First all that they lead to is written, by :class:`streams.apps.writing.AtLeastOnce` or in
transactions; only then does the position of their partitions move, which is what may be committed.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from aiokafka import TopicPartition

from schemas.records import Header, Outbound

MOST_AT_ONCE = 500
"""Records settled together."""
MOST_WAITING = 2_000
"""Records taken and not settled, at which no more are taken."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to send.

    Attributes:
        partition: ``None`` for that of the key.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[Header] = field(default_factory=list)
    partition: int | None = None

    def make(self) -> Outbound:
        """Return it as it is sent."""
        return Outbound(key=self.key, value=self.value, headers=self.headers)


@dataclass(frozen=True, slots=True)
class Taken:
    """A record that was taken, and what it leads to.

    Attributes:
        partition: Where it was.
        offset: Of the record.
        first: What it leads to.
        state: The record of the changelog that follows; ``None`` where nothing changed.
    """

    partition: TopicPartition
    offset: int
    first: tuple[Outgoing, ...] = ()
    state: Outgoing | None = None


Write = Callable[[Sequence[Taken]], Awaitable[None]]
"""Returns when the broker has, for good, all that these records lead to."""


class Settler:
    """Settles what was taken from one topic; :meth:`run` must be running.

    Args:
        write: To the broker.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._waiting: deque[Taken] = deque()
        self._arrived = asyncio.Event()
        self._changed = asyncio.Condition()
        self._positions: dict[TopicPartition, int] = {}
        self.settled = 0
        """Records settled since the start."""

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """What may be committed: offsets below which all that was taken is settled."""
        return dict(self._positions)

    @property
    def waiting(self) -> int:
        """Records taken and not settled."""
        return len(self._waiting)

    def take(self, taken: Taken) -> None:
        """Add a record, after those before it."""
        self._waiting.append(taken)
        self._arrived.set()

    async def room(self) -> None:
        """Wait until not too many records are waiting."""
        if len(self._waiting) >= MOST_WAITING:
            await self._until(lambda: len(self._waiting) < MOST_WAITING)

    async def drain(self, timeout_s: float) -> bool:
        """Wait until nothing is waiting; ``False`` if time ran out."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._until(lambda: not self._waiting)
        except TimeoutError:
            return False
        return True

    def forget(self) -> None:
        """Start anew: other partitions may be owned from now on."""
        self._waiting.clear()
        self._positions.clear()

    async def run(self) -> None:
        """Settle until cancelled.

        Raises:
            KafkaError: The broker refused a record, or did not answer; nothing after it may count.
        """
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                await self._settle(list(islice(self._waiting, MOST_AT_ONCE)))

    async def _settle(self, batch: list[Taken]) -> None:
        await self._write(batch)
        for taken in batch:
            if self._waiting and self._waiting[0] is taken:  # else it was forgotten meanwhile
                self._waiting.popleft()
                self._positions[taken.partition] = taken.offset + 1
                self.settled += 1
        async with self._changed:
            self._changed.notify_all()

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(holds)
