"""Reading results and dead letters as they are published."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from inference.clock import Clock
from schemas.events import Modality
from schemas.kafka import decode_result
from schemas.results import Classification
from streams.demo.tally import Tally
from streams.topics import TopicKind, kind_of, modality_of

POLL_MS = 100
IDLE_POLL_MS = 4

Ends = dict[TopicPartition, int]
"""Offsets at which topics end."""


async def ends_of(consumer: AIOKafkaConsumer, partitions: Mapping[str, int]) -> Ends:
    """Return where topics end now.

    Args:
        consumer: Any; its assignment is not touched.
        partitions: Number of partitions by topic. Asked of the broker before: a consumer that was
            assigned nothing yet knows of no topic.
    """
    ends: Ends = await consumer.end_offsets(
        [
            TopicPartition(topic, number)
            for topic in partitions
            for number in range(partitions[topic])
        ]
    )
    return ends


async def start_at(consumer: AIOKafkaConsumer, ends: Ends) -> None:
    """Let the consumer's group begin there: a new group would begin with all that ever was."""
    consumer.assign(list(ends))
    await consumer.commit(ends)


class AnswerReader:
    """Follows result and dead-letter topics and counts what comes.

    Args:
        consumer: Of no group, started.
        since: Where to begin.
        texts: Text of each event that is on its way, by id; answered ones are taken out.
        answered: Told the result of each answer; ``None`` for a dead letter.
        idle_pause_s: Rest after a poll that found nothing, for a broker that never makes one wait.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        since: Ends,
        *,
        tally: Tally,
        texts: dict[str, str],
        answered: Callable[[Classification | None], None],
        clock: Clock,
        idle_pause_s: float,
    ) -> None:
        self._consumer = consumer
        self._tally = tally
        self._texts = texts
        self._answered = answered
        self._clock = clock
        self._idle_pause_s = idle_pause_s
        consumer.assign(list(since))
        for partition, offset in since.items():
            consumer.seek(partition, offset)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            poll_ms = IDLE_POLL_MS if self._idle_pause_s else POLL_MS
            batches = await self._consumer.getmany(timeout_ms=poll_ms)
            if not batches and self._idle_pause_s:
                self._consumer.pause(*self._consumer.assignment())
                await asyncio.sleep(self._idle_pause_s)
                self._consumer.resume(*self._consumer.assignment())
            for partition, records in batches.items():
                dead = kind_of(partition.topic) is TopicKind.DEAD_LETTERS
                modality = modality_of(partition.topic) if dead else None
                for record in records:
                    self._count(record, modality)

    def _count(self, record: Any, dead: Modality | None) -> None:
        """Count a result, or a dead letter of a modality."""
        now = self._clock.monotonic()
        if dead is not None:
            self._tally.count_dead_letter(dead, now)
            self._answered(None)
            return
        result = decode_result(record.value)
        self._tally.count_result(result, self._texts.pop(result.event_id, ""), now)
        self._answered(result)
