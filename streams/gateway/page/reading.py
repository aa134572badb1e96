"""Reads results and what is derived of them for the page: once, whoever looks."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.derived import Alert, Signal, decode_alert, decode_signal
from schemas.errors import BrokerError, HeadraceError
from schemas.fused import Fused, decode_fused
from schemas.kafka import decode_result, result_id
from schemas.records import Record
from schemas.results import Classification
from schemas.session_state import SessionState, decode_session
from streams.clients import open_consumer, undisturbed
from streams.connection import Connection
from streams.gateway.page.joined import SILENT_MS
from streams.gateway.page.rows import Row
from streams.gateway.page.tally import HISTORY_S, Tally
from streams.security.access import REFUSALS, explained
from streams.subscription import Reading, Seen, Subscription
from streams.topics import TopicKind, kind_of, partition_counts

BACK_S: Mapping[TopicKind, int] = {
    TopicKind.RESULTS: HISTORY_S,
    TopicKind.OTHER: HISTORY_S,
    TopicKind.SIGNALS: 86_400,
    TopicKind.ALERTS: 86_400,
    TopicKind.SESSIONS: SILENT_MS // 1_000,
    TopicKind.FUSED: SILENT_MS // 1_000,
}
"""What is read, and how far back: signals and alerts are few, and hold for long."""
MOST_READ_BACK = 20_000
"""Records from before the first look; reading them takes well under a second."""
REMEMBERED = 20_000
TOPICS_S = 5.0
"""Between two looks for new topics, and before another try where the broker failed."""
BROKER = "broker"
YIELD_EVERY = 100
"""Records after which others get their turn."""

Taken = Classification | Signal | Alert | SessionState | Fused
log = structlog.get_logger(__name__)


_DERIVED: Mapping[TopicKind, Callable[[bytes], Taken]] = {
    TopicKind.SIGNALS: decode_signal,
    TopicKind.ALERTS: decode_alert,
    TopicKind.SESSIONS: decode_session,
    TopicKind.FUSED: decode_fused,
}


class Everything:
    """Wants results, each once, and whatever is derived of them."""

    def pick(self, record: Record, seen: Seen) -> Taken | None:
        """Return what a record holds, ``None`` for a repetition; raises a ``ContractError``."""
        value = record.value or b""
        kind = kind_of(record.topic)
        if decode := _DERIVED.get(kind):
            return decode(value)
        result = decode_result(value)
        name = result_id(result.source, result.model.digest)
        return result if seen.is_new(name, result.revision) else None


class Reader:
    """Feeds a tally; goes on through whatever the broker does.

    Args:
        connection: How to reach the brokers.
        topics: Those that may be read; none for all that are named like ours.
        tally: Takes in what is read.
        came: Called with each result's row.

    Attributes:
        topics: Those that are read.
        missing: Those that may be read, and are not on the broker.
        is_ready: Whether it is known which topics there are.
    """

    def __init__(
        self,
        connection: Connection,
        topics: Collection[str],
        tally: Tally,
        came: Callable[[Row], None],
    ) -> None:
        self.topics: set[str] = set()
        self.missing: set[str] = set()
        self.is_ready = False
        self._connection = connection
        self._allowed = frozenset(topics)
        self._tally = tally
        self._came = came
        self._seen = Seen(most=REMEMBERED)
        self._reached: dict[str, datetime] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._problems: dict[str, str] = {}
        self._alone: set[str] = set()

    @property
    def problem(self) -> str | None:
        """Why something cannot be read now; ``None`` while all is well."""
        return next(iter(self._problems.values()), None)

    async def run(self) -> None:
        """Read until cancelled; topics that are made later are found."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(TOPICS_S)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _look(self) -> None:
        try:
            counts = await undisturbed(partition_counts(self._connection))
        except HeadraceError as error:
            self._problems[BROKER] = str(error)
            return
        # What is read since the look before is read well.
        self._problems = {one: why for one, why in self._problems.items() if one not in self.topics}
        self._problems.pop(BROKER, None)
        self.is_ready = True
        self.missing = set(self._allowed - counts.keys())
        new = {topic for topic in counts if is_shown(topic, self._allowed)} - self.topics
        for topics in self._parted(new):
            partitions = [
                TopicPartition(topic, number)
                for topic in sorted(topics)
                for number in range(counts[topic])
            ]
            self.topics |= topics
            task = asyncio.create_task(self._read(topics, partitions))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _parted(self, topics: set[str]) -> Iterator[set[str]]:
        """Yield what is read together; what could not be read keeps no other from being read."""
        together: dict[int, set[str]] = {}
        for topic in topics - self._alone:
            together.setdefault(BACK_S[kind_of(topic)], set()).add(topic)
        yield from together.values()
        for topic in topics & self._alone:
            yield {topic}

    async def _read(self, topics: set[str], partitions: list[TopicPartition]) -> None:
        """Read topics until that fails; they are found anew by the next look."""
        name = min(topics)
        try:
            start = await self._start(topics, partitions)
            reading = Reading(start=start)
            async with Subscription(
                self._connection, topics, Everything(), reading, self._seen
            ) as subscription:
                async for number, received in _numbered(subscription.received()):
                    self._problems.pop(name, None)
                    self._take(received.value, received.record)
                    if number % YIELD_EVERY == 0:
                        await asyncio.sleep(0)
        except HeadraceError as error:
            if self._problems.get(name) != str(error):
                log.warning("page_reading_ended", topics=sorted(topics), reason=str(error))
            if isinstance(error.__cause__, REFUSALS) and len(topics) > 1:
                self._alone |= topics  # some of them may be allowed
            else:
                self._problems[name] = str(error)
        finally:
            self.topics -= topics

    async def _start(self, topics: Collection[str], partitions: list[TopicPartition]) -> datetime:
        """Return from when on to read: where it broke off, else what is worth showing."""
        seconds = max(BACK_S[kind_of(topic)] for topic in topics)
        now = datetime.now(UTC)
        earliest = max(
            min(self._reached.get(one, datetime.min.replace(tzinfo=UTC)) for one in topics),
            now - timedelta(seconds=seconds),
        )
        async with open_consumer(self._connection) as consumer:
            return await bounded_start(consumer, partitions, earliest, now)

    def _take(self, value: Taken, record: Record) -> None:
        at_ms = record.timestamp_ms
        if at_ms is None or at_ms < 0:
            at_ms = self._tally.now_ms
        if isinstance(value, Signal):
            self._tally.take_signal(value, at_ms)
        elif isinstance(value, Alert):
            self._tally.take_alert(value, at_ms)
        elif isinstance(value, SessionState):
            self._tally.take_session(value, at_ms)
        elif isinstance(value, Fused):
            self._tally.take_fused(value, at_ms)
        else:
            place = (record.partition, record.offset)
            self._came(self._tally.take_result(value, record.topic, at_ms, place))
        self._reached[record.topic] = datetime.fromtimestamp(at_ms / 1e3, UTC)


