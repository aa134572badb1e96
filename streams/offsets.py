"""Which offsets may be committed: the contiguous completed prefix of a partition, nothing more.

The commit protocol, step by step:

1. A partition is assigned: it gets a new :class:`OffsetTracker`.
2. A record is taken from the broker: its offset *begins*, before anything else happens to it.
3. Its result (or dead letter) is acknowledged by the broker: its offset is *complete*.
4. At every commit interval the contiguous completed prefix of each partition is committed, by
   explicit offset, for owned partitions only.
5. A partition is revoked: nothing more begins, what is in flight may finish within the drain
   budget, the prefix is committed, the tracker is closed. What did not finish is the next owner's.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition


class OffsetTracker:
    """Follows one partition from assignment to revocation.

    Offsets begin in order and complete in any order. Offsets that the log does not hold (compacted
    records, transaction markers) never begin, so the prefix runs over what was begun, not over
    every number. A partition that comes back after a rebalance gets a new tracker: completions
    that still arrive for the old one change nothing that is committed.

    Args:
        finished: Offsets that an earlier owner completed ahead of the prefix; they do not begin.
    """

    __slots__ = ("_begun", "_completed", "_finished", "_next", "closed", "position", "sizes")

    def __init__(self, finished: Iterable[int] = ()) -> None:
        self._begun: deque[int] = deque()
        self._completed: set[int] = set()
        self._finished = set(finished)
        self._next = 0
        self.position: int | None = None
        """The offset to commit: every begun offset below it is complete. None before the first."""
        self.sizes: dict[int, int] = {}
        """Bytes of the records in flight; the ledger keeps it."""
        self.closed = False
        """Set when the partition was revoked; its completions no longer matter."""

    def begin(self, offset: int) -> bool:
        """Take note of an offset; ``False`` when it was begun or finished before.

        Then it must not run again.
        """
        if self.position is None:
            self.position = self._next = offset
        if offset < self._next:
            return False
        self._begun.append(offset)
        self._next = offset + 1
        if offset not in self._finished:
            return True
        self._finished.remove(offset)
        self._completed.add(offset)
        self._advance()
        return False

    def complete(self, offset: int) -> None:
        """Mark an offset as answered and acknowledged.

        Raises:
            ValueError: It was not begun, or was completed before: an event had two ends.
        """
        started = self.position is not None and self.position <= offset < self._next
        if not started or offset in self._completed:
            raise ValueError(f"offset {offset} is not in flight: it never began, or ended twice")
        self._completed.add(offset)
        self._advance()

    def after(self, offsets: Collection[int]) -> tuple[int, list[int]]:
        """Tell what could be committed if these were complete too, without completing them.

        Returns:
            The position, and the completed offsets from there on in their order.

        Raises:
            ValueError: Nothing has begun.
        """
        if self.position is None:
            raise ValueError("nothing has begun: there is no position yet")
        done = self._completed.union(self._finished, offsets)
        position = self.position
        for begun in self._begun:
            if begun not in done:
                break
            position = begun + 1
        return position, sorted(offset for offset in done if offset >= position)

    def _advance(self) -> None:
        while self._begun and self._begun[0] in self._completed:
            done = self._begun.popleft()
            self._completed.remove(done)
            self.position = done + 1

    @property
    def in_flight(self) -> int:
        """How many offsets have begun and are not complete."""
        return len(self._begun) - len(self._completed)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a worker may have taken in and not answered, over all of its topics.

    Attributes:
        events: At most so many, and what one more poll brings.
        size: Bytes of their records; likewise.
    """

    events: int = 20_000
    size: int = 256 * 1024 * 1024


class Ledger:
    """The trackers of all partitions that this worker owns now."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._trackers: dict[TopicPartition, OffsetTracker] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.in_flight = 0
        """Events begun and not complete, over all owned partitions."""
        self.bytes_in_flight = 0
        """Size of the records of these events."""
        self.completions = 0
        """Events completed since the start; moves as long as there is progress."""

    def assign(
        self,
        partitions: Iterable[TopicPartition],
        finished: Mapping[TopicPartition, Iterable[int]] | None = None,
    ) -> None:
        """Own exactly ``partitions`` from now on, each from a fresh start.

        Args:
            partitions: Those of now.
            finished: What earlier owners completed ahead of their committed prefix.
        """
        self.close()
        known = finished or {}
        self._trackers = {one: OffsetTracker(known.get(one, ())) for one in partitions}

    def tracker(self, partition: TopicPartition) -> OffsetTracker | None:
        """Return the tracker of a partition, if it is owned."""
        return self._trackers.get(partition)

    @property
    def partitions(self) -> list[TopicPartition]:
        """The owned partitions."""
        return list(self._trackers)

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be taken in."""
        bounds = self._bounds
        return self.in_flight >= bounds.events or self.bytes_in_flight >= bounds.size

    @property
    def has_room_again(self) -> bool:
        """Whether half of it is free."""
        bounds = self._bounds
        return 2 * self.in_flight <= bounds.events and 2 * self.bytes_in_flight <= bounds.size

    def begin(self, tracker: OffsetTracker, offset: int, size: int = 0) -> bool:
        """Begin an offset of an owned partition; ``False`` when it is a repetition.

        Args:
            tracker: Of its partition.
            offset: Of the record.
            size: Of the record in bytes.
        """
        if not tracker.begin(offset):
            return False
        tracker.sizes[offset] = size
        self.bytes_in_flight += size
        self.in_flight += 1
        self._idle.clear()
        return True

    def complete(self, tracker: OffsetTracker, offset: int) -> None:
        """Complete an offset; without effect when its partition was revoked meanwhile."""
        if tracker.closed:
            return
        tracker.complete(offset)
        self.bytes_in_flight -= tracker.sizes.pop(offset, 0)
        self.completions += 1
        self.in_flight -= 1
        if not self.in_flight:
            self._idle.set()

    def positions(self) -> dict[TopicPartition, int]:
        """Return what may be committed now."""
        return {
            partition: tracker.position
            for partition, tracker in self._trackers.items()
            if tracker.position is not None
        }

    async def drain(self, timeout_s: float) -> bool:
        """Wait until nothing is in flight; ``False`` if time ran out."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> int:
        """Give all partitions up; return how many events were still in flight."""
        abandoned = self.in_flight
        for tracker in self._trackers.values():
            tracker.closed = True
        self._trackers = {}
        self.in_flight = self.bytes_in_flight = 0
        self._idle.set()
        return abandoned
