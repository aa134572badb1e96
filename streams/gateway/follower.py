"""Somebody who follows a topic: what is wanted of it, where it stands, and where that goes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition

from streams.gateway.outbox import Outbox
from streams.gateway.told import Form, Told
from streams.subscription import Choosing, Positions, Seen, to_token


@dataclass(eq=False, slots=True, kw_only=True)
class Follower:
    """One stream of events to one connection.

    Attributes:
        choosing: What is wanted.
        outbox: Where it goes.
        form: How events are written.
        prefix: What comes before each.
        opened: Called once, before anything is sent, with the token of where it begins.
        cut: Called once when there is no room for one more.
        ended: Called with why when nothing more will come, though the connection may go on.
        seen: What it was told before it joined others; unset where they know as much.
        told: How many events, since somebody set it to 0.
        stands: Says where it is, while it is with others; ``None`` while it has its own place.
    """

    choosing: Choosing[Any]
    outbox: Outbox
    form: Form
    opened: Callable[[str], object]
    cut: Callable[[], None]
    ended: Callable[[str], None]
    prefix: bytes = b""
    seen: Seen | None = None
    told: int = 0
    stands: Callable[[], str] | None = None
    positions: dict[TopicPartition, int] = field(default_factory=dict)

    @property
    def token(self) -> str:
        """Where it stands, once everything that waits was sent."""
        return to_token(self.positions) if self.stands is None else self.stands()

    def tell(self, told: Told, token: str) -> None:
        """Send what is wanted and new to those whom it stands with, unless it was told before."""
        if self.seen is not None and self._was_told(told, self.seen):
            return
        self.told += 1
        frame = told.frame(self.form, token)
        if not self.outbox.put(self.prefix + frame if self.prefix else frame):
            self.cut()

    def _was_told(self, told: Told, seen: Seen) -> bool:
        """Say whether it was told before it joined others; all since then they know themselves."""
        was_told = seen.knows(*self.choosing.identity(told.value))
        if not seen:
            self.seen = None  # too long ago for repetitions
        return was_told

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
