"""The transactions of one input partition: results, dead letters and the offsets behind them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import BrokerError
from streams import metrics
from streams.delivery.committed import Committed
from streams.delivery.finished import SPAN, encode_finished
from streams.delivery.partition_producer import (
    FENCED,
    TRANSACTION_S,
    PartitionProducer,
    TooLargeError,
)
from streams.delivery.patience import Patience
from streams.delivery.publisher import Parcel
from streams.delivery.tail import Tail
from streams.offsets import OffsetTracker
from streams.security.access import Refusal

log = structlog.get_logger(__name__)

HELD_S = 0.05
"""While nothing can go, because too much has overtaken an unfinished event, it is looked again."""


class _Waiting(NamedTuple):
    """A parcel and when it came, on the event loop's clock."""

    parcel: Parcel
    since: float


class Times(NamedTuple):
    """How long delivery takes, over all partitions of a worker.

    Attributes:
        lead: From the arrival of a parcel to the end of its transaction.
        commit: From the start of a transaction to its end.
    """

    lead: Tail
    commit: Tail


class Transactions:
    """Sends what is ready in one transaction after the other, each with the offsets behind it.

    A transaction begins when something is ready, takes all that is, and commits at once; what
    becomes ready meanwhile goes into the next. So a result waits for at most one transaction and
    the pause that keeps their number down.

    Args:
        partition: Whose events it answers.
        group: In whose name offsets are committed.
        make_producer: Builds the partition's producer, not started.
        read_committed: Reads what the group has committed for the partition.
        turns: Shared by the partitions: how many may be in a transaction at the same time.
        times: Shared by the partitions; observed here.
        refusal: Shared by the partitions: what the broker does not allow.
    """

    def __init__(
        self,
        partition: TopicPartition,
        *,
        group: str,
        make_producer: Callable[[], AIOKafkaProducer],
        read_committed: Callable[[], Awaitable[Committed]],
        turns: asyncio.Semaphore,
        times: Times,
        refusal: Refusal | None = None,
    ) -> None:
        self.partition = partition
        self.producer = PartitionProducer(partition, group=group, make_producer=make_producer)
        self.committed = Committed()
        """What the group's offset is, as far as this worker knows."""
        self._read_committed = read_committed
        self._interval_s = 0.0
        self._turns = turns
        self._times = times
        self._refusal = refusal or Refusal("Write")
        self._tracker = OffsetTracker()
        self._waiting: list[_Waiting] = []
        self._ready = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self._begun_at = float("-inf")

    def start(self, tracker: OffsetTracker, *, interval_s: float) -> "asyncio.Task[None]":
        """Begin sending; return the task that does, which fails where sending cannot go on.

        Args:
            tracker: Follows the events.
            interval_s: From the start of one transaction to the start of the next, at least.
        """
        self._tracker = tracker
        self._interval_s = interval_s
        self._task = asyncio.create_task(self._run(), name=f"transactions-{self.partition}")
        return self._task

    def publish(self, parcel: Parcel) -> None:
        """Take one parcel into the next transaction."""
        self._waiting.append(_Waiting(parcel, asyncio.get_running_loop().time()))
        self._idle.clear()
        self._ready.set()

    def waiting(self, topic: str) -> int:
        """Return how many records of a topic wait for a transaction."""
        return sum(one.parcel.topic == topic for one in self._waiting)

    async def close(self, patience_s: float) -> None:
        """Commit what is ready, abort what has not ended in time, and stop the producer."""
        if self._task is not None:
            idle = asyncio.create_task(self._idle.wait())
            await asyncio.wait(
                [idle, self._task], timeout=patience_s, return_when=asyncio.FIRST_COMPLETED
            )
            idle.cancel()
            self._task.cancel()
            await asyncio.gather(idle, self._task, return_exceptions=True)
        await self.producer.close()

    async def _run(self) -> None:
        while True:
            await self._ready.wait()
            await self._pause()
            if not await self._deliver():
                await asyncio.sleep(HELD_S)
            if self._waiting:
                self._ready.set()
            else:
                self._idle.set()

    async def _pause(self) -> None:
        rest_s = self._begun_at + self._interval_s - asyncio.get_running_loop().time()
        if rest_s > 0:
            await asyncio.sleep(rest_s)
        self._begun_at = asyncio.get_running_loop().time()

    def _take(self) -> tuple[list[_Waiting], Committed]:
        """Take what can go into the next transaction, all of it unless the metadata is full.

        Returns:
            What goes, and what will be committed with it.
        """
        ready, self._waiting = self._waiting, []
        offsets = _offsets(ready)
        if not offsets:
            return ready, self.committed  # second answers alone, or nothing
        position, beyond = self._tracker.after(offsets)
        end = position + SPAN
        if beyond and beyond[-1] >= end:
            # They lie beyond the position, which is therefore the same without them.
            self._waiting = [one for one in ready if (one.parcel.offset or 0) >= end]
            ready = [one for one in ready if (one.parcel.offset or 0) < end]
            beyond = [offset for offset in beyond if offset < end]
        return ready, Committed(position, encode_finished(position, beyond))

    async def _deliver(self) -> bool:
        """Commit what is ready in one transaction, however often it takes, and acknowledge it.

        Returns:
            Whether anything could go.

        Raises:
            FencedError: The partition has another owner.
            BrokerError: The broker did not take it for so long that patience ends.
        """
        ready: list[_Waiting] = []
        target = self.committed
        patience = Patience(self.producer.name)
        while True:
            failure: BaseException | None = None
            # Waiting for a turn is no loss: what becomes ready meanwhile is taken along.
            async with self._turns:
                if not ready:
                    self._ready.clear()
                    ready, target = self._take()
                    if not ready:
                        return False
                started = asyncio.get_running_loop().time()
                try:
                    await self.producer.transact(
                        [one.parcel for one in ready], None if target == self.committed else target
                    )
                    break
                except FENCED as error:
                    # So does a broker treat a transaction that took too long.
                    if asyncio.get_running_loop().time() - started < TRANSACTION_S:
                        raise self.producer.fenced("its producer was fenced") from error
                    failure = error
                except TooLargeError as error:
                    ready = [_smaller(one, error) for one in ready]
                except (KafkaError, AssertionError) as error:
                    # aiokafka asserts where a producer has failed for good between our calls.
                    failure = error
            metrics.TRANSACTIONS.labels("repeated").inc()
            if failure is not None:
                self._refusal.note(failure)
                await patience.after("transaction_repeated", failure)
            if await self._reopen(target, patience):
                break
        self.committed = target
        self._acknowledge(ready, started)
        return True

    async def _reopen(self, target: Committed, patience: Patience) -> bool:
        """Start over with a new producer after a failure; say whether it had committed after all.

        Only what is found tells whether the partition is still ours: if somebody else had owned it
        meanwhile and answered any of its events, its offset would have moved to where we did not.
        From here on, nobody who had it before can move it.

        Raises:
            FencedError: Somebody else has moved the offset.
            BrokerError: No broker answers.
        """
        while True:
            await self.producer.reopen()
            await self.producer.settle()
            try:
                found = await self._read_committed()
                break
            except (KafkaError, BrokerError) as error:
                await patience.after("offsets_retried", error)
        if found == target:
            return True
        if found != self.committed:
            raise self.producer.fenced(
                f"its offset was moved from {self.committed[0]} to {found[0]}"
            )
        return False

    def _acknowledge(self, delivered: list[_Waiting], started: float) -> None:
        now = asyncio.get_running_loop().time()
        self._times.commit.observe(now - started)
        self._times.lead.observe(now - delivered[0].since)
        metrics.TRANSACTIONS.labels("committed").inc()
        metrics.COMMITS.labels("ok").inc()
        metrics.TRANSACTION_SECONDS.observe(now - started)
        for one in delivered:
            one.parcel.acknowledged()


def _smaller(one: _Waiting, refused: TooLargeError) -> _Waiting:
    parcel = one.parcel
    if parcel is not refused.parcel:
        return one
    if parcel.fallback is None:
        raise BrokerError(f"topic {parcel.topic}: a record is too large: {refused}")
    log.warning("record_too_large", topic=parcel.topic, error=str(refused))
    return one._replace(parcel=replace(parcel, make=parcel.fallback, fallback=None))


def _offsets(waiting: list[_Waiting]) -> list[int]:
    return [one.parcel.offset for one in waiting if one.parcel.offset is not None]
