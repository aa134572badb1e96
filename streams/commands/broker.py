"""``headrace broker``."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import click

from schemas.errors import BrokerError
from streams.broker import AUTO, PROVIDERS, choose, open_broker
from streams.broker.notices import say
from streams.clients import silence_client_logs
from streams.signals import on_stop_signals


def _properties(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    """Split each at its first equals sign; values may hold more of them."""
    del context, parameter
    split = [one.partition("=") for one in given]
    for name, equals, _ in split:
        if not (name and equals):
            raise click.BadParameter(f"{name!r} is not NAME=VALUE")
    return {name: value for name, _, value in split}


@click.command()
@click.option(
    "--provider",
    type=click.Choice([AUTO, *PROVIDERS]),
    default=AUTO,
    show_default=True,
    help="Where the broker comes from; auto takes the first of the others that can be used.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port on the loopback interface; else a free one."
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the data here; without it they are thrown away at the end.",
)
@click.option(
    "--property",
    "properties",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_properties,
    help="Setting of Apache Kafka on top of ours; may be repeated.",
)
def command(
    provider: str, port: int | None, data_dir: Path | None, properties: dict[str, str]
) -> None:
    """Run a Kafka broker in the foreground until stopped.

    The first line on stdout is its address, host:port, as soon as it answers; everything for
    people goes to stderr. SIGTERM and Ctrl-C stop it and exit with 0.

    \b
    Examples:
      headrace broker --port 9092
      headrace broker --provider embedded
      headrace broker --property log.retention.minutes=10
    """  # noqa: D301 - click reads \b itself
    silence_client_logs()
    asyncio.run(_until_stopped(partial(_serve, provider, port, data_dir, properties)))


async def _until_stopped(serve: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Serve until a signal comes, also where it comes while the broker is starting."""
    serving = asyncio.create_task(serve())
    on_stop_signals(lambda: _cancel(serving))
    await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


async def _serve(
    provider: str, port: int | None, data_dir: Path | None, properties: dict[str, str]
) -> None:
    # The variable for a given address is not asked: whoever runs this wants a broker of his own.
    if provider == AUTO:
        provider = await asyncio.to_thread(choose)
    async with open_broker(provider, port=port, data_dir=data_dir, properties=properties) as broker:
        click.echo(broker.bootstrap_servers)
        sys.stdout.flush()
        say(f"{broker.provider} broker, version {broker.version}; Ctrl-C stops it")
        await broker.ended()
        raise BrokerError(f"the broker ended by itself; its last lines:\n{broker.logs()}")
