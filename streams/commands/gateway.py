"""``headrace gateway``."""

import asyncio
import sys

import click
import msgspec
import structlog

from streams.gateway.server import Gateway, serve
from streams.gateway.tokens import read_tokens
from streams.logs import configure
from streams.options import settings_options
from streams.settings import Settings
from streams.signals import on_stop_signals

log = structlog.get_logger(__name__)


@click.command()
@settings_options
@click.option("--host", help="Address to listen on; loopback unless told otherwise.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0: a free one.")
def command(*, settings: Settings, host: str | None, port: int | None) -> None:
    """Serve results and dead letters over HTTP, as server-sent events.

    A client that comes back with the id of the last event that it has (Last-Event-ID, as browsers
    send it) misses nothing.

    \b
    Examples:
      headrace gateway --port 8080
      curl -N 'localhost:8080/v1/stream/results.news?label=negative&min_confidence=0.8'
    """  # noqa: D301 - click reads \b itself
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    told = msgspec.structs.replace(settings.gateway, **given)
    configure(settings.log_format, settings.log_level)
    tokens = read_tokens(told)
    connection = settings.connection("headrace-gateway")
    connection.client_options()  # files that cannot be read are told of at once
    sys.exit(asyncio.run(_until_stopped(Gateway(connection, told, tokens), told.host, told.port)))


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
