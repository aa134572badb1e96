"""The transactions of one input partition: results, dead letters and the offsets behind them."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    TransactionalIdAuthorizationFailed,
)

from schemas.errors import BrokerError
from streams import metrics
from streams.access import Refusal
from streams.clients import stop_client
from streams.delivery.committed import Committed
from streams.delivery.finished import SPAN, encode_finished
from streams.delivery.patience import Patience
from streams.delivery.tail import Tail
from streams.offsets import OffsetTracker
from streams.publisher import Parcel

log = structlog.get_logger(__name__)

TRANSACTION_S = 30.0
"""After this the broker ends a transaction of its own accord."""
ABORT_S = 2.0
"""How long the broker may take to end what a producer leaves open."""
_YIELD_EVERY = 16
"""Records sent before others get a turn on the event loop."""


class FencedError(BrokerError):
    """Another producer has taken the partition over; this one can commit nothing any more."""

    retriable = False


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
        interval_s: From the start of one transaction to the start of the next, at least.
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
        interval_s: float,
        turns: asyncio.Semaphore,
        times: Times,
        refusal: Refusal | None = None,
    ) -> None:
        self.partition = partition
        self.committed = Committed()
        """What the group's offset is, as far as this worker knows."""
        self._group = group
        self._make_producer = make_producer
        self._read_committed = read_committed
        self._interval_s = interval_s
        self._turns = turns
        self._times = times
        self._refusal = refusal or Refusal("Write")
        self._producer: AIOKafkaProducer | None = None
        self._tracker = OffsetTracker()
        self._waiting: list[_Waiting] = []
        self._ready = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._in_transaction = False
        self._task: asyncio.Task[None] | None = None
        self._begun_at = float("-inf")

    async def open(self) -> None:
        """Start the producer; returns when no earlier owner's transaction is open any more.

        The broker gives the partition's transactional id a new epoch, so that whoever had it
        before can commit nothing from here on, and ends what it had left open.

        Raises:
            BrokerError: The broker refuses, or does not answer for so long that patience ends.
        """
        patience = Patience(self.name)
        while True:
            self._producer = self._make_producer()
            try:
                await self._producer.start()
            except KafkaError as error:
                await self._close_producer()
                if isinstance(error, TransactionalIdAuthorizationFailed):
                    raise self._refused(error) from error
                await patience.after("producer_retried", error)
            else:
                return

    async def settle(self) -> None:
        """Return when what is read of the group's offsets is no older than this call.

        In the moment after it was started again, a broker (seen on Apache Kafka 4.3.1) tells
        offsets that are some seconds old, until it has written to their log once. An aborted
        transaction is such a write, and changes nothing.

        Raises:
            FencedError: The partition has another owner.
            BrokerError: The broker did not take it for so long that patience ends.
        """
        patience = Patience(self.name)
        while True:
            try:
                await self._write_nothing()
            except (ProducerFenced, InvalidProducerEpoch) as error:
                raise self._fenced("its producer was fenced") from error
            except (KafkaError, AssertionError) as error:
                await patience.after("offsets_not_settled", error)
            else:
                return
            await self._close_producer()
            await self.open()

    async def _write_nothing(self) -> None:
        producer = self._producer
        assert producer is not None  # noqa: S101 - opened before
        await producer.begin_transaction()
        await producer.send_offsets_to_transaction({self.partition: (0, "")}, self._group)
        await producer.abort_transaction()

    def start(self, tracker: OffsetTracker, on_end: Callable[["asyncio.Task[None]"], None]) -> None:
        """Begin sending for the events that ``tracker`` follows."""
        self._tracker = tracker
        self._task = asyncio.create_task(self._run(), name=f"transactions-{self.partition}")
        self._task.add_done_callback(on_end)

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
        if self._in_transaction:
            await self._abort()
            self._in_transaction = False
        await self._close_producer()

    async def _run(self) -> None:
        while True:
            await self._ready.wait()
            await self._pause()
            await self._deliver()
            if self._waiting:
                self._ready.set()
            else:
                self._idle.set()

    async def _pause(self) -> None:
        rest_s = self._begun_at + self._interval_s - asyncio.get_running_loop().time()
        if rest_s > 0:
            await asyncio.sleep(rest_s)
        self._begun_at = asyncio.get_running_loop().time()

    def _take(self) -> list[_Waiting]:
        """Take what can go into the next transaction, all of it unless the metadata is full."""
        if not self._waiting:
            return []
        position, beyond = self._tracker.after(_offsets(self._waiting))
        if not beyond or beyond[-1] < position + SPAN:
            ready, self._waiting = self._waiting, []
            return ready
        fits = [(one.parcel.offset or 0) < position + SPAN for one in self._waiting]
        ready = [one for one, does in zip(self._waiting, fits, strict=True) if does]
        self._waiting = [one for one, does in zip(self._waiting, fits, strict=True) if not does]
        return ready

    async def _deliver(self) -> None:
        """Commit what is ready in one transaction, however often it takes, and acknowledge it.

        Raises:
            FencedError: The partition has another owner.
            BrokerError: The broker did not take it for so long that patience ends.
        """
        ready: list[_Waiting] = []
        target = self.committed
        patience = Patience(self.name)
        while True:
            failure: BaseException | None = None
            # Waiting for a turn is no loss: what becomes ready meanwhile is taken along.
            async with self._turns:
                if not ready:
                    self._ready.clear()
                    ready = self._take()
                    target = self._target(ready)
                started = asyncio.get_running_loop().time()
                try:
                    await self._transact([one.parcel for one in ready], target)
                    break
                except (ProducerFenced, InvalidProducerEpoch) as error:
                    # So does a broker treat a transaction that took too long.
                    if asyncio.get_running_loop().time() - started < TRANSACTION_S:
                        raise self._fenced("its producer was fenced") from error
                    failure = error
                except _TooLargeError as error:
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

    def _target(self, ready: list[_Waiting]) -> Committed:
        offsets = _offsets(ready)
        if not offsets:
            return self.committed  # second answers alone
        position, beyond = self._tracker.after(offsets)
        return Committed(position, encode_finished(position, beyond))

    async def _transact(self, parcels: list[Parcel], target: Committed) -> None:
        producer = self._producer
        assert producer is not None  # noqa: S101 - opened before anything is published
        await producer.begin_transaction()
        self._in_transaction = True
        sent = []
        for number, parcel in enumerate(parcels):
            if number % _YIELD_EVERY == _YIELD_EVERY - 1:
                await asyncio.sleep(0)
            sent.append(await self._send(producer, parcel))
        # Before the offsets: the broker checks each write against the transaction's state, and
        # refuses it for a moment while that state is being changed by something else.
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        for parcel, outcome in zip(parcels, outcomes, strict=True):
            if isinstance(outcome, MessageSizeTooLargeError):
                raise _TooLargeError(parcel, outcome)
            if isinstance(outcome, BaseException):
                raise outcome
        if target != self.committed:
            offsets = {self.partition: (target.offset, target.metadata)}
            await producer.send_offsets_to_transaction(offsets, self._group)
        await producer.commit_transaction()
        self._in_transaction = False

    async def _send(self, producer: AIOKafkaProducer, parcel: Parcel) -> "asyncio.Future[object]":
        outbound = parcel.make()
        partition = None
        if outbound.key is None:
            # All into one, or every transaction would have to be marked in every partition.
            count = len(await producer.partitions_for(parcel.topic))
            partition = self.partition.partition % count
        try:
            sent: asyncio.Future[object] = await producer.send(
                parcel.topic,
                value=outbound.value,
                key=outbound.key,
                headers=outbound.headers,
                partition=partition,
            )
            sent.add_done_callback(_seen)
        except MessageSizeTooLargeError as error:
            raise _TooLargeError(parcel, error) from error
        return sent

    async def _reopen(self, target: Committed, patience: Patience) -> bool:
        """Start over with a new producer after a failure; say whether it had committed after all.

        Only what is found tells whether the partition is still ours: if somebody else had owned it
        meanwhile and answered any of its events, its offset would have moved to where we did not.
        From here on, nobody who had it before can move it.

        Raises:
            FencedError: Somebody else has moved the offset.
            BrokerError: No broker answers.
        """
        self._in_transaction = False
        while True:
            await self._close_producer()
            await self.open()
            await self.settle()
            try:
                found = await self._read_committed()
                break
            except (KafkaError, BrokerError) as error:
                await patience.after("offsets_retried", error)
        if found == target:
            return True
        if found != self.committed:
            raise self._fenced(f"its offset was moved from {self.committed[0]} to {found[0]}")
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

    async def _abort(self) -> None:
        """End the open transaction: readers would wait for it until the broker times it out."""
        assert self._producer is not None  # noqa: S101 - it has the transaction
        # Of one that is being committed aiokafka asserts that it is not aborted.
        with contextlib.suppress(KafkaError, TimeoutError, AssertionError):
            async with asyncio.timeout(ABORT_S):
                await self._producer.abort_transaction()

    async def _close_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        with contextlib.suppress(KafkaError):
            if not await stop_client(producer, ABORT_S):
                # Left alone, its task would go on trying.
                producer._sender.sender_task.cancel()  # noqa: SLF001

    @property
    def name(self) -> str:
        """The partition as it is cited."""
        return f"{self.partition.topic}-{self.partition.partition}"

    def _fenced(self, why: str) -> FencedError:
        return FencedError(
            f"{self.name}: another worker has taken this partition over ({why}), as "
            "happens to one that was silent for longer than session_timeout_ms; nothing of this "
            "worker's was committed since, so nothing is lost or doubled: start it again"
        )

    def _refused(self, error: Exception) -> BrokerError:
        return BrokerError(
            f"{self.name}: this client may not use transactional ids ({error!r}); exactly-once "
            f"delivery needs write and describe on those that begin with {self._group}/"
        )


class _TooLargeError(Exception):
    """The broker refuses a record for its size."""

    def __init__(self, parcel: Parcel, error: KafkaError) -> None:
        super().__init__(str(error))
        self.parcel = parcel


def _smaller(one: _Waiting, refused: _TooLargeError) -> _Waiting:
    parcel = one.parcel
    if parcel is not refused.parcel:
        return one
    if parcel.fallback is None:
        raise BrokerError(f"topic {parcel.topic}: a record is too large: {refused}")
    log.warning("record_too_large", topic=parcel.topic, error=str(refused))
    return one._replace(parcel=replace(parcel, make=parcel.fallback, fallback=None))


def _seen(sent: "asyncio.Future[object]") -> None:
    """Look at how it ended: of a transaction that fails half-way nobody else does."""
    if not sent.cancelled():
        sent.exception()


def _offsets(waiting: list[_Waiting]) -> list[int]:
    return [one.parcel.offset for one in waiting if one.parcel.offset is not None]
