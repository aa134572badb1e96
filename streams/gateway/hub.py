"""One topic, read once for all clients that follow its end."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import TopicPartition

from schemas.errors import HeadraceError
from schemas.records import Record
from streams import metrics
from streams.connection import Connection
from streams.gateway.audience import Audience
from streams.gateway.follower import Follower
from streams.gateway.told import Told
from streams.subscription import Choosing, Kind, Positions, Reading, Seen, Subscription, to_token

TURN_S = 0.01
"""Processor time for which events are told one after the other before what waits is sent. On a
busy machine the wall clock would end turns early, and many small writes cost more."""
SENDING_SHARE = 0.25
"""Of the time, at most. What many clients are sent together costs less, also at their ends."""
MOST_WAIT_S = 0.05
"""For that."""
KEPT = 10_000
"""Records of a topic, so that clients that come back soon need no reader of their own."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Room:
    """What may be told to a follower at once.

    Attributes:
        events: How many.
        bytes: Of all of them.
    """

    events: int
    bytes: int


class Hub:
    """Reads a topic from shortly before its end, and keeps the newest for clients that come back.

    Args:
        connection: How to reach the brokers.
        topic: To read.
        kind: What its records are.
        most_a_turn: What is told before it is sent, at most.
        failed: Called when reading ended.
        wall: The clock, in seconds since the epoch.
    """

    def __init__(
        self,
        connection: Connection,
        topic: str,
        kind: Kind,
        *,
        most_a_turn: Room,
        failed: Callable[[], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._wall = wall
        self._delay = metrics.GATEWAY_DELAY.labels(topic)
        self._most_a_turn = most_a_turn
        self._topic = topic
        self._kind = kind
        self._failed = failed
        self._kept: deque[Told] = deque()
        self._kept_from: dict[TopicPartition, int] = {}
        self._known_from: dict[TopicPartition, int] = {}
        self._memories: dict[Hashable, tuple[Choosing[Any], Seen]] = {
            one.memory: (one, Seen()) for one in kind.wanted.plain()
        }
        self._audience = Audience(self._stands, metrics.GATEWAY_EVENTS.labels(topic).inc)
        self._sending: asyncio.TimerHandle | None = None
        self._send_from = 0.0
        self._ahead: set[Follower] = set()
        self._subscription = Subscription(
            connection, [topic], _Everything(kind), Reading(start="end", back=KEPT), Seen(most=1)
        )
        self._task: asyncio.Task[None] | None = None
        self._has_ended = False

    async def start(self) -> None:
        """Connect; raises as entering a :class:`Subscription` does."""
        await self._subscription.__aenter__()
        self._known_from = dict(self._subscription.positions)
        self._kept_from = dict(self._subscription.positions)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._subscription.aclose()

    @property
    def end(self) -> Positions:
        """Where those begin who want what comes from now on."""
        ends, here = self._subscription.ends, self._subscription.positions
        return {one: max(offset, ends.get(one, 0)) for one, offset in here.items()}

    def is_beyond(self, positions: Positions) -> bool:
        """Say whether positions are ahead of all that is known to be there."""
        end = self.end
        return any(offset > end.get(one, -1) for one, offset in positions.items())

    def covers(self, positions: Positions, room: Room, *, back: int = 0) -> bool:
        """Say whether a client at these positions can join.

        What follows them is, or is about to be, kept here and finds room, and ``back`` records of
        each partition before them are known here.
        """
        behind = sum(max(end - positions.get(one, 0), 0) for one, end in self.end.items())
        if self._has_ended or behind > room.events:
            return False
        kept = (positions.get(one, 0) >= offset for one, offset in self._kept_from.items())
        known = (
            max(positions.get(one, 0) - back, 0) >= offset
            for one, offset in self._known_from.items()
        )
        return all(kept) and all(known) and self._bytes_after(positions) <= room.bytes

    def join(self, follower: Follower, positions: Positions) -> None:
        """Tell a follower what is kept from its positions on, and from now on all that comes."""
        follower.positions = dict(positions)
        if positions != self._subscription.positions:
            for told in self._kept:
                follower.offer(told)
        if follower.is_ahead_of(self._subscription.positions):
            self._ahead.add(follower)
        else:
            self._audience.add(follower)

    def leave(self, follower: Follower) -> None:
        """Tell a follower nothing any more."""
        self._ahead.discard(follower)
        self._audience.discard(follower)

    def _stands(self) -> str:
        return to_token(self._subscription.positions)

    def _bytes_after(self, positions: Positions) -> int:
        size = 0
        for told in reversed(self._kept):
            partition = TopicPartition(told.record.topic, told.record.partition)
            if told.record.offset >= positions.get(partition, 0):
                size += told.size
        return size

    async def _run(self) -> None:
        turn = _Turn(self._most_a_turn)
        why = "the gateway stops; resume with the last token, here or at another gateway"
        try:
            async for received in self._subscription.received():
                if turn.is_over(self._take(received.record, received.value)):
                    # Else a burst would fill what waits for clients who had no chance to read.
                    self._send()
                    await asyncio.sleep(0)
                    turn = _Turn(self._most_a_turn)
        except HeadraceError as error:
            why = f"{error}; resume with the last token"
            log.warning("reading_ended", topic=self._topic, reason=str(error))
        finally:
            self._send()
            self._has_ended = True
            self._failed()
            for follower in [*self._audience, *self._ahead]:
                follower.ended(why)

    def _take(self, record: Record, value: Any) -> Told:
        new_to = [
            memory
            for memory, (choosing, seen) in self._memories.items()
            if choosing.is_new(value, seen)
        ]
        told = Told(self._kind.event, record, value, new_to)
        self._keep(told)
        self._measure(record)
        if self._audience.tell(told) and self._sending is None:
            # When this has no more to tell, and not so soon that sending takes all the time.
            self._sending = asyncio.get_running_loop().call_at(self._send_from, self._send)
        for follower in list(self._ahead):
            follower.offer(told)
            if not follower.is_ahead_of(self._subscription.positions):
                self._ahead.discard(follower)
                self._audience.add(follower)
        return told

    def _send(self) -> None:
        """Send what waits; the more that costs, the later the next time, and the more goes then."""
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        began = time.thread_time()
        self._audience.send()
        took_s = time.thread_time() - began
        wait_s = min(took_s * (1 / SENDING_SHARE - 1), MOST_WAIT_S)
        self._send_from = asyncio.get_running_loop().time() + wait_s

    def _measure(self, record: Record) -> None:
        partition = TopicPartition(record.topic, record.partition)
        if record.timestamp_ms is not None and record.offset >= self._subscription.ends.get(
            partition, 0
        ):
            self._delay.observe(max(self._wall() - record.timestamp_ms / 1e3, 0.0))

    def _keep(self, told: Told) -> None:
        self._kept.append(told)
        if len(self._kept) > KEPT:
            oldest = self._kept.popleft().record
            self._kept_from[TopicPartition(oldest.topic, oldest.partition)] = oldest.offset + 1


class _Turn:
    """What is told without a break."""

    def __init__(self, most: Room) -> None:
        self._events = most.events
        self._bytes = most.bytes
        self._ends = time.thread_time() + TURN_S

    def is_over(self, told: Told) -> bool:
        """Count one more; say whether it was the last."""
        self._events -= 1
        self._bytes -= told.size
        return self._events <= 0 or self._bytes <= 0 or time.thread_time() >= self._ends


class _Everything:
    """Reads all records of a kind."""

    def __init__(self, kind: Kind) -> None:
        self._decode = kind.wanted.decode

    def pick(self, record: Record, seen: Seen) -> Any:
        """Return what a record holds; raises a ``ContractError``."""
        del seen
        return self._decode(record)
