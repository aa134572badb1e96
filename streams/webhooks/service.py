"""All webhooks of a process: their clients, their members, what they show of themselves."""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import BrokerError, ConfigurationError
from streams import metrics
from streams.clients import open_producer
from streams.connection import Connection
from streams.consumer.loop import ConsumeLoop
from streams.delivery.committed import GroupOffsets
from streams.delivery.keeping import Keeping
from streams.delivery.patience import Patience
from streams.delivery.prefix import CommittedPrefix
from streams.group_answers import heed_errors
from streams.health import Health
from streams.offsets import Bounds, Ledger
from streams.security.access import check_access, explained
from streams.stalls import StallDetector
from streams.topics import ensure_topics, partition_counts
from streams.webhooks.delivering import Deliveries, Times
from streams.webhooks.endpoint import Endpoint
from streams.webhooks.intake import WebhookIntake
from streams.webhooks.letters import Letters
from streams.webhooks.picking import Picker
from streams.webhooks.placing import place
from streams.webhooks.served import Served
from streams.webhooks.settings import Webhook

log = structlog.get_logger(__name__)

HEADROOM_BYTES = 1024 * 1024
"""What a dead letter may need beyond the record that it is about."""
SHOW_S = 1.0
LAG_EVERY = 5
MOST_PER_POLL = 100
BOUNDS = Bounds(events=500, size=32 * 1024 * 1024)
"""Records of one webhook that may have begun and not ended, in one process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What all webhooks of a process share, as the settings of the same names have it."""

    connection: Connection
    create_topics: bool = True
    max_record_bytes: int = 16 * 1024 * 1024
    drain_s: float = 5.0
    commit_interval_s: float = 0.2
    session_timeout_ms: int = 10_000
    stall_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A webhook whose settings and files were found good."""

    webhook: Webhook
    picker: Picker
    endpoint: Endpoint


def prepare(webhooks: Collection[Webhook]) -> list[Prepared]:
    """Read the files of webhooks and check what their settings say of each other.

    Raises:
        ConfigurationError: There is none, or something of one cannot be used.
    """
    if not webhooks:
        raise ConfigurationError(
            "webhooks: there is none; describe one in a table [[webhooks]] of the file that "
            "--config names"
        )
    return [Prepared(webhook, Picker(webhook), Endpoint(webhook)) for webhook in webhooks]


class Webhooks:
    """Posts what the topics hold until stopped.

    Args:
        prepared: The webhooks.
        terms: What they share.
        health: Is told what is waited for.
    """

    def __init__(self, prepared: Collection[Prepared], terms: Terms, health: Health) -> None:
        self._prepared = prepared
        self._terms = terms
        self._health = health
        self._begins: dict[str, Mapping[TopicPartition, int]] = {}
        self._stopping = asyncio.Event()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for condition in ("broker", *(f"group {one.webhook.name}" for one in prepared)):
            health.unmet(condition)

    def stop(self) -> None:
        """Ask for an end in order."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until stopped.

        Raises:
            ConfigurationError: A topic does not exist.
            BrokerError: The broker cannot be reached, or does not allow what is needed.
        """
        if not await self._readied():
            return
        self._health.met("broker")
        async with AsyncExitStack() as stack:
            producer = await stack.enter_async_context(
                open_producer(
                    self._terms.connection,
                    max_request_size=self._terms.max_record_bytes + HEADROOM_BYTES,
                )
            )
            members = [await self._member(one, producer, stack) for one in self._prepared]
            await self._serve(members)

    async def _readied(self) -> bool:
        """Prepare topics and groups, unless a stop comes first."""
        readying = asyncio.gather(*(self._ready(one.webhook) for one in self._prepared))
        stopped = asyncio.create_task(self._stopping.wait())
        either: list[asyncio.Future[Any]] = [readying, stopped]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not readying.done():
                return False
            for one, begins in zip(self._prepared, readying.result(), strict=True):
                self._begins[one.webhook.name] = begins
            return True
        finally:
            readying.cancel()
            stopped.cancel()
            await asyncio.gather(readying, stopped, return_exceptions=True)

    async def _ready(self, webhook: Webhook) -> Mapping[TopicPartition, int]:
        """Make sure of topics and rights, with patience for a broker that is just starting.

        Returns:
            As :func:`place`.
        """
        terms, patience = self._terms, Patience(webhook.name)
        own = [webhook.dead_letters, webhook.again]
        while True:
            try:
                await check_access(
                    terms.connection,
                    reads=[*webhook.topics, webhook.again],
                    writes=own[:1],
                    group=webhook.group,
                )
                await _check_topics(terms.connection, webhook)
                await ensure_topics(
                    terms.connection,
                    own,
                    partitions=1,
                    allow_create=terms.create_topics,
                    max_message_bytes=terms.max_record_bytes + HEADROOM_BYTES,
                )
                return await place(terms.connection, webhook)
            except BrokerError as error:
                if not error.retriable:
                    raise
                await patience.after("broker_not_ready", error)

    async def _member(
        self, one: Prepared, producer: AIOKafkaProducer, stack: AsyncExitStack
    ) -> Served:
        webhook, terms = one.webhook, self._terms
        if not one.endpoint.signs:
            log.warning("unsigned", webhook=webhook.name, remedy="set secret_file")
        deliveries = Deliveries(
            webhook,
            await stack.enter_async_context(one.endpoint),
            Letters(producer, webhook.dead_letters),
            times=Times(),
            draw=random.Random(),  # noqa: S311 - spreads waits
            failed=self._fail,
        )
        ledger = Ledger(BOUNDS)
        offsets = GroupOffsets(terms.connection, webhook.group)
        loop = consume_loop(
            one,
            deliveries,
            ledger,
            CommittedPrefix(ledger, offsets, self._fail, self._begins[webhook.name]),
            make_consumer=partial(_make_consumer, terms, webhook),
            drain_s=terms.drain_s,
            commit_interval_s=terms.commit_interval_s,
        )
        return Served(webhook, loop, ledger, deliveries, StallDetector(terms.stall_s))

    async def _serve(self, members: list[Served]) -> None:
        running = [asyncio.create_task(one.run()) for one in members]
        showing = [asyncio.create_task(self._show(one)) for one in members]
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            ends_it: list[asyncio.Future[Any]] = [*running, *showing, stopped, self._failure]
            await asyncio.wait(ends_it, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in members:
                one.loop.stop()
            stopped.cancel()
            for task in showing:
                task.cancel()
            ends = await asyncio.gather(*running, return_exceptions=True)
            await asyncio.gather(*showing, stopped, return_exceptions=True)
        failed = [end for end in ends if isinstance(end, BaseException)]
        if self._failure.done():
            self._failure.result()
        if failed:
            raise failed[0]

    def _fail(self, error: BaseException) -> None:
        if self._failure.done():
            return
        told = explained(error, doing="Write") if isinstance(error, KafkaError) else None
        self._failure.set_exception(
            error if isinstance(error, BrokerError) else BrokerError(told or repr(error))
        )

    async def _show(self, one: Served) -> None:
        """Keep metrics and health as things are; replace a consumer that stands still."""
        turn = 0
        while True:
            one.show(self._health)
            metrics.READY.set(self._health.ready)
            if turn % LAG_EVERY == 0:
                await one.look()
            turn += 1
            await asyncio.sleep(SHOW_S)


def consume_loop(
    prepared: Prepared,
    deliveries: Deliveries,
    ledger: Ledger,
    keeping: Keeping,
    *,
    make_consumer: Callable[[], AIOKafkaConsumer],
    drain_s: float,
    commit_interval_s: float,
) -> ConsumeLoop:
    """Build a webhook's member of its group.

    Args:
        prepared: Whose.
        deliveries: Take records to their ends.
        ledger: Follows what has not ended.
        keeping: Keeps the group's offsets.
        make_consumer: Builds a consumer that is not started and not subscribed.
        drain_s: How long requests under way may take to end before partitions are let go.
        commit_interval_s: How often finished offsets are committed.
    """
    webhook = prepared.webhook
    intake = WebhookIntake(webhook.name, prepared.picker, deliveries, ledger)
    return ConsumeLoop(
        make_consumer=make_consumer,
        intakes=dict.fromkeys([*webhook.topics, webhook.again], intake),
        ledger=ledger,
        keeping=keeping,
        max_poll_records=MOST_PER_POLL,
        drain_s=drain_s,
        commit_interval_s=commit_interval_s,
        drain=deliveries.close,
    )


async def _check_topics(connection: Connection, webhook: Webhook) -> None:
    counts = await partition_counts(connection)
    if missing := [topic for topic in webhook.topics if topic not in counts]:
        raise ConfigurationError(
            f"webhooks.{webhook.name}.topics: {missing[0]!r} does not exist on "
            f"{connection.bootstrap_servers}, or is hidden by access rules; `headrace topics list "
            "--all` shows those that do"
        )


def _make_consumer(terms: Terms, webhook: Webhook) -> AIOKafkaConsumer:
    consumer = AIOKafkaConsumer(
        **terms.connection.client_options(),
        group_id=webhook.group,
        enable_auto_commit=False,
        # Where to begin was committed before; what has no offset was added since.
        auto_offset_reset="earliest",
        session_timeout_ms=terms.session_timeout_ms,
        heartbeat_interval_ms=max(1, terms.session_timeout_ms // 10),
        rebalance_timeout_ms=int(terms.drain_s * 1e3) + terms.session_timeout_ms,
        isolation_level="read_committed",
    )
    heed_errors(consumer._client)  # noqa: SLF001 - not to take a loading group for a new one
    return consumer
