"""``headrace replay``."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
from rich.console import Console
from rich.markup import escape

from inference.clock import SystemClock
from schemas.errors import ConfigurationError, ContractError
from schemas.events import Modality
from streams.clients import open_producer, silence_client_logs
from streams.commands.options import settings_options
from streams.connection import Connection
from streams.replay.mapping import Mapper, parse_map
from streams.replay.pacing import Pacer, make_pace
from streams.replay.run import Problems, Progress, Replay
from streams.replay.sending import Sender
from streams.replay.source import LineSource
from streams.replay.watching import watch
from streams.settings import Settings
from streams.signals import on_stop_signals
from streams.topics import MAX_MESSAGE_BYTES, TopicKind, ensure_topics, kind_of, modality_of

EXIT_NOTHING_SENT = 1
_MODALITIES = click.Choice([modality.value for modality in Modality])


@click.command()
@click.argument("file", metavar="FILE|-")
@click.option("--to", "topic", required=True, metavar="TOPIC", help="Such as events.news.")
@settings_options
@click.option(
    "--speed", default="1", show_default=True, metavar="X|max", help="Factor on the log's time."
)
@click.option("--rate", type=float, metavar="N", help="Events per second, whatever the log says.")
@click.option("--map", "mapping", metavar="THEIRS=OURS,…", help="Field names; see below.")
@click.option("--modality", type=_MODALITIES, help="Needed where the topic's name does not say.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Most events to send.")
@click.option("--budget-ms", type=click.FloatRange(1, 3_600_000), help="Budget of every event.")
@click.option("--strict", is_flag=True, help="Stop at the first line that is not a good event.")
def command(
    *,
    file: str,
    topic: str,
    settings: Settings,
    speed: str,
    rate: float | None,
    mapping: str | None,
    modality: str | None,
    limit: int | None,
    budget_ms: float | None,
    strict: bool,
) -> None:
    """Send a log of events (JSON lines, .gz and .zst too, - for stdin) to a topic.

    The gaps between the events are kept and divided by --speed; --rate replaces them. Records get
    the moment of sending as their Kafka timestamp, so budgets run from there; the original time
    travels as published_at, captured_at or ce_time.

    --map reads "their text is our headline": --map text=headline,ts_ms=time. On the right stand
    the fields of the event and "time"; on the left a dot descends into an object. Not mapped, a
    missing headline is taken from text or title, a missing id from event_id, uuid or guid (else
    it is the file's name and the line), the time from ts_ms, published_at, captured_at, time,
    timestamp or ts: ISO 8601, or a number since 1970 whose size tells its unit.

    An event that breaks its contract is sent as it is (the worker answers with a dead letter); a
    line that is no JSON object is skipped. Exit code 0: something was sent; 1: nothing, or
    --strict stopped; 2: it could not be tried.

    \b
    Examples:
      headrace replay news.jsonl --to events.news --speed 1000
      zcat old.jsonl.gz | headrace replay - --to events.news --rate 200 --map title=headline
    """  # noqa: D301 - click reads \b itself
    silence_client_logs()
    kind = _modality(topic, modality)
    mapper_fields = parse_map(mapping, kind)
    pace = make_pace(speed, rate)
    source = LineSource(file)
    connection = settings.connection("headrace")
    clock = SystemClock()
    console = Console(stderr=True, highlight=False)

    async def run() -> Progress:
        await _ensure(connection, topic, console)
        async with open_producer(connection, max_request_size=MAX_MESSAGE_BYTES) as producer:
            replay = Replay(
                mapper=Mapper(kind, fields=mapper_fields, name=source.stem, budget_ms=budget_ms),
                sender=Sender(producer, topic),
                pacer=Pacer(pace, clock),
                clock=clock,
                limit=limit,
                strict=strict,
            )
            on_stop_signals(replay.stop)
            return await watch(replay, source, console)

    try:
        progress = asyncio.run(_strictly(run))
    finally:
        source.close()
    _report(progress, console)
    sys.exit(0 if progress.sent else EXIT_NOTHING_SENT)


_T = TypeVar("_T")


async def _strictly(run: Callable[[], Awaitable[_T]]) -> _T:
    """Let ``--strict`` end with exit code 1, in one line like every error."""
    try:
        return await run()
    except ContractError as error:
        click.secho(f"headrace: {error}; stopped because of --strict", err=True, fg="red")
        sys.exit(EXIT_NOTHING_SENT)


def _modality(topic: str, named: str | None) -> Modality:
    if named:
        return Modality(named)
    found = modality_of(topic)
    if found is None or kind_of(topic) is not TopicKind.EVENTS:
        raise ConfigurationError(
            f"--to: {topic!r} does not say what its events are; add --modality "
            + ", ".join(Modality)
        )
    return found


async def _ensure(connection: Connection, topic: str, console: Console) -> None:
    for name in await ensure_topics(connection, [topic], max_message_bytes=MAX_MESSAGE_BYTES):
        console.print(f"created the topic {escape(name)}")


def _report(progress: Progress, console: Console) -> None:
    _problems(progress.broken, "sent, but break their contract", console)
    _problems(progress.skipped, "skipped", console)
    behind = progress.worst_behind_s
    click.echo(
        f"sent {progress.sent:,}, skipped {progress.skipped.count:,}, "
        f"{progress.events_per_s:,.1f} events/s, wall {progress.wall_s:.2f} s"
        + (f", at worst {behind * 1e3:,.0f} ms behind schedule" if behind > 0.05 else "")  # noqa: PLR2004 - less is not felt
    )


def _problems(problems: Problems, what: str, console: Console) -> None:
    if not problems.count:
        return
    console.print(f"{problems.count:,} lines {what}:", style="yellow")
    for problem in problems.first:
        console.print(f"  line {problem.line}: {escape(problem.reason)}", soft_wrap=True)
    if more := problems.count - len(problems.first):
        console.print(f"  and {more:,} more")
