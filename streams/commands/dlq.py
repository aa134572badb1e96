"""``headrace dlq``."""

import asyncio
import heapq
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click
import orjson

from schemas.errors import ConfigurationError
from streams.clients import silence_client_logs
from streams.commands.options import settings_options
from streams.connection import Connection
from streams.dead_letters.letters import Found, check_fields, wants
from streams.dead_letters.reading import find_letter_topic, read_letter, read_letters
from streams.dead_letters.redriving import Redriven
from streams.dead_letters.redriving import redrive as redrive_letters
from streams.dead_letters.showing import Groups, group_lines, in_full, letter_lines, printable
from streams.settings import Settings
from streams.tail.reading import Condition, parse_condition

EXIT_REFUSED = 1
LISTED = 50
"""Letters that people are shown without ``--limit``."""
REASONS = 20
NONE = "No such letters."
_POSITION = re.compile(r"(\d+)/(\d+)")

_where_option = click.option(
    "--where", "conditions", multiple=True, metavar="FIELD=VALUE", help="Repeatable; all must hold."
)


@click.group()
def command() -> None:
    """Look at dead letters, and send them in again.

    \b
    Examples:
      headrace dlq list events.news.dlq --by error
      headrace dlq show events.news.dlq 0/17
      headrace dlq redrive events.news.dlq --where error=poison --dry-run
    """  # noqa: D301 - click reads \b itself
    silence_client_logs()


@command.command(name="list")
@click.argument("topic")
@settings_options
@_where_option
@click.option(
    "--by",
    type=click.Choice(["error", "stack_digest", "field", "source_topic"]),
    help="Count by this instead.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help=f"The newest N; {LISTED} for people."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for scripts.")
