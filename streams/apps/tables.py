"""The states of keys in memory, by partition, and the reading of them from the changelog.

A table is always what the changelog holds below its position. So what a member knows of a partition
that it gives up and gets back need not be read again: only what was written since, whoever did.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition

READ_MS = 200
"""How long a record of the changelog is waited for before it is looked who owns what."""
READ_AT_ONCE = 5_000

States = dict[bytes, bytes]


@dataclass(slots=True)
class _Table:
    states: States = field(default_factory=dict)
    position: int = 0
    """Offset in the changelog below which all of it is in the states."""


class Tables:
    """The tables of the partitions that a member owns.

    Args:
        topic: The changelog.
        reader: Belongs to no group and to nobody else, and reads committed records.
    """

    def __init__(self, topic: str, reader: AIOKafkaConsumer) -> None:
        self._topic = topic
        self._reader = reader
        self._tables: dict[int, _Table] = {}
        self.read = 0
        """Records of the changelog that were read since the start."""

    def __len__(self) -> int:
        return sum(len(table.states) for table in self._tables.values())

    def states(self, partition: int) -> States:
        """Return what is known of the keys of a partition, to be changed in place."""
        return self._tables.setdefault(partition, _Table()).states

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Return all keys with their states."""
        for table in self._tables.values():
            yield from table.states.items()

    def wrote(self, partition: int, offset: int) -> None:
        """Note that a state, known here, is in the changelog."""
        if table := self._tables.get(partition):
            table.position = max(table.position, offset + 1)

    async def restore(self, partitions: Collection[int], *, may_go_on: Callable[[], bool]) -> bool:
        """Read what is not known of these partitions, and forget all others.

        Args:
            partitions: Which nobody else writes any more.
            may_go_on: Whether they are still this member's; looked at again and again.

        Returns:
            Whether the tables are complete.

        Raises:
            KafkaError: The broker does not answer.
        """
        self._tables = {one: self._tables.get(one, _Table()) for one in partitions}
        places = {TopicPartition(self._topic, one): table for one, table in self._tables.items()}
        if not places:
            return True
        reader = self._reader
        reader.assign(list(places))
        try:
            ends = await reader.end_offsets(list(places))
            begins = await reader.beginning_offsets(list(places))
            for place, table in places.items():
                if not begins[place] <= table.position <= ends[place]:
                    # The topic was made anew, or has lost what was not read.
                    table.states.clear()
                    table.position = begins[place]
                reader.seek(place, table.position)
            return await self._read(places, ends, may_go_on)
        finally:
            reader.unsubscribe()

    async def _read(
        self,
        places: dict[TopicPartition, _Table],
        ends: dict[TopicPartition, int],
        may_go_on: Callable[[], bool],
    ) -> bool:
        left = {one for one, table in places.items() if table.position < ends[one]}
        while left and may_go_on():
            found = await self._reader.getmany(*left, timeout_ms=READ_MS, max_records=READ_AT_ONCE)
            for place, records in found.items():
                for record in records:
                    _apply(places[place].states, record.key, record.value)
                self.read += len(records)
            for place in left:
                # Marks of transactions come last, and are no records.
                places[place].position = await self._reader.position(place)
            left = {one for one in left if places[one].position < ends[one]}
        return not left


def _apply(states: States, key: bytes | None, value: bytes | None) -> None:
    if key is None:
        return
    if value is None:
        states.pop(key, None)
    else:
        states[key] = value
