"""``headrace gateway``."""

import asyncio
import sys
from collections.abc import Sequence

import click
import msgspec
import structlog

from schemas.errors import ConfigurationError
from schemas.events import Modality
from streams.commands.options import settings_options
from streams.gateway.descriptors import make_room
from streams.gateway.server import Gateway, serve
from streams.gateway.tokens import read_ingest_tokens, read_tokens
from streams.logs import configure
from streams.settings import Settings, Topic
from streams.signals import on_stop_signals
from streams.topics import TopicKind, kind_of, modality_of

log = structlog.get_logger(__name__)


@click.command()
@settings_options
@click.option("--host", help="Address to listen on; loopback unless told otherwise.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0: a free one.")
def command(*, settings: Settings, host: str | None, port: int | None) -> None:
    """Serve results, signals, alerts and dead letters over HTTP; take events in, if told so.

    At / it has a page for people: rates, verdicts, latencies, newest results, cameras, lag.

    A client that comes back with the id of the last event that it has (Last-Event-ID, as browsers
    send it) misses nothing.

    \b
    Examples:
      headrace gateway --port 8080
      curl -N 'localhost:8080/v1/stream/results.news?label=negative&min_confidence=0.8'
      HEADRACE_GATEWAY__INGEST__TOPICS=events.news headrace gateway
    """  # noqa: D301 - click reads \b itself
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    told = msgspec.structs.replace(settings.gateway, **given)
    configure(settings.log_format, settings.log_level)
    tokens = read_tokens(told)
    connection = settings.connection("headrace-gateway")
    connection.client_options()  # files that cannot be read are told of at once
    make_room(told.max_clients)
    gateway = Gateway(
        connection,
        told,
        tokens,
        senders=read_ingest_tokens(told, tokens),
        modalities=modalities_of(told.ingest.topics, settings.topics),
    )
    sys.exit(asyncio.run(_until_stopped(gateway, told.host, told.port)))


def modalities_of(names: Sequence[str], topics: Sequence[Topic]) -> dict[str, Modality]:
    """Say what the topics carry that events may be sent to.

    Raises:
        ConfigurationError: That is not known of one.
    """
    known = {topic.name: topic.modality for topic in topics}
    found: dict[str, Modality] = {}
    for name in names:
        modality = known.get(name)
        if modality is None and kind_of(name) is TopicKind.EVENTS:
            modality = modality_of(name)
        if modality is None:
            raise ConfigurationError(
                f"gateway.ingest.topics: it is not known what {name!r} carries; list it under "
                "topics, with its modality"
            )
        found[name] = modality
    return found


async def _until_stopped(gateway: Gateway, host: str, port: int) -> int:
    stopped = asyncio.Event()
    on_stop_signals(stopped.set)
    runner, taken = await serve(gateway, host, port)
    log.info("listening", url=f"http://{host}:{taken}")
    try:
        await stopped.wait()
    finally:
        await runner.cleanup()
    return 0
