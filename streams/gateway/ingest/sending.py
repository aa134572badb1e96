"""Records on their way to the brokers, and what became of each."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.structs import RecordMetadata

from schemas.errors import BrokerError, HeadraceError, OversizedError
from schemas.kafka import Outbound
from streams import metrics
from streams.clients import open_producer
from streams.connection import Connection
from streams.gateway.ingest.receiving import Held
from streams.security.access import explained
from streams.topics import MAX_MESSAGE_BYTES, partition_counts

Acknowledgement = asyncio.Future[RecordMetadata]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the brokers have a record."""

    partition: int
    offset: int


class Sender:
    """Sends records through one idempotent producer, which connects when it is first needed.

    A producer that the brokers have refused cannot go on; the next record gets a new one.

    Args:
        connection: How to reach the brokers.
        timeout_ms: How long they may take to acknowledge a record.
        held: What is on its way is counted there until the brokers have it, or it is given up.
    """

    def __init__(self, connection: Connection, timeout_ms: float, held: Held) -> None:
        self._connection = connection
        self._timeout_ms = timeout_ms
        self._held = held
        self._producer: AIOKafkaProducer | None = None
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._topics: set[str] = set()

    async def stop(self) -> None:
        """Send nothing more."""
        self._producer = None
        await self._stack.aclose()

    async def send(self, topic: str, records: Sequence[Outbound]) -> list[Place | HeadraceError]:
        """Send records in their order, and say of each where it is, or why it may not be there.

        The caller has them held. Each is released when the brokers have it, or have refused it:
        one that they are late with stays held, for the producer goes on trying.

        Raises:
            BrokerError: None was sent.
        """
        ends = asyncio.get_running_loop().time() + self._timeout_ms / 1e3
        unsent = deque(records)
        sent: list[Acknowledgement] = []
        refused: HeadraceError | None = None
        try:
            async with asyncio.timeout_at(ends):
                producer = await self._ready(topic)
                while unsent:
                    one = unsent[0]
                    future = await producer.send(topic, one.value, key=one.key, headers=one.headers)
                    future.add_done_callback(partial(self._settled, producer, topic, _size(one)))
                    sent.append(future)
                    unsent.popleft()
        except TimeoutError:
            refused = BrokerError(f"topic: {topic} does not take it; send it again later")
        except KafkaError as error:
            refused = _refusal(topic, error)
        finally:
            self._release(sum(map(_size, unsent)), events=len(unsent))
        if not sent and refused is not None:
            raise refused
        left = max(ends - asyncio.get_running_loop().time(), 0.0)
        await asyncio.wait(sent, timeout=left)
        told = [self._outcome(topic, future) for future in sent]
        return told + [refused for _ in unsent if refused is not None]

    def _outcome(self, topic: str, future: Acknowledgement) -> Place | HeadraceError:
        if not future.done():
            return BrokerError(
                f"topic: {topic} has not acknowledged it in {self._timeout_ms:g} ms, and still "
                "may; send it again with the same id"
            )
        if future.cancelled():
            return BrokerError(f"topic: {topic} is not written to any more: the gateway stops")
        error = future.exception()
        if isinstance(error, KafkaError):
            return _refusal(topic, error)
        placed = future.result()
        return Place(placed.partition, placed.offset)

    async def _ready(self, topic: str) -> AIOKafkaProducer:
        async with self._opening:
            if topic not in self._topics:
                if topic not in await partition_counts(self._connection):
                    raise BrokerError(
                        f"topic: {topic!r} does not exist on {self._connection.bootstrap_servers}; "
                        "create it with `headrace topics create`"
                    )
                self._topics.add(topic)
            if self._producer is None:
                await self._stack.aclose()
                self._producer = await self._stack.enter_async_context(
                    open_producer(self._connection, max_request_size=MAX_MESSAGE_BYTES)
                )
            return self._producer

    def _settled(
        self,
        producer: AIOKafkaProducer,
        topic: str,
        size: int,
        future: Acknowledgement,
    ) -> None:
        self._release(size, events=1)
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            metrics.GATEWAY_INGESTED.labels(topic).inc()
        if isinstance(error, MessageSizeTooLargeError):
            return  # what comes next may fit
        is_over = isinstance(error, KafkaError) and not error.retriable
        if is_over and producer is self._producer:
            log.warning("producer_replaced", reason=repr(error))
            self._producer = None
            self._topics.clear()

    def _release(self, size: int, *, events: int) -> None:
        self._held.release(size, events=events)
        metrics.GATEWAY_UNACKNOWLEDGED.set(self._held.bytes)


def _size(record: Outbound) -> int:
    return len(record.value or b"")


def _refusal(topic: str, error: KafkaError) -> HeadraceError:
    if isinstance(error, MessageSizeTooLargeError):
        return OversizedError(
            f"value: is larger than topic {topic} takes; send less, or raise max.message.bytes of "
            "that topic",
            field="value",
        )
    why = explained(error, doing="Write") or f"{error!r}; send it again"
    return BrokerError(f"topic: {topic} did not take it: {why}")
