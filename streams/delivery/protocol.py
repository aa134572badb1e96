"""What the worker asks of delivery, whichever way it is done."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from streams.offsets import OffsetTracker
from streams.publisher import Parcel


class Outlet(Protocol):
    """Where a lane puts what is ready to leave."""

    @property
    def lead_s(self) -> float:
        """Seconds from :meth:`publish` until subscribers can read what it took."""

    @property
    def margin_s(self) -> float:
        """Seconds from the making of a record until subscribers can read it; verdicts count it."""

    def expect(self, records: Sequence[ConsumerRecord], tracker: OffsetTracker) -> None:
        """Hear of a partition's next events, in their order, before any of them is answered."""

    def publish(self, parcel: Parcel) -> None:
        """Take one parcel; it leaves as soon as it can."""

    def waiting(self, topic: str) -> int:
        """Return how many records of a topic wait to be sent."""


class Delivery(Outlet, Protocol):
    """Takes parcels out and keeps the group's offsets true to them."""

    failure: "asyncio.Future[None]"
    """Fails with a :class:`BrokerError` when the worker must stop."""

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

    async def close(self) -> None:
        """Stop sending; what has not been acknowledged stays uncommitted."""
