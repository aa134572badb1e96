"""An app's changelog as its reader sees it, in memory."""

from collections.abc import Callable, Iterable

from aiokafka import ConsumerRecord, TopicPartition

MARK = None
Written = tuple[bytes, bytes | None] | None


class FakeChangelog:
    """A reader of the changelog: per partition what was written, ``None`` for marks.

    Attributes:
        logs: What was written; the first has offset ``begin``.
        read: Offsets that were handed out.
        at_once: Records that one call returns at most.
    """

    def __init__(self, **logs: Iterable[Written]) -> None:
        self.logs = {int(name[1:]): list(log) for name, log in logs.items()}
        self.begin = 0
        self.read: list[tuple[int, int]] = []
        self.at_once = 2
        self.on_read: Callable[[], None] = lambda: None
        self._positions: dict[TopicPartition, int] = {}

    def assign(self, places: list[TopicPartition]) -> None:
        """Begin to read these."""
        self._positions = dict.fromkeys(places, -1)

    def unsubscribe(self) -> None:
        """Read nothing."""
        self._positions = {}

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Go on there."""
        self._positions[place] = offset

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Return what comes after the last, marks included."""
        return {one: self.begin + len(self.logs[one.partition]) for one in places}

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offsets."""
        return dict.fromkeys(places, self.begin)

    async def position(self, place: TopicPartition) -> int:
        """Return what comes next."""
        return self._positions[place]

    async def getmany(
        self, *places: TopicPartition, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]:
        """Return some records of each."""
        assert timeout_ms > 0 < max_records
        self.on_read()
        found: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]] = {}
        for place in places:
            for _ in range(self.at_once):
                at = self._positions[place]
                if at >= self.begin + len(self.logs[place.partition]):
                    break
                self._positions[place] += 1
                if (written := self.logs[place.partition][at - self.begin]) is not MARK:
                    self.read.append((place.partition, at))
                    found.setdefault(place, []).append(record(place, at, *written))
        return found


def record(
    place: TopicPartition, offset: int, key: bytes, value: bytes | None
) -> ConsumerRecord[bytes, bytes]:
    """Return a record as aiokafka hands it out."""
    return ConsumerRecord(
        *(place.topic, place.partition, offset, 0, 0, key, value, None),
        *(len(key), len(value or b""), ()),
    )
