"""Faust with our way of reaching the broker, and without its own bookkeeping of offsets.

Faust 0.15 makes its clients from settings of its own: they know no login tokens from files, read
what aborted transactions left, and write without idempotence. The classes here put ours in their
place. And its consumer drops every record whose offset is below one that it has handed out: after
a rebalance that has lost records, which were put back to be read again. Others it drops because
their partitions are paused, and does not put back. Ours numbers fetches, so that it knows when one
is missing, and goes back then; what comes twice is known by its offset where it is taken.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, cast

import faust
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

log = structlog.get_logger("streams.apps.fetching")  # that of this module is Faust's

HEARTBEATS = 4
"""Heartbeats within the time after which a silent member is given up."""
MAX_POLL_RECORDS = 500
FETCH_WAIT_MS = 500
LONGEST_RESTORING_MS = 3_600_000
"""Nothing is fetched while tables are read; whether that moves is watched by others."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How the clients are made.

    Attributes:
        options: Of every client: address, identity, TLS and login; holds secrets, never log it.
        session_timeout_ms: Silence after which the broker gives a member's partitions to others.
        request_timeout_ms: How long the broker may take to answer.
        max_request_size: Largest record in bytes.
    """

    options: Mapping[str, Any]
    session_timeout_ms: int = 10_000
    request_timeout_ms: int = 30_000
    max_request_size: int = 16 * 1024 * 1024


class _NothingRead(dict[Any, Any]):
    """Stands for Faust's memory of what it has handed out, and remembers nothing."""

    def __getitem__(self, key: Any) -> None:
        return None

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def update(self, *arguments: Any, **named: Any) -> None:
        pass


class _Fetched(dict[TopicPartition, Any]):
    """What one fetch brought; moves the consumer's position.

    Attributes:
        since: Number of the seek before it.
        number: How many fetches brought something since then, before this one; those of them that
            nobody has seen were lost on the way.
    """

    def __init__(self, records: Mapping[TopicPartition, Any], since: int, number: int) -> None:
        super().__init__(records)
        self.since = since
        self.number = number


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    _since = 0
    _number = 0

    async def go_to(self, positions: Mapping[TopicPartition, int], number: int) -> None:
        """Seek, from the consumer's own thread."""
        await self.call_thread(self._go_to, positions, number)

    async def _go_to(self, positions: Mapping[TopicPartition, int], number: int) -> None:
        consumer = self._ensure_consumer()
        for place, offset in positions.items():
            consumer.seek(place, offset)
        self._since, self._number = number, 0

    async def _fetch_records(self, *arguments: Any, **named: Any) -> dict[TopicPartition, Any]:
        records = await super()._fetch_records(*arguments, **named)
        # The position has moved in this very turn of the thread's loop.
        fetched = _Fetched(records, self._since, self._number)
        self._number += bool(records)
        return fetched

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        del transport
        clients: ClientSettings = self.app.clients  # type: ignore[attr-defined]
        self._assignor = self.app.assignor
        return AIOKafkaConsumer(
            **clients.options,
            group_id=self.app.conf.id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_poll_records=MAX_POLL_RECORDS,
            max_poll_interval_ms=max(LONGEST_RESTORING_MS, 10 * clients.session_timeout_ms),
            fetch_max_wait_ms=FETCH_WAIT_MS,
            request_timeout_ms=clients.request_timeout_ms,
            session_timeout_ms=clients.session_timeout_ms,
            heartbeat_interval_ms=clients.session_timeout_ms // HEARTBEATS,
            rebalance_timeout_ms=3 * clients.session_timeout_ms,
        )

    async def on_thread_stop(self) -> None:
        """Stop the consumer in a task of its own.

        aiokafka (0.14) lets the cancellation of its own tasks out where a fetch was being repeated.
        It would end Faust's thread, and a stop would wait for that in vain.
        """
        await super(driver.AIOKafkaConsumerThread, self).on_thread_stop()
        if self._consumer is not None:
            stopping = asyncio.create_task(self._consumer.stop())
            await asyncio.gather(stopping, return_exceptions=True)


