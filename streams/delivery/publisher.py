"""Results and dead letters on their way out; offsets complete when the broker has them."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import structlog
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from inference.failure import Failure
from schemas.errors import BrokerError
from schemas.kafka import Outbound
from streams import metrics
from streams.delivery.underway import Longest, Underway
from streams.offsets import OffsetTracker
from streams.security.access import AccessRefusedError, explained

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 5
"""Sends of one record before the worker gives up; aiokafka retries below this on its own."""
RETRY_BASE_S = 0.1
"""First wait before a record is sent again; each next one is about twice as long."""


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """One record to send.

    Attributes:
        make: Builds the record at the moment of sending, so that the latency in it is true.
        acknowledged: Called once when the broker has it for good.
        tracker: Follows the partition of the event that it is about.
        offset: That it completes; ``None`` where another parcel did or will.
        fallback: Builds what to send when the broker refuses the record for its size.
        patient: It has no deadline to meet, and gets every other turn at most.
    """

    topic: str
    make: Callable[[], Outbound]
    acknowledged: Callable[[], None]
    tracker: OffsetTracker
    offset: int | None = None
    fallback: Callable[[], Outbound] | None = None
    patient: bool = False
    attempts: int = 1
    partition: int | None = None
    """In a transaction; ``None`` for that of its key."""


class Publisher:
    """Sends parcels through an idempotent producer: topics in turns, those of each in order.

    Patient ones count as a topic of their own: when most events are shed, the answers that are
    still in time do not wait behind them.

    Nothing is dropped: what cannot be sent after :data:`MAX_ATTEMPTS` makes :attr:`failure` fire,
    the worker stops without committing it, and whoever owns the partition next sends it again.
    """

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._outbox: dict[tuple[str, bool], deque[tuple[float, Parcel]]] = {}
        """By topic and patience, which are served from the front and go to the end; each parcel
        with the time since which it is here."""
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._unacknowledged = 0
        self._underway = Underway()
        self._longest = Longest()
        self._task: asyncio.Task[None] | None = None
        self._failure = Failure()
        self.failure = self._failure.future
        """Fails with a :class:`BrokerError` when a record could not be sent."""

    def start(self) -> None:
        """Begin sending."""
        self._task = asyncio.create_task(self._send_all(), name="publisher")
        self._failure.watch(self._task)

    def expect(self, records: Sequence[ConsumerRecord], tracker: OffsetTracker) -> None:
        """Nothing depends on what is to come."""

    def publish(self, parcel: Parcel) -> None:
        """Put one record into the outbox; see :meth:`waiting` for when to stop."""
        self._unacknowledged += 1
        self._idle.clear()
        self._put(parcel)

    def waiting(self, topic: str) -> int:
        """Return how many records of a topic wait for those before them to be sent."""
        return sum(len(self._outbox.get((topic, patient), ())) for patient in (False, True))

    @property
    def lead_s(self) -> float:
        """Seconds from :meth:`publish` to the acknowledgement, hardly ever more; of no patient."""
        return max(self.margin_s, self._longest.at(time.monotonic()))

    @property
    def margin_s(self) -> float:
        """Seconds within which the broker very likely has a record that is made now."""
        return self._underway.margin_s

    async def flush(self, timeout_s: float) -> bool:
        """Wait until everything published is acknowledged; ``False`` if time ran out."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Stop sending; what is still in the outbox was never acknowledged."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._failure.close()

    async def _send_all(self) -> None:
        while True:
            if not self._outbox:
                self._wake.clear()
                await self._wake.wait()
            await self._underway.room()
            await self._send(*self._next())

    def _next(self) -> tuple[float, Parcel]:
        kind = next(iter(self._outbox))
        parcels = self._outbox.pop(kind)
        found = parcels.popleft()
        if parcels:
            self._outbox[kind] = parcels
        return found

    def _put(self, parcel: Parcel) -> None:
        kind = parcel.topic, parcel.patient
        self._outbox.setdefault(kind, deque()).append((time.monotonic(), parcel))
        self._wake.set()

    async def _send(self, since: float, parcel: Parcel) -> None:
        number = self._underway.begin()
        outbound = parcel.make()
        try:
            sent = await self._producer.send(
                parcel.topic,
                value=outbound.value,
                key=outbound.key,
                headers=outbound.headers,
            )
        except KafkaError as error:
            self._underway.end(number)
            self._failed(parcel, error)
        else:
            sent.add_done_callback(partial(self._settled, parcel, number, since))

    def _settled(
        self, parcel: Parcel, number: int, since: float, sent: asyncio.Future[object]
    ) -> None:
        took_s = self._underway.end(number)
        if not parcel.patient:
            now = time.monotonic()
            self._longest.note(now - since, now)
        if sent.cancelled():
            return  # the producer was closed; the event stays uncommitted
        refused = sent.exception()
        if refused is None:
            metrics.PUBLISH_SECONDS.observe(took_s)
            self._unacknowledged -= 1
            if not self._unacknowledged:
                self._idle.set()
            try:
                parcel.acknowledged()
            except Exception as error:  # noqa: BLE001 - in a callback it would only be logged
                self._failure.fail(error)
        else:
            self._failed(parcel, refused)

    def _failed(self, parcel: Parcel, error: BaseException) -> None:
        if isinstance(error, MessageSizeTooLargeError) and parcel.fallback:
            log.warning("record_too_large", topic=parcel.topic, error=str(error))
            self._put(replace(parcel, make=parcel.fallback, fallback=None, attempts=1))
            return
        # aiokafka does not count its own time-outs among what may be tried again.
        retriable = isinstance(error, KafkaTimeoutError) or (
            isinstance(error, KafkaError) and error.retriable
        )
        if retriable and parcel.attempts < MAX_ATTEMPTS:
            delay = RETRY_BASE_S * 2**parcel.attempts * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
            log.warning("send_retried", topic=parcel.topic, error=repr(error), delay_s=delay)
            again = replace(parcel, attempts=parcel.attempts + 1)
            asyncio.get_running_loop().call_later(delay, self._put, again)
            return
        if why := explained(error, doing="Write", on=parcel.topic):
            self._failure.fail(AccessRefusedError(f"{why}; nothing after it is committed"))
            return
        self._failure.fail(
            BrokerError(
                f"topic {parcel.topic}: the broker did not take a record after "
                f"{parcel.attempts} attempts: {error!r}; nothing after it is committed"
            )
        )
