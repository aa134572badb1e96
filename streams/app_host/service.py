"""An app as a process: its topics, its health, signals and exit codes."""

import asyncio
import time
from collections.abc import Coroutine
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from inference.clock import SystemClock
from schemas.errors import ConfigurationError, HeadraceError
from streams import metrics
from streams.app_host.transactions import StepTransactions
from streams.app_host.watch import AppWatch, Unread
from streams.apps.faust_clients import ClientSettings
from streams.apps.faust_runtime import Runtime
from streams.apps.keyed import KeyedApp
from streams.apps.taking import own_topics
from streams.clients import open_consumer, pass_over_client_futures
from streams.connection import Connection
from streams.delivery.committed import GroupOffsets
from streams.delivery.mode import DeliveryMode
from streams.delivery.opening import make_producer
from streams.health import Health, serve
from streams.security.access import explained
from streams.settings import Settings
from streams.signals import on_stop_signals
from streams.topics import ensure_topics, partition_counts
from streams.worker.states import EXIT_MISCONFIGURED

log = structlog.get_logger(__name__)

CHANGELOG = {
    "cleanup.policy": "compact",
    # Each state replaces an earlier one whole, so what a restart reads must be cleaned soon.
    "segment.bytes": str(32 * 1024 * 1024),
    "min.cleanable.dirty.ratio": "0.2",
    # Also where little is written: what was forgotten is not to stay for long.
    "max.compaction.lag.ms": str(24 * 60 * 60 * 1000),
}
LOOK_S = 0.2


async def serve_app(app: KeyedApp, settings: Settings) -> int:
    """Run an app until it is told to stop.

    Args:
        app: What is run.
        settings: Brokers, topics to create, health; ``settings.apps.prefix`` begins the names of
            the app's group and topics.

    Returns:
        The process's exit code: 0 after a drained stop, 1 after a failure that a restart may mend,
        2 after one that it cannot.
    """
    pass_over_client_futures()
    stop = asyncio.Event()
    on_stop_signals(stop.set)
    try:
        await _serve(app, settings, stop)
    except (HeadraceError, KafkaError) as error:
        told = explained(error) or str(error) or repr(error)
        log.error("app_failed", app=app.name, error=told)  # noqa: TRY400 - it names all
        return EXIT_MISCONFIGURED if isinstance(error, ConfigurationError) else 1
    except Exception:
        log.exception("app_failed", app=app.name)
        return 1
    log.info("app_stopped", app=app.name)
    return 0


async def _serve(app: KeyedApp, settings: Settings, stop: asyncio.Event) -> None:
    name = f"{settings.apps.prefix}-{app.name}"
    connection = settings.connection(name)
    health = Health("broker", "partitions")
    runner = None
    if settings.metrics_port is not None:
        runner, port = await serve(health, host=settings.metrics_host, port=settings.metrics_port)
        log.info("listening", url=f"http://{settings.metrics_host}:{port}")
    try:
        await prepare_topics(app, name, connection, settings)
        health.met("broker")
        async with open_consumer(connection) as consumer, open_consumer(connection) as reader:
            runtime = _runtime(app, name, reader, settings)
            stall_s = settings.apps.stall_ms / 1_000
            watch = AppWatch(runtime, Unread(consumer), clock=SystemClock(), stall_s=stall_s)
            log.info("app_starting", app=app.name, inputs=list(app.inputs), output=app.output)
            await _first_end(runtime.run(stop), watch.run(), _show(runtime, health))
    finally:
        metrics.READY.set(0)
        if runner is not None:
            await runner.cleanup()


def _runtime(app: KeyedApp, name: str, reader: AIOKafkaConsumer, settings: Settings) -> Runtime:
    connection = settings.connection(name)
    clients = ClientSettings(
        options=connection.client_options(),
        session_timeout_ms=settings.session_timeout_ms,
        request_timeout_ms=settings.request_timeout_ms,
        max_request_size=settings.max_record_bytes,
    )
    transactions = None
    if settings.apps.delivery is DeliveryMode.EXACTLY_ONCE:
        transactions = StepTransactions(
            group=name,
            make_producer=partial(make_producer, settings),
            offsets=GroupOffsets(connection, name),
        )

    def count(outcome: str, more: int) -> None:
        metrics.APP_RECORDS.labels(app.name, outcome).inc(more)

    return Runtime(
        app, name=name, clients=clients, reader=reader, transactions=transactions, count=count
    )


async def _first_end(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, which ends the others."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in reversed(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _show(runtime: Runtime, health: Health) -> None:
    """Tell whether the app takes records, again and again."""
    was_open, since = False, time.monotonic()
    while True:
        if runtime.is_open != was_open:
            was_open = runtime.is_open
            if was_open:
                log.info("app_ready", seconds=round(time.monotonic() - since, 1))
            since = time.monotonic()
        (health.met if was_open else health.unmet)("partitions")
        metrics.READY.set(was_open)
        metrics.IN_FLIGHT.set(runtime.in_flight)
        metrics.ASSIGNED.set(len(runtime.positions))
        await asyncio.sleep(LOOK_S)


async def prepare_topics(
    app: KeyedApp, name: str, connection: Connection, settings: Settings
) -> None:
    """Create what is missing of an app's topics.

    Raises:
        TopicRefusedError: A topic is missing and may not be created.
        BrokerError: The broker cannot be reached.
        ConfigurationError: Inner topic and changelog do not fit each other.
    """
    parts, changelog = own_topics(name)
    largest, may = settings.max_record_bytes, settings.create_topics
    await ensure_topics(
        connection,
        (*app.inputs, app.output, parts),
        partitions=settings.partitions,
        allow_create=may,
        max_message_bytes=largest,
    )
    counts = await partition_counts(connection)
    await ensure_topics(
        connection,
        (changelog,),
        partitions=counts[parts],
        allow_create=may,
        max_message_bytes=largest,
        configs=CHANGELOG,
    )
    found = (await partition_counts(connection))[changelog]
    if found != counts[parts]:
        raise ConfigurationError(
            f"topic {changelog}: has {found} partitions and {parts} has {counts[parts]}; a key's "
            "state must be where its parts are: choose another apps.prefix, or delete both topics"
        )
