"""The topics that are followed, and how followers come to where others are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from schemas.errors import HeadraceError
from schemas.records import Record
from streams.connection import Connection
from streams.gateway.follower import Follower
from streams.gateway.hub import Hub, Room
from streams.gateway.outbox import BATCH_BYTES
from streams.gateway.settings import GatewaySettings
from streams.gateway.told import Told
from streams.subscription import (
    Choosing,
    Positions,
    Reading,
    Seen,
    Start,
    Subscription,
    subscribed_kind,
)
from streams.subscription.positions import from_token
from streams.subscription.starting import READ_BACK


class Hubs:
    """One hub for each topic that is, or was, followed.

    Args:
        connection: How to reach the brokers.
        settings: How much may wait for a client.
    """

    def __init__(self, connection: Connection, settings: GatewaySettings) -> None:
        self._connection = connection
        self._room = Room(settings.max_queued_events // 2, settings.max_queued_bytes // 2)
        self._most_a_turn = Room(
            max(settings.max_queued_events // 8, 1),
            min(settings.max_queued_bytes // 8, BATCH_BYTES),
        )
        self._hubs: dict[str, Hub] = {}
        self._starting = asyncio.Lock()

    async def stop(self) -> None:
        """Read nothing any more."""
        for hub in list(self._hubs.values()):
            await hub.stop()

    @asynccontextmanager
    async def followed(self, topic: str, follower: Follower, start: Start) -> AsyncIterator[None]:
        """Send a follower what it wants of a topic for as long as this is entered.

        Raises:
            BrokerError: No broker answers, or it refuses to be read.
            ConfigurationError: The topic does not exist, or the start is none of it.
        """
        hub = await self._hub(topic)
        positions = self._joins_at(hub, topic, start)
        try:
            if positions is not None:
                follower.positions = dict(positions)
                follower.opened(follower.token)
                hub.join(follower, positions)
                yield
                return
            seen = follower.seen = Seen()
            passing = _Passing(follower.choosing)
            backlog = Subscription(self._connection, [topic], passing, Reading(start=start), seen)
            async with backlog:
                follower.positions = dict(backlog.positions)
                follower.opened(follower.token)
                catching_up = asyncio.create_task(self._catch_up(backlog, hub, follower, topic))
                try:
                    yield
                finally:
                    catching_up.cancel()
                    await asyncio.gather(catching_up, return_exceptions=True)
        finally:
            hub.leave(follower)

    def _joins_at(self, hub: Hub, topic: str, start: Start) -> Positions | None:
        """Return where a follower can join the hub at once; ``None`` if it must read for itself."""
        if start == "end":
            return hub.end
        if not isinstance(start, str) or start == "beginning":
            return None
        positions = from_token(start, [topic])
        if hub.is_beyond(positions) or not hub.covers(positions, self._room, back=READ_BACK):
            return None
        return positions

    async def _catch_up(
        self, backlog: Subscription[tuple[Any, bool]], hub: Hub, follower: Follower, topic: str
    ) -> None:
        """Read a follower's back-log until the hub has all that follows it, then let it join."""
        name = subscribed_kind(topic).event
        seen, follower.seen = follower.seen, None
        missed = _tell_missed(follower, backlog.counts.missed)
        try:
            async for received in backlog.received():
                follower.positions = dict(backlog.positions)
                missed = _tell_missed(follower, backlog.counts.missed, already=missed)
                value, is_chosen = received.value
                if is_chosen:
                    follower.tell(Told(name, received.record, value), follower.token)
                await follower.outbox.until_half_empty()
                if hub.covers(backlog.positions, self._room):
                    follower.seen = seen
                    hub.join(follower, backlog.positions)
                    return
        except HeadraceError as error:
            follower.ended(f"{error}; resume with the last token")

    async def _hub(self, topic: str) -> Hub:
        async with self._starting:
            if topic not in self._hubs:

                def failed() -> None:
                    self._hubs.pop(topic, None)

                hub = Hub(
                    self._connection,
                    topic,
                    subscribed_kind(topic),
                    most_a_turn=self._most_a_turn,
                    failed=failed,
                )
                await hub.start()
                self._hubs[topic] = hub
            return self._hubs[topic]


def _tell_missed(follower: Follower, missed: int, *, already: int = 0) -> int:
    """Tell a follower what retention has taken from it; return how much that is in all."""
    if missed > already:
        follower.missed(missed - already)
    return missed


class _Passing:
    """Hands out everything, with whether it was chosen; so a reader learns of each position."""

    def __init__(self, choosing: Choosing[Any]) -> None:
        self._choosing = choosing

    def pick(self, record: Record, seen: Seen) -> tuple[Any, bool]:
        """Return value and choice; raises a ``ContractError``."""
        value = self._choosing.decode(record)
        return value, self._choosing.is_chosen(value, record, seen)