class _Consumer(driver.Consumer):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._read_offset: MutableMapping[Any, Any] = _NothingRead()
        self._seeks = 0
        self._handed_out = 0
        """Fetches that brought something since the last seek."""

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109
        """Hand out what was fetched; of what cannot be handed out now, nothing is lost.

        A rebalance pauses partitions while a fetch is under way, which then brings records of them
        all the same; and it leaves fetches alone whose answer nobody waits for any more. Faust
        drops those records; where nothing was committed before, it does not go back.
        """
        fetched, active = await self._wait_next_records(timeout)
        if not isinstance(fetched, _Fetched) or self.should_stop or fetched.since != self._seeks:
            return  # there was no fetch, or the seek after it has its records read again
        generation = self.app.consumer_generation_id
        expected = self._handed_out
        self._handed_out += bool(fetched)
        complete = self.flow_active and fetched.number == expected
        for place, record in self.scheduler.iterate(fetched) if complete else ():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                complete = False
                break
            if active is None or place in active or place in self._buffered_partitions:
                yield place, self._to_message(place, record)
            else:
                complete = False
        if not complete:
            log.info("records_read_again", missed=fetched.number - expected)
            # What is not assigned any more need not be read again by this member.
            with contextlib.suppress(IllegalStateError):
                await self.perform_seek()

    async def perform_seek(self) -> None:
        """Go on with what comes next, whether anything was committed before or not.

        Raises:
            IllegalStateError: A partition is not assigned any more.
        """
        if positions := self.app.positions():  # type: ignore[attr-defined]
            self._seeks += 1
            self._handed_out = 0
            await cast("_ConsumerThread", self._thread).go_to(positions, self._seeks)

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class _Producer(driver.Producer):
    async def on_start(self) -> None:
        """Ask whether this process may still write, right before each request leaves."""
        await super().on_start()
        client: Any = self._producer.client  # type: ignore[union-attr]
        send, allow = client.send, self.app.allow  # type: ignore[attr-defined]

        async def allowed(*arguments: Any, **named: Any) -> Any:
            allow()
            return await send(*arguments, **named)

        client.send = allowed

    def _settings_auth(self) -> Mapping[str, Any]:
        return {}

    def _settings_extra(self) -> Mapping[str, Any]:
        clients: ClientSettings = self.app.clients  # type: ignore[attr-defined]
        plain = {"security_protocol": "PLAINTEXT"}
        return {
            **plain,
            **clients.options,
            "enable_idempotence": True,
            "acks": "all",
            "linger_ms": 0,
            "max_request_size": clients.max_request_size,
            "request_timeout_ms": clients.request_timeout_ms,
        }


class _Transport(driver.Transport):
    Consumer = _Consumer
    Producer = _Producer


class FaustApp(faust.App):
    """A Faust app without tables, web server, directories and leader topic.

    Args:
        name: Names the consumer group and begins the names of its topics.
        clients: How to reach the broker.
        allow: Raises where this process may no longer write.
        positions: Says which offset of each owned partition was not taken yet.
    """

    def __init__(
        self,
        name: str,
        *,
        clients: ClientSettings,
        allow: Callable[[], None],
        positions: Callable[[], Mapping[TopicPartition, int]],
    ) -> None:
        self.clients = clients
        self.positions = positions
        self.allow = allow
        super().__init__(
            name,
            broker=_urls(str(clients.options["bootstrap_servers"])),
            store="memory://",
            key_serializer="raw",
            value_serializer="raw",
            topic_allow_declare=False,
            topic_disable_leader=True,
            stream_wait_empty=False,
            web_enabled=False,
            broker_session_timeout=clients.session_timeout_ms / 1e3,
            broker_request_timeout=clients.request_timeout_ms / 1e3,
            producer_request_timeout=clients.request_timeout_ms / 1e3,
            # Nothing is acknowledged in Faust's way, so it has nothing to commit.
            broker_commit_interval=60.0,
        )

    def _new_transport(self) -> Any:
        return _Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Any:
        return _Transport(self.conf.broker_producer, self)

    def _create_directories(self) -> None:
        """Leave the disk alone."""


def _urls(bootstrap_servers: str) -> list[str]:
    servers: Iterable[str] = bootstrap_servers.split(",")
    return [f"kafka://{server.strip()}" for server in servers if server.strip()]
