"""One webhook's member of its consumer group: polls, hands records to their deliveries, commits.

1. Partitions are assigned: the group's offsets are read, each partition gets a new tracker.
2. A record is taken: its offset begins. If it is not wanted its offset is complete at once, else
   when its delivery has ended.
3. At every commit interval the contiguous completed prefix of each partition is committed.
4. Partitions are revoked: nothing more begins; requests under way may end within the drain budget,
   what waits is given up; the prefix is committed, the trackers are closed. What did not end is the
   next owner's, who sends it again.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaConnectionError, KafkaError

from schemas.errors import BrokerError, ContractError
from streams import metrics
from streams.access import explained
from streams.clients import stop_client
from streams.consumed import to_record
from streams.delivery.committed import GroupOffsets
from streams.delivery.patience import Patience
from streams.offsets import Bounds, Ledger, OffsetTracker
from streams.subscription.seen import Seen
from streams.webhooks.committing import Committing
from streams.webhooks.delivering import Deliveries
from streams.webhooks.picking import Picker
from streams.webhooks.settings import Webhook

log = structlog.get_logger(__name__)

POLL_MS, PAUSED_POLL_MS = 200, 50
RETRY_S = 0.5
MOST_PER_POLL = 100
BOUNDS = Bounds(events=500, size=32 * 1024 * 1024)
"""Records of one webhook that may have begun and not ended, in one process."""


class Member:
    """Reads for one webhook until stopped.

    Args:
        webhook: Whose.
        make_consumer: Builds a consumer of its group that is not started and not subscribed.
        offsets: Of its group.
        picker: Says what is wanted.
        begins: Where partitions begin of which the group has committed nothing; of others at their
            beginning.
        deliveries: Take records to their ends.
        drain_s: How long requests under way may take to end before partitions are let go.
        commit_interval_s: How often finished offsets are committed.
    """

    def __init__(
        self,
        webhook: Webhook,
        *,
        make_consumer: Callable[[], AIOKafkaConsumer],
        offsets: GroupOffsets,
        begins: Mapping[TopicPartition, int],
        picker: Picker,
        deliveries: Deliveries,
        drain_s: float,
        commit_interval_s: float,
    ) -> None:
        self._webhook = webhook
        self._make_consumer = make_consumer
        self._picker = picker
        self._deliveries = deliveries
        self._drain_s = drain_s
        self._commit_interval_s = commit_interval_s
        self._consumer: AIOKafkaConsumer | None = None
        self._seen: dict[TopicPartition, Seen] = {}
        self._epoch = 0
        self._rewind_due = False
        self._stopping = asyncio.Event()
        self._rebuild = asyncio.Event()
        self.ledger = Ledger(BOUNDS)
        self._committing = Committing(webhook.name, self.ledger, offsets, begins)
        self.owning = False
        """Whether the group has handed out its partitions, possibly none of them to this member."""

    def stop(self) -> None:
        """Take nothing more; :meth:`run` then lets requests end, commits, and leaves the group."""
        self._stopping.set()

    def rebuild(self) -> None:
        """Replace the consumer; what was not committed is read again."""
        self._rebuild.set()

    async def run(self) -> None:
        """Poll until stopped.

        Raises:
            BrokerError: The broker refuses, or is gone for too long.
        """
        patience = Patience(self._webhook.group)
        while not self._stopping.is_set():
            self._rebuild.clear()
            consumer = self._consumer = self._make_consumer()
            listener = _Listener(self._revoked, self._assigned)
            consumer.subscribe([*self._webhook.topics, self._webhook.again], listener=listener)
            away: KafkaConnectionError | None = None
            try:
                await consumer.start()
                patience = Patience(self._webhook.group)
                await self._until_interrupted(consumer)
            except KafkaConnectionError as error:
                away = error
            except KafkaError as error:
                why = explained(error, doing="Read") or repr(error)
                raise BrokerError(f"webhooks.{self._webhook.name}: cannot read: {why}") from error
            finally:
                await self._hand_over()
                self._consumer = None
                with contextlib.suppress(KafkaError):
                    await stop_client(consumer)
            if away is not None:
                await patience.after("consumer_retried", away)

    async def lag(self) -> int:
        """Return the records at the broker that have not ended, of the partitions owned.

        Raises:
            KafkaError: The broker does not answer.
        """
        consumer, owned = self._consumer, self.ledger.partitions
        if consumer is None or not owned:
            return 0
        ends = await consumer.end_offsets(owned)
        return sum([max(0, ends[one] - await self._reached(one, consumer)) for one in owned])

    async def _reached(self, partition: TopicPartition, consumer: AIOKafkaConsumer) -> int:
        """Return the offset below which nothing is left.

        Where nothing is under way that is the consumer's, which has passed the marks that end
        transactions; they are no records and never begin.
        """
        tracker = self.ledger.tracker(partition)
        if tracker is not None and tracker.in_flight and tracker.position is not None:
            return tracker.position
        if self._rewind_due and (start := self._committing.start_of(partition)):
            return start  # what the consumer took since is read again
        try:
            position: int = await consumer.position(partition)
        except IllegalStateError:  # revoked while we asked
            return 2**63
        return position

    async def _until_interrupted(self, consumer: AIOKafkaConsumer) -> None:
        work = [
            asyncio.create_task(self._poll(consumer)),
            asyncio.create_task(self._commit_regularly()),
        ]
        signals = [asyncio.create_task(one.wait()) for one in (self._stopping, self._rebuild)]
        try:
            done, _ = await asyncio.wait([*work, *signals], return_when=asyncio.FIRST_COMPLETED)
            for task in done.intersection(work):
                task.result()
        finally:
            for task in (*work, *signals):
                task.cancel()
            await asyncio.gather(*work, *signals, return_exceptions=True)

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            try:
                await self._poll_once(consumer)
            except KafkaError as error:
                if not error.retriable:
                    raise
                log.warning("poll_retried", webhook=self._webhook.name, error=repr(error))
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(0)

    async def _poll_once(self, consumer: AIOKafkaConsumer) -> None:
        epoch = self._epoch
        if self._rewind_due:
            await self._rewind(consumer)
            self._rewind_due = epoch != self._epoch
        paused = self._balance(consumer)
        batch = await consumer.getmany(
            timeout_ms=PAUSED_POLL_MS if paused else POLL_MS, max_records=MOST_PER_POLL
        )
        if not batch:
            return
        if epoch != self._epoch:
            # A rebalance happened inside the poll: these records may be of the old assignment.
            self._rewind_due = True
            return
        for partition, records in batch.items():
            self._admit(partition, records)

    def _balance(self, consumer: AIOKafkaConsumer) -> bool:
        """Pause all partitions while too much is under way; return whether they are."""
        owned = [one for one in self.ledger.partitions if one in consumer.assignment()]
        paused = consumer.paused().intersection(owned)
        if paused and self.ledger.has_room_again:
            consumer.resume(*paused)
            return False
        if owned and self.ledger.is_full:
            consumer.pause(*owned)
            return True
        return bool(paused)

    def _admit(self, partition: TopicPartition, records: Iterable[ConsumerRecord]) -> None:
        tracker = self.ledger.tracker(partition)
        if tracker is None:
            return
        for consumed in records:
            if self.ledger.begin(tracker, consumed.offset, len(consumed.value or b"")):
                self._take(consumed, tracker)

    def _take(self, consumed: ConsumerRecord, tracker: OffsetTracker) -> None:
        record = to_record(consumed)
        seen = self._seen[TopicPartition(record.topic, record.partition)]
        ended = partial(self.ledger.complete, tracker, record.offset)
        try:
            picked = self._picker.pick(record, seen)
        except ContractError as error:
            where = f"{record.topic}/{record.partition}/{record.offset}"
            log.warning("passed_over", webhook=self._webhook.name, at=where, error=str(error))
            metrics.WEBHOOK_PASSED_OVER.labels(self._webhook.name).inc()
            ended()
            return
        if picked is None:
            ended()
        else:
            self._deliveries.begin(picked, ended)

    async def _rewind(self, consumer: AIOKafkaConsumer) -> None:
        """Read the owned partitions from where the group stopped; nothing began there yet."""
        for partition in self.ledger.partitions:
            tracker = self.ledger.tracker(partition)
            if tracker is None or tracker.position is not None:
                continue
            offset = self._committing.start_of(partition)
            with contextlib.suppress(IllegalStateError):  # revoked while we asked
                if offset is None:
                    await consumer.seek_to_beginning(partition)
                else:
                    consumer.seek(partition, offset)

    async def _assigned(self, partitions: set[TopicPartition]) -> None:
        self._epoch += 1
        if self._consumer is None:
            return  # it is being given up
        try:
            await self._committing.take_over(partitions)
        except (BrokerError, KafkaError) as error:
            log.warning("offsets_unknown", webhook=self._webhook.name, error=repr(error))
            self.rebuild()
            return
        # What was seen and given up must be new to whoever has the partition next.
        self._seen = {partition: Seen() for partition in partitions}
        self._epoch += 1
        self._rewind_due = True
        self.owning = True
        log.info("webhook_owns", webhook=self._webhook.name, partitions=len(partitions))

    async def _revoked(self, partitions: set[TopicPartition]) -> None:
        self._epoch += 1
        if partitions:
            await self._hand_over()

    async def _hand_over(self) -> None:
        """Let requests under way end, commit, and forget the rest: it is the next owner's."""
        await self._deliveries.close(self._drain_s)
        await self._committing.commit(self._consumer)
        self._committing.give_up()
        self._seen = {}
        self.owning = False

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._commit_interval_s)
            await self._committing.commit(self._consumer)


_Told = Callable[[set[TopicPartition]], Awaitable[None]]


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped here
    """Hands aiokafka's callbacks on to the member."""

    def __init__(self, revoked: _Told, assigned: _Told) -> None:
        self._revoked = revoked
        self._assigned = assigned

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Called before the group hands partitions out anew."""
        await self._revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Called when this member knows its partitions."""
        await self._assigned(assigned)
