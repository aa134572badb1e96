"""The consume loop: poll always, admit what fits, give partitions back in good order."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import (
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from schemas.errors import BrokerError
from streams import metrics
from streams.clients import stop_client
from streams.consumer.gauge_part import GaugePart
from streams.consumer.intake import Intake
from streams.consumer.lag import Lag
from streams.consumer.polling import Polling
from streams.delivery.keeping import Keeping
from streams.delivery.patience import Patience
from streams.offsets import Ledger
from streams.security.access import Refusal

log = structlog.get_logger(__name__)

RETRY_S = 0.5


class ConsumeLoop:
    """One member of the consumer group, from polling to committing.

    Args:
        make_consumer: Builds a consumer that is not started and not subscribed.
        intakes: By input topic.
        ledger: Follows what is in flight.
        keeping: Keeps the group's offsets.
        max_poll_records: Most records of a topic taken at once.
        drain_s: How long revoked partitions may finish what is in flight.
        commit_interval_s: How often the completed prefix is committed.
        idle_pause_s: Rest between polls that find nothing.
        expect: Called when partitions were handed out, before anything is read.
        unfinished: Called before partitions are let go, of which not all that was in flight ended.
        drain: Waits so many seconds for the end of what is in flight; says whether it came.
    """

    def __init__(
        self,
        *,
        make_consumer: Callable[[], AIOKafkaConsumer],
        intakes: Mapping[str, Intake],
        ledger: Ledger,
        keeping: Keeping,
        max_poll_records: int,
        drain_s: float,
        commit_interval_s: float,
        idle_pause_s: float = 0.0,
        expect: Callable[[], None] = lambda: None,
        unfinished: Callable[[], None] = lambda: None,
        drain: Callable[[float], Awaitable[bool]] | None = None,
    ) -> None:
        self._drain = drain or ledger.drain
        self._expect = expect
        self._unfinished = unfinished
        self._make_consumer = make_consumer
        self._intakes = intakes
        self._ledger = ledger
        self._drain_s = drain_s
        self._commit_interval_s = commit_interval_s
        self._consumer: AIOKafkaConsumer | None = None
        self._keeping = keeping
        self._polling = Polling(
            intakes, ledger, max_records=max_poll_records, idle_pause_s=idle_pause_s
        )
        self._lag = Lag(ledger, keeping, is_rewinding=lambda: self._rewind_due)
        self._assigned_now = GaugePart(metrics.ASSIGNED)
        self._epoch = 0
        self._rewind_due = False
        self._owning = False
        self._refusal = Refusal()
        self._stopping = asyncio.Event()
        self._rebuild = asyncio.Event()

    @property
    def owning(self) -> bool:
        """Whether the group has handed out its partitions (possibly none to this worker)."""
        return self._owning

    @property
    def refused(self) -> bool:
        """Whether the broker does not allow what this member needs; it may do so later."""
        return self._refusal.lasts or self._keeping.refused

    async def run(self) -> None:
        """Poll until stopped; a consumer given up by the watchdog is replaced.

        Raises:
            BrokerError: The broker refuses this worker for good, or is gone for too long.
        """
        patience = Patience("consumer")
        while not self._stopping.is_set():
            self._rebuild.clear()
            self._rewind_due = False
            consumer = self._consumer = self._make_consumer()
            away: KafkaConnectionError | None = None
            consumer.subscribe(
                list(self._intakes), listener=_Listener(self._revoked, self._assigned)
            )
            try:
                await consumer.start()
                patience = Patience("consumer")
                await self._until_interrupted(
                    self._poll(consumer), self._commit_regularly(consumer)
                )
            except KafkaConnectionError as error:
                # The broker went away just before, or it is away while the consumer is replaced.
                away = error
            except KafkaError as error:
                if not self._refusal.note(error):
                    raise BrokerError(f"the consumer failed: {error!r}") from error
            finally:
                await self._leave(consumer)
            if away is not None:
                await self._until_interrupted(patience.after("consumer_retried", away))
            await self._refusal.pause(self._stopping)

    def stop(self) -> None:
        """Take nothing more in; :meth:`run` then drains, commits, leaves the group and returns."""
        self._stopping.set()

    def rebuild(self) -> None:
        """Replace the consumer; what was not committed is read again."""
        self._rebuild.set()

    async def lag(self) -> dict[TopicPartition, int]:
        """Return, per owned partition, the records at the broker that are not completed.

        Raises:
            KafkaError: The broker does not answer.
        """
        consumer = self._consumer
        if consumer is None or not self._ledger.partitions:
            return {}
        return await self._lag.of(consumer)

    async def ask(self) -> None:
        """Return when the broker has answered; at once while there is no consumer.

        Raises:
            KafkaError: It did not.
        """
        consumer, owned = self._consumer, self._ledger.partitions
        if consumer is not None:
            # Of the leader of every partition, or of any broker.
            await (consumer.end_offsets(owned) if owned else consumer.topics())

    async def _until_interrupted(self, *work: Awaitable[None]) -> None:
        """Run ``work`` until a stop or rebuild is asked for, or one part of it fails."""
        tasks = [asyncio.ensure_future(part) for part in work]
        signals = [asyncio.create_task(event.wait()) for event in (self._stopping, self._rebuild)]
        try:
            done, _ = await asyncio.wait([*tasks, *signals], return_when=asyncio.FIRST_COMPLETED)
            for task in done.intersection(tasks):
                task.result()
        finally:
            for task in (*tasks, *signals):
                task.cancel()
            await asyncio.gather(*tasks, *signals, return_exceptions=True)

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            try:
                await self._poll_once(consumer)
            except TopicAuthorizationFailedError as error:
                self._refusal.note(error)
                await asyncio.sleep(RETRY_S)  # others of its topics are read on
            except KafkaError as error:
                if not error.retriable:
                    raise
                log.warning("poll_retried", error=repr(error))
                await asyncio.sleep(RETRY_S)
            # A full buffer makes getmany return without giving way; results must go out too.
            await asyncio.sleep(0)

    async def _poll_once(self, consumer: AIOKafkaConsumer) -> None:
        epoch = self._epoch
        if self._rewind_due:
            await self._rewind(consumer)
            self._rewind_due = epoch != self._epoch
        batch = await self._polling.take(consumer)
        if not batch:
            await self._polling.rest(consumer)
        elif epoch != self._epoch:
            # A rebalance happened inside the poll: these records may be of the old assignment.
            self._rewind_due = True
        else:
            for partition, records in batch.items():
                self._admit(partition, records)

    def _admit(self, partition: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        tracker = self._ledger.tracker(partition)
        if tracker is None:
            return
        begin = self._ledger.begin
        fresh = [one for one in records if begin(tracker, one.offset, _size(one))]
        self._intakes[partition.topic].admit(fresh, tracker)

    async def _rewind(self, consumer: AIOKafkaConsumer) -> None:
        """Read the owned partitions again from their committed offsets; nothing began there yet."""
        for partition in self._ledger.partitions:
            tracker = self._ledger.tracker(partition)
            if tracker is None or tracker.position is not None:
                continue
            offset = self._keeping.start_of(partition)
            with contextlib.suppress(IllegalStateError):  # revoked while we asked
                if offset is None:
                    await consumer.seek_to_beginning(partition)
                else:
                    consumer.seek(partition, offset)

    async def _assigned(self, partitions: set[TopicPartition]) -> None:
        self._epoch += 1
        self._expect()
        if self._consumer is None:
            return  # it is being given up
        if not await self._keeping.take_over(partitions):
            return
        # In one breath: no poll may hand in what it took before its partition was to be read anew.
        self._keeping.own(partitions)
        self._epoch += 1
        self._rewind_due = True
        self._owning = True
        self._assigned_now.set(len(partitions))
        log.info("partitions_assigned", partitions=_names(partitions))

    async def _revoked(self, partitions: set[TopicPartition]) -> None:
        self._epoch += 1
        if not partitions:
            return
        metrics.REBALANCES.inc()
        log.info("partitions_revoked", partitions=_names(partitions))
        await self._hand_over()

    async def _hand_over(self) -> None:
        """Finish what can be finished, commit it, and forget the rest: it is the next owner's."""
        consumer = self._consumer
        drained = await self._drain(self._drain_s)
        if not drained:
            self._unfinished()
        for intake in self._intakes.values():
            intake.withdraw_all()
        if consumer is not None:
            await self._keeping.hand_over(consumer)
        dropped = self._ledger.close()
        self._owning = False
        self._assigned_now.set(0)
        if not drained:
            metrics.DROPPED.inc(dropped)
            log.warning("handed_over_unfinished", events=dropped, drain_s=self._drain_s)

    async def _commit_regularly(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            await asyncio.sleep(self._commit_interval_s)
            await self._keeping.commit(consumer)

    async def _leave(self, consumer: AIOKafkaConsumer) -> None:
        await self._hand_over()
        self._consumer = None
        with contextlib.suppress(KafkaError):
            await stop_client(consumer)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped here
    """Hands aiokafka's callbacks on to the loop."""

    def __init__(
        self,
        revoked: Callable[[set[TopicPartition]], Awaitable[None]],
        assigned: Callable[[set[TopicPartition]], Awaitable[None]],
    ) -> None:
        self._revoked = revoked
        self._assigned = assigned

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Called before the group hands partitions out anew."""
        await self._revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Called when this member knows its partitions."""
        await self._assigned(assigned)


def _size(record: ConsumerRecord) -> int:
    """Return what a record takes, in bytes."""
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.value or b"") + len(record.key or b"") + headers


def _names(partitions: set[TopicPartition]) -> list[str]:
    return sorted(f"{partition.topic}-{partition.partition}" for partition in partitions)
