"""The producer of one input partition's transactions, which only its owner can use."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    TransactionalIdAuthorizationFailed,
)

from schemas.errors import BrokerError
from schemas.records import Outbound
from streams.clients import stop_client
from streams.delivery.committed import Committed
from streams.delivery.patience import Patience

TRANSACTION_S = 30.0
"""After this the broker ends a transaction of its own accord."""
ABORT_S = 2.0
"""How long the broker may take to end what a producer leaves open."""
_YIELD_EVERY = 16
"""Records sent before others get a turn on the event loop."""
FENCED = (ProducerFenced, InvalidProducerEpoch)


class Sendable(Protocol):
    """What a record is made of; see :class:`streams.delivery.publisher.Parcel`."""

    @property
    def topic(self) -> str:
        """Where it goes."""

    @property
    def partition(self) -> int | None:
        """Which of its partitions; ``None`` for that of the key."""

    @property
    def make(self) -> Callable[[], Outbound]:
        """Builds the record."""


class FencedError(BrokerError):
    """Another producer has taken the partition over; this one can commit nothing any more."""

    retriable = False


class TooLargeError(Exception):
    """The broker refuses a record for its size."""

    def __init__(self, parcel: Sendable, error: KafkaError) -> None:
        super().__init__(str(error))
        self.parcel = parcel


class PartitionProducer:
    """Writes transactions under the transactional id of one input partition.

    Args:
        partition: Whose events it answers.
        group: In whose name offsets are committed.
        make_producer: Builds the producer, not started.
    """

    def __init__(
        self,
        partition: TopicPartition,
        *,
        group: str,
        make_producer: Callable[[], AIOKafkaProducer],
    ) -> None:
        self.partition = partition
        self._group = group
        self._make_producer = make_producer
        self._producer: AIOKafkaProducer | None = None
        self._in_transaction = False

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
                await self._stop()
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
            except FENCED as error:
                raise self.fenced("its producer was fenced") from error
            except (KafkaError, AssertionError) as error:
                await patience.after("offsets_not_settled", error)
            else:
                return
            await self.reopen()

    async def _write_nothing(self) -> None:
        producer = self._producer
        assert producer is not None  # noqa: S101 - opened before
        await producer.begin_transaction()
        await producer.send_offsets_to_transaction({self.partition: (0, "")}, self._group)
        await producer.abort_transaction()

    async def reopen(self) -> None:
        """Start over with a new producer, whatever became of the last transaction."""
        await self._stop()
        await self.open()

    async def transact(self, parcels: Sequence[Sendable], offset: Committed | None) -> None:
        """Write all of these in one transaction and commit it.

        Args:
            parcels: To send, in this order.
            offset: To commit with them, if any.

        Raises:
            TooLargeError: The broker refuses a parcel for its size.
            KafkaError: It did not take effect, or nobody knows; :meth:`reopen` comes next.
            AssertionError: Likewise, where aiokafka's producer failed between two of our calls.
        """
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
                raise TooLargeError(parcel, outcome)
            if isinstance(outcome, BaseException):
                raise outcome
        if offset is not None:
            offsets = {self.partition: (offset.offset, offset.metadata)}
            await producer.send_offsets_to_transaction(offsets, self._group)
        await producer.commit_transaction()
        self._in_transaction = False

    async def _send(self, producer: AIOKafkaProducer, parcel: Sendable) -> "asyncio.Future[object]":
        outbound = parcel.make()
        partition = parcel.partition
        if partition is None and outbound.key is None:
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
            raise TooLargeError(parcel, error) from error
        return sent

    async def close(self) -> None:
        """Abort what has not ended, and stop."""
        if self._in_transaction:
            await self._abort()
        await self._stop()

    async def _abort(self) -> None:
        """End the open transaction: readers would wait for it until the broker times it out."""
        assert self._producer is not None  # noqa: S101 - it has the transaction
        # Of one that is being committed aiokafka asserts that it is not aborted.
        with contextlib.suppress(KafkaError, TimeoutError, AssertionError):
            async with asyncio.timeout(ABORT_S):
                await self._producer.abort_transaction()

    async def _stop(self) -> None:
        self._in_transaction = False
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

    def fenced(self, why: str) -> FencedError:
        """Put into words that the partition is somebody else's."""
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


def _seen(sent: "asyncio.Future[object]") -> None:
    """Look at how it ended: of a transaction that fails half-way nobody else does."""
    if not sent.cancelled():
        sent.exception()
