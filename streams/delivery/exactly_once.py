"""Exactly once: results, dead letters and offsets in one Kafka transaction per input partition.

The protocol, step by step:

1. A partition is assigned. A producer with the transactional id ``GROUP/TOPIC/PARTITION`` is
   initialised: the broker fences whoever had the id before and ends the transaction that it left.
   A transaction of one of them is aborted, which makes sure that offsets are read as of now.
2. Only then the group's offset is read, with the finished offsets beyond it, and the partition is
   read from there. What was finished is skipped.
3. Results and dead letters are gathered. A transaction takes all that is ready, the offset up to
   which the partition is finished, and which offsets beyond it are; it commits at once.
4. The transaction is committed: its offsets are complete.
5. A partition is revoked: what is in flight may finish within the drain budget, the transaction
   under way ends, the producer is stopped. What did not finish is the next owner's.

So no two workers can commit for one partition at the same time, whatever the group believes, and
what a worker commits continues exactly what was committed before.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from inference.failure import Failure
from schemas.errors import BrokerError
from streams.delivery.committed import Committed, GroupOffsets
from streams.delivery.finished import decode_finished
from streams.delivery.publisher import Parcel
from streams.delivery.tail import Tail
from streams.delivery.taking_over import TakingOver
from streams.delivery.transactions import Times, Transactions
from streams.offsets import Ledger, OffsetTracker
from streams.security.access import Refusal

COMMIT_GUESS_S = 0.01
"""What a transaction is taken to need until some have been seen."""
AT_A_TIME = 3
"""Transactions under way together. More would end no sooner, since each keeps client and broker at
work for a millisecond or two, but more of them would be needed for the same results."""
RELEASE_S = 3.0
"""How long a transaction under way may take when its partition is revoked."""


class _Taken(NamedTuple):
    """A partition whose earlier owners are fenced, and what they had finished ahead."""

    transactions: Transactions
    finished: list[int]


class ExactlyOnce:
    """The transactions of all partitions that this worker owns.

    Args:
        group: The consumer group, which is also the first part of every transactional id.
        make_producer: Builds the producer of a transactional id, not started.
        offsets: Reads the group's offsets.
        interval_s: Says how long after one transaction of a partition its next may begin, from the
            topic and the number of partitions owned.
    """

    def __init__(
        self,
        *,
        group: str,
        ledger: Ledger,
        make_producer: Callable[[str], AIOKafkaProducer],
        offsets: GroupOffsets,
        interval_s: Callable[[str, int], float],
    ) -> None:
        self._group = group
        self._ledger = ledger
        self._make_producer = make_producer
        self._offsets = offsets
        self._interval_s = interval_s
        self._times = Times(Tail(3 * COMMIT_GUESS_S), Tail(COMMIT_GUESS_S))
        self._turns = asyncio.Semaphore(AT_A_TIME)
        self._refusal = Refusal("Write")
        self._open: dict[object, Transactions] = {}
        """By the tracker that follows the partition."""
        self._taken: dict[TopicPartition, _Taken] = {}
        """Taken over, not yet owned."""
        self._failure = Failure()
        self.failure = self._failure.future
        """Fails with a :class:`BrokerError` when a partition was lost or cannot be answered."""
        self._taking_over = TakingOver(self._failure.fail)

    @property
    def lead_s(self) -> float:
        """Seconds from publishing until committed, hardly exceeded."""
        return self._times.lead.seconds

    @property
    def margin_s(self) -> float:
        """Seconds from the making of a record to the end of its transaction, hardly exceeded."""
        return self._times.commit.seconds

    @property
    def refused(self) -> bool:
        """Whether the broker does not allow what transactions hold; they are repeated."""
        return self._refusal.lasts

    def expect(self, records: Sequence[ConsumerRecord], tracker: OffsetTracker) -> None:
        """Nothing depends on what is to come."""

    def publish(self, parcel: Parcel) -> None:
        """Take one parcel, unless its partition is somebody else's by now."""
        if transactions := self._open.get(parcel.tracker):
            transactions.publish(parcel)

    def waiting(self, topic: str) -> int:
        """Return how many records of a topic wait for a transaction."""
        return sum(one.waiting(topic) for one in self._open.values())

    async def take_over(self, partitions: Collection[TopicPartition]) -> bool:
        """Fence the earlier owners of these partitions, then learn where they stopped.

        Where that fails, :attr:`failure` fires.
        """
        return await self._taking_over.run(self._take_over(partitions))

    def own(self, partitions: Collection[TopicPartition]) -> None:
        """Follow these partitions, and answer for them in transactions."""
        taken, self._taken = self._taken, {}
        finished = {one: found.finished for one, found in taken.items()}
        self._ledger.assign(partitions, finished)
        for partition in partitions:
            if (tracker := self._ledger.tracker(partition)) is not None:
                transactions = taken[partition].transactions
                self._open[tracker] = transactions
                interval_s = self._interval_s(partition.topic, len(partitions))
                self._failure.watch(transactions.start(tracker, interval_s=interval_s))

    def start_of(self, partition: TopicPartition) -> int | None:
        """Return what was committed when the partition was taken over."""
        transactions = self._open.get(self._ledger.tracker(partition))
        return transactions.committed.offset if transactions else None

    async def commit(self, consumer: AIOKafkaConsumer) -> None:
        """Nothing is left to do: transactions commit as results come."""

    async def hand_over(self, consumer: AIOKafkaConsumer) -> None:
        """Let the transactions under way end, and stop the producers."""
        del consumer
        await self._let_go()

    async def close(self) -> None:
        """Stop sending; what is not committed stays so."""
        await self._let_go()
        self._failure.close()

    async def _take_over(self, partitions: Collection[TopicPartition]) -> None:
        opening = {partition: self._transactions(partition) for partition in partitions}
        try:
            async with asyncio.TaskGroup() as group:
                for one in opening.values():
                    group.create_task(one.producer.open())
            # The group's offsets are in one log, so what settles one partition's settles all.
            if first := next(iter(opening.values()), None):
                await first.producer.settle()
            committed = await self._offsets.read_patiently(partitions)
            finished = {
                partition: decode_finished(found.offset or 0, found.metadata)
                for partition, found in committed.items()
            }
        except BaseException as error:
            await asyncio.gather(*(one.close(0.0) for one in opening.values()))
            raise _only(error) from error
        for partition, one in opening.items():
            one.committed = committed.get(partition, Committed())
            self._taken[partition] = _Taken(one, finished.get(partition, []))

    def _transactions(self, partition: TopicPartition) -> Transactions:
        # A topic has no slash in its name, so no two groups come to the same one.
        identity = f"{self._group}/{partition.topic}/{partition.partition}"

        async def read() -> Committed:
            return (await self._offsets.read([partition])).get(partition, Committed())

        return Transactions(
            partition,
            group=self._group,
            make_producer=lambda: self._make_producer(identity),
            read_committed=read,
            turns=self._turns,
            times=self._times,
            refusal=self._refusal,
        )

    async def _let_go(self) -> None:
        await self._taking_over.give_up()
        leaving = [*self._open.values(), *(one.transactions for one in self._taken.values())]
        self._open, self._taken = {}, {}
        await asyncio.gather(*(one.close(RELEASE_S) for one in leaving))


def _only(error: BaseException) -> BaseException:
    """Take the first error out of a task group's."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, KafkaError | ValueError):
        return BrokerError(f"the group's offsets could not be read: {error!r}")
    return error
