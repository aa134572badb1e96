"""Somebody who follows a topic: what is wanted of it, where it stands, and where that goes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition

from streams.gateway.outbox import Outbox
from streams.gateway.told import Told
from streams.gateway.wires import Wire
from streams.subscription import Choosing, Positions, Seen, to_token

if TYPE_CHECKING:
    from streams.gateway.sharing import Sharing


@dataclass(eq=False, slots=True, kw_only=True)
class Follower:
    """One stream of events to one connection.

    Attributes:
        choosing: What is wanted.
        outbox: Where it goes.
        wire: How events are written.
        opened: Called once, before anything is sent, with the token of where it begins.
        missed: Called with how many offsets it wanted and the topic no longer keeps, ahead of what
            follows them.
        cut: Called once when there is no room for one more.
        ended: Called with why when nothing more will come, though the connection may go on.
        sent: Called with how many events were sent to it alone.
        seen: What it was told before it joined others; unset where they know as much.
        sharing: The others whom it is with; ``None`` while it has its own place.
    """

    choosing: Choosing[Any]
    outbox: Outbox
    wire: Wire
    opened: Callable[[str], object]
    missed: Callable[[int], object]
    cut: Callable[[], None]
    ended: Callable[[str], None]
    sent: Callable[[int], object]
    seen: Seen | None = None
    sharing: "Sharing | None" = None
    positions: dict[TopicPartition, int] = field(default_factory=dict)

    @property
    def token(self) -> str:
        """Where it stands, once everything that waits was sent; send something else then."""
        return to_token(self.positions) if self.sharing is None else self.sharing.interrupt()

    def tell(self, told: Told, token: str) -> None:
        """Send it alone what is wanted, unless it was told that before it joined the others."""
        if self.knows_any([told]):
            return
        self.sent(1)
        if not self.outbox.put(self.wire.frame(told, token)):
            self.cut()

    def send(self, data: bytes, events: int) -> None:
        """Send what others are sent as well."""
        if not self.outbox.put_packed(data, events):
            self.cut()

    def knows_any(self, all_told: Iterable[Told]) -> bool:
        """Say whether it was told any before it joined; all since then the others know as well."""
        seen = self.seen
        if seen is None:
            return False
        knows = any(seen.knows(*self.choosing.identity(told.value)) for told in all_told)
        if not seen:
            self.seen = None  # too long ago for repetitions
        return knows

    def offer(self, told: Told) -> None:
        """Go on over a record from its own place; send what it holds if that is wanted and new."""
        partition = TopicPartition(told.record.topic, told.record.partition)
        if told.record.offset < self.positions.get(partition, 0):
            return
        self.positions[partition] = told.record.offset + 1
        if self.choosing.memory in told.new_to and self.choosing.holds(told.value, told.record):
            self.tell(told, self.token)

    def is_ahead_of(self, positions: Positions) -> bool:
        """Say whether it was told more than those at other positions."""
        return any(offset > positions.get(one, 0) for one, offset in self.positions.items())
