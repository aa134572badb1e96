"""Where a webhook's group has stopped, and telling it how far its deliveries have come."""

import asyncio
from collections.abc import Collection, Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.delivery.committed import Committed, GroupOffsets
from streams.offsets import Ledger

log = structlog.get_logger(__name__)

COMMIT_S = 10.0
"""aiokafka repeats a commit for as long as the broker is gone; a stop must not wait for that."""


class Committing:
    """The offsets of one member.

    Args:
        name: Of the webhook, for the log.
        ledger: Follows the partitions.
        offsets: Of the group.
        begins: Where partitions begin of which the group has committed nothing; of others at their
            beginning.
    """

    def __init__(
        self,
        name: str,
        ledger: Ledger,
        offsets: GroupOffsets,
        begins: Mapping[TopicPartition, int],
    ) -> None:
        self._name = name
        self._ledger = ledger
        self._offsets = offsets
        self._begins = begins
        self._starts: dict[TopicPartition, Committed] = {}
        self._fresh: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._committing = asyncio.Lock()

    async def take_over(self, partitions: Collection[TopicPartition]) -> None:
        """Learn where the group stopped, and follow these partitions from there.

        Raises:
            BrokerError: The broker does not say.
            KafkaError: It refuses to.
        """
        known = await self._offsets.read_patiently(partitions)
        fresh = {one: self._begins[one] for one in partitions if one in self._begins.keys() - known}
        self._starts = {one: Committed(offset) for one, offset in fresh.items()} | known
        self._ledger.assign(partitions)
        self._fresh, self._committed = fresh, {}

    def start_of(self, partition: TopicPartition) -> int | None:
        """Return where a partition goes on; ``None`` for its beginning."""
        return self._starts.get(partition, Committed()).offset

    def give_up(self) -> None:
        """Own nothing any more."""
        self._ledger.close()
        self._fresh = {}

    async def commit(self, consumer: AIOKafkaConsumer | None) -> None:
        """Commit the completed prefix of the owned partitions, as far as it has moved."""
        async with self._committing:
            moved = {
                partition: position
                for partition, position in (self._fresh | self._ledger.positions()).items()
                if self._committed.get(partition) != position
            }
            if not moved or consumer is None:
                return
            try:
                async with asyncio.timeout(COMMIT_S):
                    await consumer.commit(moved)
            except (KafkaError, TimeoutError) as error:
                # The positions stay; the next commit, or the next owner, takes them from there.
                log.warning("commit_failed", webhook=self._name, error=repr(error))
            else:
                self._committed.update(moved)
