"""How a subscription reads, and what it hands out and counts."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from schemas.records import Record
from streams.subscription.positions import Start

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Received(Generic[T]):
    """What was read, and the record that it was read from."""

    value: T
    record: Record


@dataclass(slots=True)
class Counts:
    """What a subscription has seen.

    Attributes:
        read: Records.
        handed_out: Of them, what was wanted and new.
        bad: Of them, what is none of the kind; logged and passed over.
        missed: Offsets between a resume token and the first that the topic still keeps.
    """

    read: int = 0
    handed_out: int = 0
    bad: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How to read.

    Attributes:
        start: Where to begin; in a group, where nothing is committed.
        back: Records before the end, of all partitions together, that are handed out as well where
            reading starts there.
        group: Consumer group, whose members share the partitions; none reads all of them.
        options: More keyword arguments of aiokafka's consumer.
    """

    start: Start = "end"
    back: int = 0
    group: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


class Iteration(AsyncIterator[R], Generic[T, R]):
    """Of a subscription that is open: one whose wait was cut off by a time limit goes on.

    Args:
        following: Waits for what comes next; ``None`` at the end.
        told: What of it is handed out.
    """

    def __init__(
        self,
        following: Callable[[], Awaitable[Received[T] | None]],
        told: Callable[[Received[T]], R],
    ) -> None:
        self._following = following
        self._told = told

    async def __anext__(self) -> R:
        """Return what comes next."""
        received = await self._following()
        if received is None:
            raise StopAsyncIteration
        return self._told(received)

    async def aclose(self) -> None:
        """Leave the subscription open: who opened it closes it."""
