"""What the consume loop asks of whoever keeps the group's offsets."""

from collections.abc import Collection
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition


class Keeping(Protocol):
    """Keeps the group's offsets true to what has ended."""

    @property
    def refused(self) -> bool:
        """Whether the broker does not allow what is sent, and it is tried again."""

    async def take_over(self, partitions: Collection[TopicPartition]) -> bool:
        """Find out where to go on with partitions; ``False`` if that failed or was given up."""

    def own(self, partitions: Collection[TopicPartition]) -> None:
        """Let the ledger follow exactly these partitions, which were taken over.

        They have to be read from :meth:`start_of`, wherever the consumer stands.
        """

    def start_of(self, partition: TopicPartition) -> int | None:
        """Return where to read an owned partition from; ``None`` for its beginning."""

    async def commit(self, consumer: AIOKafkaConsumer) -> None:
        """Commit what is complete, where that is not done as it completes."""

    async def hand_over(self, consumer: AIOKafkaConsumer) -> None:
        """Commit what is complete and let go: the partitions are about to be somebody else's."""
