"""At least once: an idempotent producer, and offsets committed after acknowledgements."""

import asyncio
from collections.abc import Collection

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from streams import metrics
from streams.delivery.committed import Committed, GroupOffsets
from streams.delivery.taking_over import TakingOver
from streams.offsets import Ledger
from streams.publisher import Publisher

log = structlog.get_logger(__name__)

COMMIT_S = 10.0
"""aiokafka repeats a commit for as long as the broker is gone; a stop must not wait for that."""


class AtLeastOnce(Publisher):
    """Commits the completed prefix of each partition; what lies beyond is answered again."""

    def __init__(self, producer: AIOKafkaProducer, ledger: Ledger, offsets: GroupOffsets) -> None:
        super().__init__(producer)
        self._ledger = ledger
        self._offsets = offsets
        self._starts: dict[TopicPartition, Committed] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._committing = asyncio.Lock()
        self._taking_over = TakingOver(self._failure.fail)

    @property
    def refused(self) -> bool:
        """Never: what is refused ends the worker, for the producer's numbers have a gap then."""
        return False

    async def take_over(self, partitions: Collection[TopicPartition]) -> bool:
        """Learn where the group stopped.

        Where that fails, :attr:`failure` fires.
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
                for partition, position in self._ledger.positions().items()
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

    async def _take_over(self, partitions: Collection[TopicPartition]) -> None:
        self._starts = await self._offsets.read_patiently(partitions)
