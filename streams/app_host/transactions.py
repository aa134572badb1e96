"""Exactly once for apps: what steps lead to, states and the offset behind them in one transaction.

1. A partition of the inner topic is assigned. A producer with the transactional id
   ``GROUP/TOPIC/PARTITION`` is initialised: the broker fences whoever had the id before and ends
   the transaction that it left. So the changelog's end, and the committed offset, stand still.
2. Only then the states are read from the changelog, and the parts from that offset on.
3. What is derived from a number of parts, the last state of each of their keys, and the offset
   behind them are written in one transaction, which is committed at once.
4. Where nobody knows whether it was, the producer is initialised anew and the offset read: if it is
   where the transaction was to take it, all of it took effect, otherwise all of it is sent again.
5. Partitions are revoked: what was taken is settled, and the producers are stopped.

A process that was frozen anywhere in 3, at the very write to the socket even, and comes back when
another owns its partitions, is refused by the broker: it can replace no newer state.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import BrokerError
from streams.apps.settling import Taken
from streams.apps.writing import last_states
from streams.delivery.committed import Committed, GroupOffsets
from streams.delivery.partition_producer import FENCED, PartitionProducer, TooLargeError
from streams.delivery.patience import Patience


class _Owned:
    """A partition that was taken over, and what is committed for it."""

    def __init__(self, producer: PartitionProducer) -> None:
        self.producer = producer
        self.committed: int | None = None


class StepTransactions:
    """The transactions of the partitions of an app's inner topic that this process owns.

    Args:
        group: The consumer group, which is also the first part of every transactional id.
        make_producer: Builds the producer of a transactional id, not started.
        offsets: Reads the group's offsets.
    """

    def __init__(
        self,
        *,
        group: str,
        make_producer: Callable[[str], AIOKafkaProducer],
        offsets: GroupOffsets,
    ) -> None:
        self._group = group
        self._make_producer = make_producer
        self._offsets = offsets
        self._owned: dict[TopicPartition, _Owned] = {}

    async def take_over(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """Fence who owned these partitions, and learn where they stand.

        Raises:
            BrokerError: The broker refuses, or does not answer for so long that patience ends.
            FencedError: Another has taken one over meanwhile.
            KafkaError: This client may not know the group's offsets.
        """
        await self.give_up()
        self._owned = {one: self._own(one) for one in partitions}
        producers = [owned.producer for owned in self._owned.values()]
        await _all_of([producer.open() for producer in producers])
        # The group's offsets are in one log, so what settles one partition's settles all.
        for producer in producers[:1]:
            await producer.settle()
        found = await self._offsets.read_patiently(partitions)
        known = {one: at.offset for one, at in found.items() if at.offset is not None}
        for one, offset in known.items():
            self._owned[one].committed = offset
        return known

    async def write(self, batch: Sequence[Taken]) -> None:
        """Commit what parts lead to, a transaction for each of their partitions.

        Raises:
            BrokerError: A record is too large, or the broker did not take it for too long.
            FencedError: A partition has another owner.
        """
        by_partition: dict[TopicPartition, list[Taken]] = defaultdict(list)
        for taken in batch:
            by_partition[taken.partition].append(taken)
        await _all_of([self._commit(self._owned[one], all_) for one, all_ in by_partition.items()])

    async def give_up(self) -> None:
        """Stop the producers; what is not committed stays so."""
        owned, self._owned = self._owned, {}
        await _all_of([one.producer.close() for one in owned.values()])

    def _own(self, partition: TopicPartition) -> _Owned:
        # A topic has no slash in its name, so no two groups come to the same one.
        identity = f"{self._group}/{partition.topic}/{partition.partition}"
        return _Owned(
            PartitionProducer(
                partition, group=self._group, make_producer=lambda: self._make_producer(identity)
            )
        )

    async def _commit(self, owned: _Owned, batch: Sequence[Taken]) -> None:
        records = [outgoing for taken in batch for outgoing in taken.first] + last_states(batch)
        producer, target = owned.producer, batch[-1].offset + 1
        patience = Patience(producer.name)
        while True:
            try:
                await producer.transact(records, Committed(target))
                break
            except FENCED as error:
                raise producer.fenced("its producer was fenced") from error
            except TooLargeError as error:
                raise BrokerError(
                    f"topic {error.parcel.topic}: a record is too large ({error}); raise "
                    "max.message.bytes of the topic and max_record_bytes, or keep less of a key"
                ) from error
            except (KafkaError, AssertionError) as error:
                # aiokafka asserts where a producer has failed for good between our calls.
                await patience.after("transaction_repeated", error)
            if await self._took_effect(owned, target, patience):
                break
        owned.committed = target

    async def _took_effect(self, owned: _Owned, target: int, patience: Patience) -> bool:
        """Start over with a new producer after a failure; say whether it had committed after all.

        Raises:
            FencedError: Somebody else has moved the offset.
            BrokerError: No broker answers.
        """
        producer = owned.producer
        while True:
            await producer.reopen()
            await producer.settle()
            try:
                found = await self._offsets.read([producer.partition])
                break
            except (KafkaError, BrokerError) as error:
                await patience.after("offsets_retried", error)
        offset = found.get(producer.partition, Committed()).offset
        if offset not in {target, owned.committed}:
            raise producer.fenced(f"its offset was moved from {owned.committed} to {offset}")
        return offset == target


async def _all_of(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Do all of these together; raise the first error when all have ended."""
    for outcome in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
