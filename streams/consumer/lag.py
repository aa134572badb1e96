"""How far a member is behind, asked of the broker rather than of its own fetcher."""

from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError

from streams.delivery.keeping import Keeping
from streams.offsets import Ledger


class Lag:
    """Counts what the broker holds of owned partitions and is not completed.

    Args:
        ledger: Knows the owned partitions and what of them is complete.
        keeping: Knows where each began.
        is_rewinding: Whether the consumer's own positions are about to be set anew.
    """

    def __init__(
        self, ledger: Ledger, keeping: Keeping, *, is_rewinding: Callable[[], bool]
    ) -> None:
        self._ledger = ledger
        self._keeping = keeping
        self._is_rewinding = is_rewinding

    async def of(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Return the records by partition.

        Asks the broker: a fetcher that died would report an old end and no lag.

        Raises:
            KafkaError: The broker does not answer.
        """
        ends = await consumer.end_offsets(self._ledger.partitions)
        positions = self._ledger.positions()
        lags = {}
        for partition, end in ends.items():
            position = positions.get(partition)
            if position is None:
                position = self._keeping.start_of(partition)
            if position is None:
                position = (await consumer.beginning_offsets([partition]))[partition]
            lags[partition] = max(0, end - max(position, await self._passed(partition, consumer)))
        return lags

    async def _passed(self, partition: TopicPartition, consumer: AIOKafkaConsumer) -> int:
        """Return what the consumer has passed of a partition of which nothing is in flight.

        Marks that end transactions are no records and never begin; where one comes last the
        completed position stays before it.
        """
        tracker = self._ledger.tracker(partition)
        if self._is_rewinding() or tracker is None or tracker.in_flight:
            return 0
        try:
            position: int = await consumer.position(partition)
        except IllegalStateError:  # revoked while we asked
            return 0
        return position
