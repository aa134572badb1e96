"""Kafka clients for one test, closed after it, and waiting for what they see."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient

START_S = 15.0
CLOSE_S = 5.0
POLL_S = 0.02


class Clients:
    """Makes started clients of one broker; leaving the context closes them, the last one first.

    Args:
        bootstrap_servers: Of the broker.
        options: For every client.
    """

    def __init__(self, bootstrap_servers: str, **options: Any) -> None:
        self._options = {"bootstrap_servers": bootstrap_servers, **options}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def producer(self, **options: Any) -> AIOKafkaProducer:
        """Start a producer that waits for all acknowledgements."""
        defaults: dict[str, Any] = {"acks": "all", "max_request_size": 20_000_000}
        producer = AIOKafkaProducer(**self._options, **defaults | options)
        self._stack.push_async_callback(_close, producer.stop, producer.client)
        await producer.start()
        return producer

    async def consumer(self, *topics: str, **options: Any) -> AIOKafkaConsumer:
        """Start a consumer that reads from the beginning; without topics it is to be assigned."""
        defaults: dict[str, Any] = {"enable_auto_commit": False, "auto_offset_reset": "earliest"}
        consumer = AIOKafkaConsumer(*topics, **self._options, **defaults | options)
        self._stack.push_async_callback(_close, consumer.stop, consumer._client)
        async with asyncio.timeout(START_S):
            await consumer.start()
        # Stopping a consumer whose tasks have not run yet raises CancelledError (aiokafka 0.14).
        await asyncio.sleep(0)
        return consumer

    async def reader(self, topic: str, **options: Any) -> AIOKafkaConsumer:
        """Start a consumer of a topic's only partition that belongs to no group."""
        consumer = await self.consumer(**options)
        consumer.assign([TopicPartition(topic, 0)])
        return consumer

    async def admin(self) -> AIOKafkaAdminClient:
        """Start an administration client."""
        admin = AIOKafkaAdminClient(**self._options)
        self._stack.push_async_callback(_close, admin.close, admin._client)
        await admin.start()
        return admin


async def _close(stop: Callable[[], Awaitable[None]], connections: AIOKafkaClient) -> None:
    """Close a client; where a broker leaves it hanging, close at least its connections."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await stop()
    except (TimeoutError, asyncio.CancelledError):
        # A consumer that waits to fetch again cancels whoever stops it (aiokafka 0.14).
        await connections.close()


async def read(
    consumer: AIOKafkaConsumer, count: int, *, within_s: float = 15
) -> list[ConsumerRecord]:
    """Read records as they come; fewer than ``count`` where the time is over first."""
    records: list[ConsumerRecord] = []
    give_up = time.monotonic() + within_s
    while len(records) < count and (left := give_up - time.monotonic()) > 0:
        batches = await consumer.getmany(timeout_ms=int(min(left, 0.5) * 1000))
        records += [record for batch in batches.values() for record in batch]
    return records


async def until(condition: Callable[[], bool], *, within_s: float, what: str) -> float:
    """Wait for a condition; return how many seconds it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < within_s, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(POLL_S)
    return time.monotonic() - begun