def is_shown(topic: str, allowed: Collection[str]) -> bool:
    """Say whether a topic is one that the page shows; none are ``allowed`` where all are."""
    kind = kind_of(topic)
    if allowed:  # what is named otherwise is taken for results, as all streams do
        return topic in allowed and kind in BACK_S
    return kind in BACK_S and kind is not TopicKind.OTHER


def holds_results(topic: str, allowed: Collection[str]) -> bool:
    """Say whether a topic that the page shows holds results."""
    return is_shown(topic, allowed) and kind_of(topic) not in _DERIVED


async def bounded_start(
    consumer: AIOKafkaConsumer,
    partitions: list[TopicPartition],
    earliest: datetime,
    now: datetime,
    most: int = MOST_READ_BACK,
) -> datetime:
    """Return a time from which on there are about ``most`` records at most, if they came evenly.

    Raises:
        BrokerError: The broker does not tell.
    """
    moment = int(earliest.timestamp() * 1e3)
    try:
        ends = await consumer.end_offsets(partitions)
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, moment))
    except (KafkaError, TimeoutError) as error:
        why = explained(error, doing="Read", on=partitions[0].topic) or repr(error)
        raise BrokerError(f"the topics' offsets could not be read: {why}") from error
    count: int = sum(ends[one] - at.offset for one, at in found.items() if at is not None)
    if count <= most:
        return earliest
    return now - (now - earliest) * (most / count)


async def _numbered(received: Any) -> Any:
    number = 0
    async for one in received:
        number += 1
        yield number, one
