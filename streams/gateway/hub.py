"""One topic, read once for all clients that follow its end."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog
from aiokafka import TopicPartition

from schemas.errors import HeadraceError
from schemas.records import Record
from streams.connection import Connection
from streams.subscription import Choosing, Positions, Reading, Seen, Subscription, to_token

KEPT = 10_000
"""Records of a topic, so that clients that come back soon need no reader of their own."""

log = structlog.get_logger(__name__)


class Passing:
    """Hands out everything, with whether a client chose it; so a reader learns of each position."""

    def __init__(self, choosing: Choosing[Any]) -> None:
        self._choosing = choosing

    def pick(self, record: Record, seen: Seen) -> tuple[Any, bool]:
        """Return value and choice; raises a ``ContractError``."""
        value = self._choosing.decode(record)
        return value, self._choosing.is_chosen(value, record, seen)


class Client:
    """Who follows a topic: what it wants, where it stands, and what waits for it.

    Args:
        choosing: What it wants.
        most: Events that may wait.
        cut: Called once when more would.
    """

    def __init__(self, choosing: Choosing[Any], most: int, cut: Callable[[], None]) -> None:
        self.choosing = choosing
        self.seen = Seen()
        self.positions: dict[TopicPartition, int] = {}
        self._most = most
        self._cut = cut
        self._waiting: deque[tuple[str, Any]] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self.is_cut = False

    @property
    def token(self) -> str:
        """Where it stands, once everything that waits was sent."""
        return to_token(self.positions)

    def offer(self, record: Record, value: Any, *, chosen: bool | None = None) -> None:
        """Take a record's value if it is new to this client and wanted."""
        partition = TopicPartition(record.topic, record.partition)
        if chosen is None:
            chosen = self.choosing.is_chosen(value, record, self.seen)
        if record.offset < self.positions.get(partition, 0):
            return
        self.positions[partition] = record.offset + 1
        if not chosen or self.is_cut:
            return
        if len(self._waiting) >= self._most:
            self.end()
            self._cut()
            return
        self._waiting.append((self.token, value))
        self._arrived.set()
        self._drained.clear()

    async def next(self) -> tuple[str, Any]:
        """Return the resume token and value of the next event.

        Raises:
            ConnectionResetError: There is no next one.
        """
        while not self._waiting:
            if self.is_cut:
                raise ConnectionResetError
            self._arrived.clear()
            await self._arrived.wait()
        one = self._waiting.popleft()
        self._room.set()
        if not self._waiting:
            self._drained.set()
        return one

    def end(self) -> None:
        """Send nothing more."""
        self.is_cut = True
        self._waiting.clear()
        for event in (self._arrived, self._drained, self._room):
            event.set()

    async def has_room(self) -> None:
        """Wait until one more may wait."""
        while len(self._waiting) >= self._most:
            self._room.clear()
            await self._room.wait()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    async def drained(self) -> None:
        """Wait until nothing waits."""
        await self._drained.wait()


class Hub:
    """Reads a topic from its end, and keeps the newest for clients that come back.

    Args:
        connection: How to reach the brokers.
        topic: To read.
        choosing: Decodes its records.
        most: Events that may wait for a client.
        failed: Called when reading ended, with why.
    """

    def __init__(
        self,
        connection: Connection,
        topic: str,
        choosing: Choosing[Any],
        most: int,
        failed: Callable[[], None],
    ) -> None:
        self.clients: set[Client] = set()
        self._topic = topic
        self._failed = failed
        self._kept: deque[tuple[Record, Any]] = deque()
        self._most = most
        self._floor: dict[TopicPartition, int] = {}
        self._subscription = Subscription(
            connection, [topic], Passing(choosing), Reading(start="end"), Seen(most=1)
        )
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    async def start(self) -> None:
        """Connect; raises as entering a :class:`Subscription` does."""
        await self._subscription.__aenter__()
        self._floor = dict(self._subscription.positions)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._subscription.aclose()

    @property
    def positions(self) -> Positions:
        """Where the newest clients begin."""
        return self._subscription.positions

    def covers(self, positions: Positions, *, back: int = 0) -> bool:
        """Say whether a client at these positions can join.

        What follows them is kept here, fits into its queue, and so are ``back`` records of each
        partition before.
        """
        reaches = (
            max(positions.get(one, 0) - back, 0) >= floor for one, floor in self._floor.items()
        )
        behind = sum(newest - positions.get(one, 0) for one, newest in self.positions.items())
        return not self._ended and behind <= self._most and all(reaches)

    def join(self, client: Client, positions: Positions) -> None:
        """Give a client what is kept from its positions on, and from now on all that comes.

        What is kept from before makes repetitions known to it.
        """
        client.positions = dict(positions)
        for record, value in self._kept:
            client.offer(record, value)
        self.clients.add(client)

    async def _run(self) -> None:
        try:
            async for received in self._subscription.received():
                value, _ = received.value
                self._keep(received.record, value)
                for client in list(self.clients):
                    client.offer(received.record, value)
        except HeadraceError as error:
            log.warning("reading_ended", topic=self._topic, reason=str(error))
        finally:
            self._ended = True
            self._failed()
            for client in self.clients:
                client.end()

    def _keep(self, record: Record, value: Any) -> None:
        self._kept.append((record, value))
        if len(self._kept) > KEPT:
            oldest, _ = self._kept.popleft()
            self._floor[TopicPartition(oldest.topic, oldest.partition)] = oldest.offset + 1
