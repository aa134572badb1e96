"""``headrace topics``."""

import asyncio

import click
import orjson
from rich.console import Console
from rich.table import Table

from schemas.events import Modality
from streams.clients import silence_client_logs
from streams.commands.options import settings_options
from streams.connection import Connection
from streams.routes import routes_of
from streams.settings import Settings
from streams.topics import (
    DEFAULT_PARTITIONS,
    MAX_MESSAGE_BYTES,
    TopicState,
    describe_topics,
    ensure_topics,
    kind_of,
    partition_counts,
    topics_of,
)

_MODALITIES = click.Choice([modality.value for modality in Modality])


@click.group()
def command() -> None:
    """Create and list the topics that headrace reads and writes.

    \b
    Example:
      headrace topics create --partitions 16 --modality news
      headrace topics list
    """  # noqa: D301 - click reads \b itself
    silence_client_logs()


@command.command()
@settings_options
@click.option(
    "--partitions",
    type=click.IntRange(1, 10_000),
    default=DEFAULT_PARTITIONS,
    show_default=True,
    help="Of each topic that is created; workers of a group share them out.",
)
@click.option(
    "--modality", "modalities", multiple=True, type=_MODALITIES, help="Repeatable; default: all."
)
def create(settings: Settings, partitions: int, modalities: tuple[str, ...]) -> None:
    """Create the input, result and dead-letter topics that are missing.

    Topics that exist stay as they are, with the partitions that they have.

    \b
    Example:
      headrace topics create --partitions 16 --modality news --modality camera
      headrace topics create --config headrace.toml
    """  # noqa: D301 - click reads \b itself
    names = _names(modalities, settings)
    connection = settings.connection("headrace")
    created = asyncio.run(
        ensure_topics(connection, names, partitions=partitions, max_message_bytes=MAX_MESSAGE_BYTES)
    )
    for name in names:
        note = f"created with {partitions} partitions" if name in created else "exists already"
        click.echo(f"{name}: {note}")


@command.command(name="list")
@settings_options
@click.option("--modality", "modalities", multiple=True, type=_MODALITIES, help="Repeatable.")
@click.option("--all", "everything", is_flag=True, help="Topics that are not headrace's too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for scripts.")
def list_(
    *,
    settings: Settings,
    modalities: tuple[str, ...],
    everything: bool,
    as_json: bool,
) -> None:
    """Show the topics with their partitions and messages.

    Messages are counted as end minus beginning of every partition.

    \b
    Example:
      headrace topics list --json
    """  # noqa: D301 - click reads \b itself
    connection = settings.connection("headrace")
    states = asyncio.run(_describe(connection, _names(modalities, settings), everything=everything))
    if as_json:
        click.echo(orjson.dumps([_document(state) for state in states]))
    elif states:
        Console().print(_table(states))
    else:
        click.echo("No topics yet; `headrace topics create` makes them.", err=True)


async def _describe(
    connection: Connection, names: list[str], *, everything: bool
) -> list[TopicState]:
    if everything:
        names = sorted(await partition_counts(connection))
    return await describe_topics(connection, names)


def _names(modalities: tuple[str, ...], settings: Settings) -> list[str]:
    chosen = [Modality(name) for name in modalities] or list(Modality)
    if settings.topics:
        routes = [one for one in routes_of(settings) if one.modality in chosen]
        return list(dict.fromkeys(name for route in routes for name in route.topics))
    return [name for modality in chosen for name in topics_of(modality)]


def _document(state: TopicState) -> dict[str, object]:
    return {
        "topic": state.name,
        "kind": kind_of(state.name).value,
        "partitions": state.partitions,
        "messages": state.messages,
    }


def _table(states: list[TopicState]) -> Table:
    table = Table("topic", "kind", box=None, pad_edge=False, header_style="bold")
    table.add_column("partitions", justify="right")
    table.add_column("messages", justify="right")
    for state in states:
        table.add_row(
            state.name, kind_of(state.name).value, str(state.partitions), f"{state.messages:,}"
        )
    return table
