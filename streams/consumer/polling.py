"""What one poll takes: records of every topic in turn, from partitions that there is room for."""

import asyncio
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from streams import metrics
from streams.consumer.gauge_part import GaugePart
from streams.consumer.intake import Intake
from streams.offsets import Ledger

POLL_S = 0.2
PAUSED_POLL_S = 0.02
"""While a queue is full its partitions are looked at again this soon."""
IDLE_POLL_MS = 4
"""Long enough for an answer of a broker on this machine."""


class Polling:
    """Pauses partitions and takes records of the others; which consumer, its caller says.

    Args:
        intakes: By input topic.
        ledger: Knows the owned partitions, and how much is in flight.
        max_records: Most records of a topic taken at once.
        idle_pause_s: Rest between polls that find nothing; 0 for none.
    """

    def __init__(
        self,
        intakes: Mapping[str, Intake],
        ledger: Ledger,
        *,
        max_records: int,
        idle_pause_s: float,
    ) -> None:
        self._intakes = intakes
        self._ledger = ledger
        self._max_records = max_records
        self._idle_pause_s = idle_pause_s
        self._paused = GaugePart(metrics.PAUSED)

    async def take(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Take what there is and there is room for; waits a moment for it where there is nothing.

        Raises:
            KafkaError: The broker refuses to be read.
        """
        is_paused = self._balance(consumer)
        batch: dict[TopicPartition, list[ConsumerRecord]] = {}
        if len(self._intakes) > 1:
            batch = await self._of_each_topic(consumer)
        if not batch:
            batch = await consumer.getmany(
                timeout_ms=self._wait_ms(is_paused=is_paused), max_records=self._max_records
            )
        return batch

    async def rest(self, consumer: AIOKafkaConsumer) -> None:
        """Fetch nothing for a moment, where the broker does not make empty fetches wait."""
        if not self._idle_pause_s:
            return
        resting = set(self._ledger.partitions) - consumer.paused()
        if resting:
            consumer.pause(*resting)
        await asyncio.sleep(self._idle_pause_s)
        if resting := resting.intersection(consumer.assignment()):
            consumer.resume(*resting)

    def _balance(self, consumer: AIOKafkaConsumer) -> bool:
        """Pause partitions whose intake, or all, is full; resume them once there is room.

        Returns:
            Whether any is paused.
        """
        paused = consumer.paused()
        full: list[TopicPartition] = []
        for partition in self._ledger.partitions:
            intake = self._intakes[partition.topic]
            if partition in paused:
                if intake.has_room_again and self._ledger.has_room_again:
                    consumer.resume(partition)
                else:
                    full.append(partition)
            elif intake.is_full or self._ledger.is_full:
                consumer.pause(partition)
                full.append(partition)
        self._paused.set(len(full))
        return bool(full)

    async def _of_each_topic(
        self, consumer: AIOKafkaConsumer
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Take what has been fetched of every topic in turn.

        Of a flooded one that is some thousands of records, which would otherwise be read to their
        end before the others get a look.
        """
        batch: dict[TopicPartition, list[ConsumerRecord]] = {}
        for topic in self._intakes:
            owned = [one for one in self._ledger.partitions if one.topic == topic]
            if owned:
                batch |= await consumer.getmany(*owned, timeout_ms=0, max_records=self._max_records)
        return batch

    def _wait_ms(self, *, is_paused: bool) -> int:
        """Return how long to wait for records."""
        if self._idle_pause_s:
            return IDLE_POLL_MS
        return int((PAUSED_POLL_S if is_paused else POLL_S) * 1e3)
