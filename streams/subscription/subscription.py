"""A subscription: an asynchronous iterator over what topics hold and a subscriber wants."""

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from aiokafka import (
    AIOKafkaConsumer,
    ConsumerRebalanceListener,
    ConsumerRecord,
    TopicPartition,
)
from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from schemas.errors import BrokerError, ConfigurationError, ContractError
from streams.clients import open_consumer
from streams.connection import Connection
from streams.consumed import to_record
from streams.security.access import explained
from streams.subscription.filters import Wanted
from streams.subscription.positions import Positions, to_token
from streams.subscription.reading import Counts, Iteration, Reading, Received
from streams.subscription.seen import Seen
from streams.subscription.starting import begin, beginning_of, first_kept
from streams.topics import partition_counts

log = logging.getLogger(__name__)

POLL_MS = 500
MOST_PER_POLL = 1_000
RETRY_S = 0.2

T = TypeVar("T")
R = TypeVar("R")


class Subscription(Generic[T]):
    """Iterate over it: results come as soon as the broker has them, for ever.

    Within ``async with`` its connection is closed at the end of that, otherwise of the loop; who
    iterates again goes on where it stands, in a group where that has committed. Of several loops at
    once each gets a part. Within ``async with`` a loop, or ``anext``, whose wait was cut off, as by
    a time limit, can go on; outside it has ended.

    Args:
        connection: How to reach the brokers.
        topics: To read.
        wanted: What of them.
        reading: How.
        seen: Memory of repetitions.

    Attributes:
        counts: What came.
        ends: Where the topics ended when this began.
    """

    def __init__(
        self,
        connection: Connection,
        topics: Collection[str],
        wanted: Wanted[T],
        reading: Reading,
        seen: Seen,
    ) -> None:
        self.counts = Counts()
        self.ends: Positions = {}
        self._connection = connection
        self._topics = tuple(topics)
        self._wanted = wanted
        self._reading = reading
        self._seen = seen
        self._stack = AsyncExitStack()
        self._consumer: AIOKafkaConsumer | None = None
        self._positions: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._has_lost = False
        self._first: dict[TopicPartition, int] = {}
        self._loop: object | None = None
        self._waiting: deque[ConsumerRecord] = deque()

    async def __aenter__(self) -> Self:
        """Connect and settle where to begin.

        Raises:
            BrokerError: No broker answers, or it refuses to be read.
            ConfigurationError: A topic does not exist, or the start is none.
        """
        try:
            self._consumer = await self._stack.enter_async_context(
                open_consumer(self._connection, **self._options())
            )
            await self._place(self._consumer)
        except KafkaError as error:
            await self.aclose()
            raise self._refused(error) from error
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection; iterating ends with it."""
        self._consumer = None
        await self._stack.aclose()

    def __aiter__(self) -> AsyncIterator[T]:
        """Hand out what is wanted, typed."""
        return self._iterated(lambda one: one.value)

    def received(self) -> AsyncIterator[Received[T]]:
        """Hand out what is wanted as :class:`Received`, with the record that it came from.

        Raises:
            BrokerError: The broker refuses to be read on.
        """
        return self._iterated(lambda one: one)

    def _iterated(self, told: Callable[[Received[T]], R]) -> AsyncIterator[R]:
        if self._consumer is None or self._loop is not None:
            return self._opened(told)
        return Iteration(self._next, told)

    async def _opened(self, told: Callable[[Received[T]], R]) -> AsyncGenerator[R, None]:
        """Keep the connection for as long as the loop; one that follows a loop takes it over."""
        loop = self._loop = object()
        try:
            if self._consumer is None:
                await self.__aenter__()
            while (received := await self._next()) is not None:
                yield told(received)
        finally:
            if self._loop is loop:
                self._loop = None
                await self.aclose()

    @property
    def token(self) -> str:
        """Where this stands, after what was handed out last; ``start`` takes it.

        Keep it once you are done with that; whoever resumes gets what comes after.
        """
        return to_token(self._positions)

    @property
    def positions(self) -> Positions:
        """The same as offsets."""
        return self._positions

    async def commit(self) -> bool:
        """Commit to the group that everything handed out so far is done with.

        Returns:
            ``False`` if the group has given partitions to others meanwhile; they will read again
            what was not committed.

        Raises:
            ConfigurationError: There is no group.
            BrokerError: The broker refuses.
        """
        if self._reading.group is None or self._consumer is None:
            raise ConfigurationError(
                "group: is not set, or nothing is being read; only a group that reads can commit"
            )
        owned = self._consumer.assignment()
        offsets = {one: offset for one, offset in self._positions.items() if one in owned}
        has_lost, self._has_lost = self._has_lost, False
        try:
            if offsets:
                await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError):
            has_lost = True
        except KafkaError as error:
            raise self._refused(error) from error
        else:
            self._committed.update(offsets)
        if has_lost:
            log.warning("the group has moved on: what was not committed comes again")
        return not has_lost

    def _options(self) -> dict[str, Any]:
        # The client would go on silently, in a group at the end, where a topic has lost records.
        options = {"auto_offset_reset": "none", **self._reading.options}
        group, start = self._reading.group, self._reading.start
        if group is None:
            return options
        if start not in ("end", "beginning"):
            raise ConfigurationError(
                f"start: {start!s} does not go with a group, which begins where it has committed; "
                "give end or beginning for where it has not, or leave the group out"
            )
        return {"group_id": group, **options}

    async def _place(self, consumer: AIOKafkaConsumer) -> None:
        counts = await partition_counts(self._connection)
        if missing := [topic for topic in self._topics if topic not in counts]:
            raise ConfigurationError(
                f"topics: {missing[0]!r} does not exist on {self._connection.bootstrap_servers}, "
                "or is hidden by access rules; `headrace topics list --all` shows those that do"
            )
        self._waiting.clear()
        if self._reading.group is not None:
            self._give_up(list(self._positions))  # iterated again, it has what was not committed
            consumer.subscribe(list(self._topics), listener=_Revoked(self))
            return
        partitions = [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in range(counts[topic])
        ]
        # Iterated again after its end, it goes on where it stands.
        start = self.token or self._reading.start
        beginning = await begin(consumer, partitions, start, back=self._reading.back)
        _assign(consumer, beginning.read)
        self.counts.missed += beginning.missed
        self._first = beginning.wanted
        self._positions = dict(beginning.wanted)
        self.ends = beginning.ends

    async def _next(self) -> Received[T] | None:
        """Wait for what comes next; ``None`` once this is closed. Cut off, it loses nothing."""
        while (consumer := self._consumer) is not None:
            while self._waiting:
                one = self._take(self._waiting.popleft())
                if one is not None:
                    return one
            if self._reading.group is None:
                self._follow_growth(consumer)
            try:
                batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=MOST_PER_POLL)
                self._waiting.extend(_by_time(batches.values()))
            except ConsumerStoppedError:  # closed by another task
                return None
            except (OffsetOutOfRangeError, NoOffsetForPartitionError) as error:
                await self._place_anew(consumer, error)
            except KafkaError as error:
                if not error.retriable:
                    raise self._refused(error) from error
                await asyncio.sleep(RETRY_S)
        return None

    async def _place_anew(self, consumer: AIOKafkaConsumer, error: KafkaError) -> None:
        """Go on with what a topic still keeps, and say so; begin where a group has no offset."""
        try:
            if isinstance(error, OffsetOutOfRangeError):
                for partition, offset in error.args[0].items():
                    first, missed = await first_kept(consumer, partition, offset)
                    consumer.seek(partition, first)
                    self.counts.missed += missed
                    self._first.pop(partition, None)
                    if partition in self._positions:
                        self._positions[partition] = first
            else:
                (partition,) = error.args
                offset = await beginning_of(consumer, partition, self._reading.start)
                consumer.seek(partition, offset)
        except IllegalStateError:
            return  # the group has given it to somebody else meanwhile
        except KafkaError as failure:
            log.warning("positions are asked for again: %r", failure)
            await asyncio.sleep(RETRY_S)

    def _follow_growth(self, consumer: AIOKafkaConsumer) -> None:
        """Read partitions that were added since, from their beginning."""
        added = {
            TopicPartition(topic, number): 0
            for topic in self._topics
            for number in consumer.partitions_for_topic(topic) or ()
        }
        if self._positions.keys() >= added.keys():
            return
        self._positions = added | self._positions
        _assign(consumer, self._positions)

    def _take(self, consumed: ConsumerRecord) -> Received[T] | None:
        record = to_record(consumed)
        partition = TopicPartition(record.topic, record.partition)
        is_known = record.offset < self._first.get(partition, 0)
        try:
            value = self._wanted.pick(record, self._seen)
        except ContractError as error:
            value = None
            if not is_known:
                self.counts.bad += 1
                log.warning(
                    "passed over %s/%d/%d: %s", record.topic, record.partition, record.offset, error
                )
        if is_known:
            return None
        self.counts.read += 1
        self._positions[partition] = record.offset + 1
        if value is None:
            return None
        self.counts.handed_out += 1
        return Received(value, record)

    def _give_up(self, partitions: Collection[TopicPartition]) -> None:
        """Forget what belongs to others now."""
        for partition in partitions:
            read, committed = (
                self._positions.pop(partition, None),
                self._committed.pop(partition, None),
            )
            self._has_lost |= read is not None and read != committed
        # What is read again must be new to whoever reads it, this member too.
        self._seen.clear()
        lost = {(one.topic, one.partition) for one in partitions}
        self._waiting = deque(
            one for one in self._waiting if (one.topic, one.partition) not in lost
        )

    def _refused(self, error: KafkaError) -> BrokerError:
        why = explained(error, doing="Read") or repr(error)
        return BrokerError(f"topics: {', '.join(self._topics)} cannot be read on: {why}")


class _Revoked(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells a subscription which partitions it no longer has."""

    def __init__(self, subscription: Subscription[Any]) -> None:
        self._subscription = subscription

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self._subscription._give_up(revoked)  # noqa: SLF001

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        del assigned


def _assign(consumer: AIOKafkaConsumer, positions: Positions) -> None:
    consumer.assign(list(positions))
    for partition, offset in positions.items():
        consumer.seek(partition, offset)


def _by_time(batches: Iterable[Iterable[ConsumerRecord]]) -> Iterable[ConsumerRecord]:
    """Merge partitions by time; within one, the order stays."""
    return heapq.merge(*batches, key=lambda one: one.timestamp)
