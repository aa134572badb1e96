"""Sends events that were dead letters, and the marks that they were sent, in transactions."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
)

from schemas.errors import BrokerError
from schemas.kafka import Outbound
from streams.clients import open_producer, pass_over_client_futures
from streams.connection import Connection
from streams.dead_letters.letters import Found
from streams.dead_letters.marks import mark_of, marks_topic

MOST_EVENTS, MOST_BYTES, MOST_S = 500, 16 * 1024 * 1024, 5.0
"""Of one transaction; the broker undoes one that is open for a minute."""
LARGEST = 128 * 1024 * 1024
"""Bytes of a record; what the broker takes is for the broker to say."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An event that is to be sent in again."""

    found: Found
    topic: str
    partition: int | None
    outbound: Outbound

    @property
    def size(self) -> int:
        """Bytes of its value."""
        return len(self.outbound.value or b"")


class Sender:
    """Sends events and their marks in transactions; leaving it early undoes the open one."""

    def __init__(self, connection: Connection, topic: str) -> None:
        self._topic = topic
        self._opening = open_producer(
            connection, max_request_size=LARGEST, transactional_id=f"headrace-redrive-{topic}"
        )
        self._producer: AIOKafkaProducer | None = None
        self._sending: list[tuple[Prepared, asyncio.Future[object]]] = []
        self._bytes, self._since = 0, 0.0

    async def __aenter__(self) -> Self:
        pass_over_client_futures()
        self._producer = await self._opening.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._sending:
                # The broker undoes what is never committed; aiokafka asserts (0.14) that nobody
                # aborts what was fenced.
                with suppress(KafkaError, AssertionError):
                    await self._started.abort_transaction()
                futures = [each for _, each in self._sending]
                await asyncio.gather(*futures, return_exceptions=True)
        finally:
            await self._opening.__aexit__(kind, error, traceback)

    async def send(self, prepared: Prepared) -> None:
        """Send one event with its mark.

        Raises:
            BrokerError: The broker did not take something; all since the last commit is undone.
        """
        producer, outbound = self._started, prepared.outbound
        mark = mark_of(prepared.found.record, prepared.topic)
        try:
            if not self._sending:
                await producer.begin_transaction()
                self._since = time.monotonic()
            event = await producer.send(
                prepared.topic,
                value=outbound.value,
                key=outbound.key,
                headers=outbound.headers,
                partition=prepared.partition,
            )
            self._sending.append((prepared, event))
            marked = await producer.send(marks_topic(self._topic), value=mark.value, key=mark.key)
            self._sending.append((prepared, marked))
        except KafkaError as error:
            raise self._failure(error, prepared) from error
        self._bytes += prepared.size
        await self.commit_if_due()

    async def commit_if_due(self) -> None:
        """End the open transaction if it has become large or old; raises as :meth:`commit`."""
        age_s = time.monotonic() - self._since
        many = len(self._sending) >= 2 * MOST_EVENTS  # an event and its mark
        if self._sending and (many or self._bytes >= MOST_BYTES or age_s >= MOST_S):
            await self.commit()

    async def commit(self) -> None:
        """End the open transaction: what was sent so far can be read, and is marked.

        Raises:
            BrokerError: The broker did not take an event of it; all of it is undone.
        """
        for prepared, future in self._sending:
            try:
                await future
            except KafkaError as error:
                raise self._failure(error, prepared) from error
        if self._sending:
            try:
                await self._started.commit_transaction()
            except KafkaError as error:
                raise self._failure(error) from error
        self._sending = []
        self._bytes = 0

    @property
    def _started(self) -> AIOKafkaProducer:
        assert self._producer is not None  # noqa: S101 - it was entered
        return self._producer

    def _failure(self, error: KafkaError, prepared: Prepared | None = None) -> BrokerError:
        events = len({found.found.position for found, _ in self._sending})
        undone = f"the last {events:,} events are undone, those before are sent and marked"
        if isinstance(error, ProducerFenced | InvalidProducerEpoch):
            return BrokerError(
                f"TOPIC: somebody else has begun to redrive {self._topic}; {undone}; let him finish"
            )
        if isinstance(error, MessageSizeTooLargeError) and prepared is not None:
            return BrokerError(
                f"the letter at {prepared.found.position} is too large for {prepared.topic}; "
                f"{undone}; raise max.message.bytes of that topic, or leave it out with --where"
            )
        return BrokerError(f"the broker did not take an event: {error!r}; {undone}")
