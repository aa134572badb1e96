"""The completed prefix of each partition, as the group's committed offset."""

import asyncio
from collections.abc import Callable, Collection, Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams import metrics
from streams.delivery.committed import Committed, GroupOffsets
from streams.delivery.taking_over import TakingOver
from streams.offsets import Ledger

log = structlog.get_logger(__name__)

COMMIT_S = 10.0
"""aiokafka repeats a commit for as long as the broker is gone; a stop must not wait for that."""


class CommittedPrefix:
    """Commits the completed prefix of each partition; what lies beyond comes again.

    Args:
        ledger: Knows what is complete.
        offsets: Of the group.
        fail: Called with why it could not be learnt where the group stopped.
        begins: Where partitions begin of which the group has committed nothing, which is committed
            then; others begin at their beginning.
    """

    def __init__(
        self,
        ledger: Ledger,
        offsets: GroupOffsets,
        fail: Callable[[BaseException], None],
        begins: Mapping[TopicPartition, int] | None = None,
    ) -> None:
        self._begins = begins or {}
        self._ledger = ledger
        self._offsets = offsets
        self._starts: dict[TopicPartition, Committed] = {}
        self._fresh: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._committing = asyncio.Lock()
        self._taking_over = TakingOver(fail)

    @property
    def refused(self) -> bool:
        """Never: it sends nothing but offsets."""
        return False

    async def take_over(self, partitions: Collection[TopicPartition]) -> bool:
        """Learn where the group stopped.

        Where that fails, ``fail`` is called with why.
        """
        return await self._taking_over.run(self._take_over(partitions))

    def own(self, partitions: Collection[TopicPartition]) -> None:
        """Follow these partitions."""
        self._ledger.assign(partitions)
        self._committed = {}

    def start_of(self, partition: TopicPartition) -> int | None:
        """Return the group's committed offset at the time of taking over."""
        return self._starts.get(partition, Committed()).offset

    async def commit(self, consumer: AIOKafkaConsumer) -> None:
        """Commit the completed prefix of the owned partitions, as far as it has moved."""
        async with self._committing:
            moved = {
                partition: position
                for partition, position in (self._fresh | self._ledger.positions()).items()
                if self._committed.get(partition) != position
            }
            if not moved:
                return
            try:
                async with asyncio.timeout(COMMIT_S):
                    await consumer.commit(moved)
            except (KafkaError, TimeoutError) as error:
                # The positions stay; the next commit, or the next owner, takes them from there.
                metrics.COMMITS.labels("failed").inc()
                log.warning("commit_failed", error=repr(error))
            else:
                metrics.COMMITS.labels("ok").inc()
                self._committed.update(moved)

    async def hand_over(self, consumer: AIOKafkaConsumer) -> None:
        """Commit once more."""
        await self._taking_over.give_up()
        await self.commit(consumer)
        self._fresh = {}

    async def _take_over(self, partitions: Collection[TopicPartition]) -> None:
        known = await self._offsets.read_patiently(partitions)
        self._fresh = {
            one: self._begins[one] for one in partitions if one in self._begins.keys() - known
        }
        self._starts = {one: Committed(begin) for one, begin in self._fresh.items()} | known