def list_(
    *,
    topic: str,
    settings: Settings,
    conditions: tuple[str, ...],
    by: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Show the letters of a dead letter topic, the newest last.

    --where compares what a letter says: error, field, modality, event_id, attempts, stack_digest,
    failed_at, source_topic, source_partition, source_offset, redriven and more, with =, !=, <, >.

    \b
    Examples:
      headrace dlq list events.news.dlq --where error=invalid --where field=headline
      headrace dlq list events.news.dlq --by stack_digest
      headrace dlq list events.news.dlq --where redriven=false --json
    """  # noqa: D301 - click reads \b itself
    wheres = _conditions(conditions)
    connection = settings.connection("headrace")
    if by is not None:
        groups = asyncio.run(_grouped(connection, topic, wheres, by)).most_frequent(limit)
        if as_json:
            for group in groups:
                known = {by: group.value, "count": group.count}
                _print_json(known | {"newest": group.newest.document()})
        elif groups:
            _print_lines(group_lines(groups, by))
        else:
            click.echo(NONE, err=True)
        return
    most = limit or (None if as_json else LISTED)
    letters, count = asyncio.run(_wanted(connection, topic, wheres, most))
    if as_json:
        for one in letters:
            _print_json(one.document())
    elif letters:
        _print_lines(letter_lines(letters))
        if count > len(letters):
            click.echo(f"the newest {len(letters):,} of {count:,}; --limit N shows more", err=True)
    else:
        click.echo(NONE, err=True)


@command.command()
@click.argument("topic")
@click.argument("which", metavar="PARTITION/OFFSET|EVENT_ID")
@settings_options
@click.option(
    "--save", type=click.Path(path_type=Path), metavar="FILE", help="Write the original value."
)
def show(*, topic: str, which: str, settings: Settings, save: Path | None) -> None:
    """Show all of a letter: what was wrong, and the original's key, headers and value.

    An event that failed several times has several letters; all are shown, the newest last.
    --save writes the value of the newest, byte for byte.

    \b
    Examples:
      headrace dlq show events.news.dlq 0/17
      headrace dlq show events.camera.dlq gate-3/000019 --save image.png
    """  # noqa: D301 - click reads \b itself
    letters = asyncio.run(_those(settings.connection("headrace"), topic, which))
    if not letters:
        raise ConfigurationError(
            f"{which!r}: no letter of {topic} is at this place, or of an event with this id; "
            f"`headrace dlq list {topic}` shows those that there are"
        )
    for number, found in enumerate(letters):
        if number:
            click.echo()
        click.echo(in_full(found))
    if save is not None:
        try:
            save.write_bytes(letters[-1].record.value or b"")
        except OSError as error:
            raise ConfigurationError(f"--save: {save} cannot be written: {error}") from error


@command.command()
@click.argument("topic")
@settings_options
@_where_option
@click.option(
    "--to",
    metavar="TOPIC",
    help="Where to; unset for where each came from, and for webhooks.NAME of webhooks.NAME.dlq.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The first N.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def redrive(
    *,
    topic: str,
    settings: Settings,
    conditions: tuple[str, ...],
    to: str | None,
    limit: int | None,
    dry_run: bool,
) -> None:
    """Send the originals of dead letters in again, byte for byte.

    What was sent in before is passed over: TOPIC.redriven has a mark of each, written in one
    transaction with the event. An event that fails again has a new letter. Exit code 0: all are
    sent; 1: letters were refused because they do not have all of their original; 2: it failed.

    \b
    Examples:
      headrace dlq redrive events.news.dlq --where error=invalid --dry-run
      headrace dlq redrive events.news.dlq --where stack_digest=3f2a91c07d5e --limit 1
    """  # noqa: D301 - click reads \b itself
    wheres = _conditions(conditions)
    done = asyncio.run(
        _redrive(
            settings.connection("headrace"), topic, wheres, to=to, limit=limit, dry_run=dry_run
        )
    )
    _report(done, dry_run=dry_run)
    sys.exit(EXIT_REFUSED if done.refused else 0)


def _report(done: Redriven, *, dry_run: bool) -> None:
    for position, reason in done.refused[:REASONS]:
        click.echo(printable(f"refused {position}: {reason}"), err=True)
    if (more := len(done.refused) - REASONS) > 0:
        click.echo(f"refused {more:,} more", err=True)
    does = "would send" if dry_run else "sent"
    for name, count in sorted(done.sent.items()):
        click.echo(f"{does} {count:,} to {name}")
    if not done.sent:
        click.echo(f"{does} none")
    click.echo(f"passed over {done.before:,} that were sent before, refused {len(done.refused):,}")


def _conditions(texts: tuple[str, ...]) -> list[Condition]:
    conditions = [parse_condition(text) for text in texts]
    check_fields(conditions)
    return conditions


def _print_lines(lines: list[str]) -> None:
    click.secho(lines[0], bold=True)
    click.echo("\n".join(lines[1:]))


def _print_json(document: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(document) + b"\n")


async def _matching(
    connection: Connection, topic: str, conditions: list[Condition]
) -> AsyncIterator[Found]:
    """Yield letters without their values: those may be images, and a list needs none of them."""
    counts = await find_letter_topic(connection, topic)
    async for found in read_letters(connection, topic, counts):
        if wants(found, conditions):
            yield found.without_value()


async def _grouped(
    connection: Connection, topic: str, conditions: list[Condition], by: str
) -> Groups:
    groups = Groups(by)
    async for found in _matching(connection, topic, conditions):
        groups.add(found)
    return groups


async def _wanted(
    connection: Connection, topic: str, conditions: list[Condition], most: int | None
) -> tuple[list[Found], int]:
    """Return the newest letters, the last of all at the end, and how many there are."""
    count = 0
    kept: list[tuple[tuple[float, int, int], Found]] = []
    async for found in _matching(connection, topic, conditions):
        count += 1
        entry = (found.order, found)
        if most is None or len(kept) < most:
            heapq.heappush(kept, entry)
        else:
            heapq.heappushpop(kept, entry)
    return [found for _, found in sorted(kept, key=lambda one: one[0])], count


async def _those(connection: Connection, topic: str, which: str) -> list[Found]:
    counts = await find_letter_topic(connection, topic)
    if place := _POSITION.fullmatch(which):
        found = await read_letter(connection, topic, counts, int(place[1]), int(place[2]))
        if found is not None:
            return [found]
    letters = [
        found
        async for found in read_letters(connection, topic, counts)
        if found.letter is not None and found.letter.event_id == which
    ]
    return sorted(letters, key=lambda one: one.order)


async def _redrive(
    connection: Connection,
    topic: str,
    conditions: list[Condition],
    *,
    to: str | None,
    limit: int | None,
    dry_run: bool,
) -> Redriven:
    counts = await find_letter_topic(connection, topic)
    return await redrive_letters(
        connection, topic, counts, conditions, to=to, limit=limit, dry_run=dry_run
    )
