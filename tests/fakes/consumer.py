"""A Kafka consumer and the topic that it reads, in memory; a test says when to rebalance."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from streams.delivery.committed import Committed


def record(
    partition: TopicPartition,
    offset: int,
    value: bytes | None = b"{}",
    *,
    timestamp: int = -1,
    key: bytes | None = None,
    headers: tuple[tuple[str, bytes], ...] = (),
) -> ConsumerRecord[bytes, bytes]:
    """Make a record as aiokafka hands it out."""
    return ConsumerRecord(
        topic=partition.topic,
        partition=partition.partition,
        offset=offset,
        timestamp=timestamp,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=-1,
        serialized_value_size=len(value or b""),
        headers=headers,
    )


class FakeLog:
    """What a broker holds: records and committed offsets, shared by the consumers of a group."""

    def __init__(self, partitions: Iterable[TopicPartition]) -> None:
        self.records: dict[TopicPartition, list[Any]] = {one: [] for one in partitions}
        self.committed: dict[TopicPartition, int] = {}

    def append(self, partition: TopicPartition, count: int) -> None:
        """Add records at the end of a partition."""
        held = self.records[partition]
        start = len(held)
        held.extend(record(partition, start + number) for number in range(count))


class FakeOffsets:
    """Implements what :class:`streams.delivery.at_least_once.AtLeastOnce` asks of group offsets."""

    def __init__(self, log: FakeLog, turns: int = 1) -> None:
        self._log = log
        self._turns = turns

    async def read_patiently(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, Committed]:
        """Return what the log holds, after some turns of the event loop."""
        for _ in range(self._turns):
            await asyncio.sleep(0)
        held = self._log.committed
        return {one: Committed(held[one]) for one in partitions if one in held}


class FakeConsumer:
    """Implements what :class:`streams.consumer.loop.ConsumeLoop` asks of an ``AIOKafkaConsumer``.

    The first assignment, of every partition, comes with :meth:`start`.

    Attributes:
        polls: How often records were asked for.
        poll_errors: Raised by the next polls, in order; likewise the other lists of errors.
        in_next_poll: Run once within the next poll, before the records are looked up.
        hands_out_stale: The next poll hands out what was there before ``in_next_poll`` ran.
        commit_hangs: Commits wait for ever, as they do while no broker is there.
        marks: Of transactions, after the last record of each partition; they are no records.
        stopped: The group was left.
    """

    def __init__(self, log: FakeLog) -> None:
        self._log = log
        self._listener: Any = None
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self.polls = 0
        self.start_error: KafkaError | None = None
        self.poll_errors: list[KafkaError] = []
        self.commit_errors: list[KafkaError] = []
        self.in_next_poll: Callable[[], Awaitable[None]] | None = None
        self.hands_out_stale = False
        self.commit_hangs = False
        self.marks = 0
        self.stopped = False

    def subscribe(self, topics: list[str], *, listener: Any) -> None:
        """Remember whom to tell of assignments."""
        del topics
        self._listener = listener

    async def start(self) -> None:
        """Join the group, which gives this consumer everything."""
        if self.start_error is not None:
            raise self.start_error
        await self.rebalance(self._log.records)

    async def stop(self) -> None:
        """Leave the group."""
        self.stopped = True

    async def rebalance(self, partitions: Iterable[TopicPartition]) -> None:
        """Take the partitions away and hand others, or the same, out."""
        await self._listener.on_partitions_revoked(set(self._positions))
        self._positions = {one: self._log.committed.get(one, 0) for one in partitions}
        self._paused = set()
        await self._listener.on_partitions_assigned(set(self._positions))

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Any]]:
        """Return what is there of partitions that are not paused; an empty poll takes no time.

        As aiokafka does, one partition is read to its end before the next.
        """
        del timeout_ms
        self.polls += 1
        await asyncio.sleep(0)
        if self.poll_errors:
            raise self.poll_errors.pop(0)
        hook, self.in_next_poll = self.in_next_poll, None
        stale = self._taken(partitions, max_records) if self.hands_out_stale else None
        if hook is not None:
            await hook()
        if stale is not None:
            self.hands_out_stale = False
            return stale
        return self._taken(partitions, max_records)

    def _taken(
        self, partitions: Collection[TopicPartition], most: int
    ) -> dict[TopicPartition, list[Any]]:
        batch = {}
        for partition in self._positions:
            if partition in self._paused or (partitions and partition not in partitions):
                continue
            start = self._positions[partition]
            if found := self._log.records[partition][start : start + most]:
                batch[partition] = found
                self._positions[partition] = start + len(found)
                most -= len(found)
            if not most:
                break
        return batch

    def assignment(self) -> set[TopicPartition]:
        """Return what the group has given to this consumer."""
        return set(self._positions)

    def paused(self) -> set[TopicPartition]:
        """Return the partitions that are not fetched."""
        return set(self._paused)

    def pause(self, *partitions: TopicPartition) -> None:
        """Stop fetching."""
        self._require(partitions)
        self._paused.update(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        """Fetch again."""
        self._require(partitions)
        self._paused.difference_update(partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on from an offset."""
        self._require([partition])
        self._positions[partition] = offset

    async def seek_to_beginning(self, partition: TopicPartition) -> None:
        """Go on from the first record."""
        self.seek(partition, 0)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        """Keep offsets for the group."""
        self._require(offsets)
        if self.commit_hangs:
            await asyncio.get_running_loop().create_future()
        if self.commit_errors:
            raise self.commit_errors.pop(0)
        self._log.committed.update(offsets)

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where partitions end."""
        return {one: len(self._log.records[one]) + self.marks for one in partitions}

    async def position(self, partition: TopicPartition) -> int:
        """Return what is read next; marks after the last record are passed."""
        self._require([partition])
        position = self._positions[partition]
        return position + (self.marks if position == len(self._log.records[partition]) else 0)

    async def beginning_offsets(
        self, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """Return where partitions begin."""
        return dict.fromkeys(partitions, 0)

    def _require(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            if partition not in self._positions:
                raise IllegalStateError(f"{partition} is not assigned")
