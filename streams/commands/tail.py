"""``headrace tail``."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.text import Text

from schemas.errors import BrokerError, ConfigurationError
from streams.clients import open_consumer, silence_client_logs
from streams.commands.options import settings_options
from streams.connection import Connection
from streams.security.access import explained
from streams.settings import Settings
from streams.signals import on_stop_signals
from streams.tail.lines import line_of
from streams.tail.reading import Condition, parse_condition, to_document, wanted
from streams.topics import TopicKind, kind_of, partition_counts

POLL_MS = 200


@click.command()
@click.argument("topic")
@settings_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for scripts.")
@click.option("--from-beginning", is_flag=True, help="What the topic holds already, too.")
@click.option("--where", "conditions", multiple=True, metavar="FIELD=VALUE", help="Repeatable.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Stop after so many.")
@click.option("--until-end", is_flag=True, help="Stop at what is the topic's end now.")
def command(
    *,
    topic: str,
    settings: Settings,
    as_json: bool,
    from_beginning: bool,
    conditions: tuple[str, ...],
    limit: int | None,
    until_end: bool,
) -> None:
    """Follow a topic: results, signals, alerts, dead letters, or events, as they come.

    --where compares a field of the record, a dot descends: label=negative, verdict!=on_time,
    latency.total_ms>100. All given conditions have to hold. Nothing is committed: following a
    topic takes nothing away from anyone.

    \b
    Examples:
      headrace tail results.news --where label=negative
      headrace tail results.news --from-beginning --until-end --json | jq .label
      headrace tail signals.news --where ticker=HBR --where 'strength>=0.5'
      headrace tail events.news.dlq --from-beginning
    """  # noqa: D301 - click reads \b itself
    silence_client_logs()
    printer = Printer(
        kind_of(topic),
        [parse_condition(text) for text in conditions],
        as_json=as_json,
        limit=limit,
    )
    try:
        asyncio.run(
            _until_stopped(
                settings.connection("headrace"),
                topic,
                printer,
                from_beginning=from_beginning,
                until_end=until_end,
            )
        )
    except KafkaError as error:
        why = explained(error, doing="Read") or repr(error)
        raise BrokerError(f"TOPIC: {topic!r} cannot be read on: {why}") from error
    except BrokenPipeError:  # the reader of our output has what it wanted, such as `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Printer:
    """Writes the records that are wanted."""

    def __init__(
        self,
        kind: TopicKind,
        conditions: Sequence[Condition],
        *,
        as_json: bool,
        limit: int | None,
    ) -> None:
        self._kind = kind
        self._conditions = conditions
        self._as_json = as_json
        self._left = limit
        self._console = Console(highlight=False, soft_wrap=True)

    @property
    def done(self) -> bool:
        """Whether as many were written as asked for."""
        return self._left == 0

    def print(self, record: Any) -> None:
        """Write one record, if it is wanted."""
        document = to_document(record, self._kind)
        if self.done or not wanted(document, self._conditions):
            return
        if self._as_json:
            sys.stdout.buffer.write(orjson.dumps(document) + b"\n")
        else:
            self._console.print(self._line(document, record))
        if self._left is not None:
            self._left -= 1

    def _line(self, document: dict[str, Any], record: Any) -> Text:
        line = Text(f"{_clock(record.timestamp)} ", style="dim")
        return line + line_of(document, self._kind)


def _clock(timestamp_ms: int) -> str:
    try:
        moment = datetime.fromtimestamp(timestamp_ms / 1e3, UTC)
    except (ValueError, OverflowError, OSError):  # the producer's own, in whatever unit
        return f"{timestamp_ms:>12}"
    return moment.strftime("%H:%M:%S.%f")[:-3]


async def _until_stopped(
    connection: Connection, topic: str, printer: Printer, *, from_beginning: bool, until_end: bool
) -> None:
    counts = await partition_counts(connection)
    if topic not in counts:
        raise ConfigurationError(
            f"TOPIC: {topic!r} does not exist on {connection.bootstrap_servers}, or is hidden by "
            "access rules; "
            "`headrace topics list --all` shows those that do"
        )
    async with open_consumer(connection) as consumer:
        partitions = [TopicPartition(topic, number) for number in range(counts[topic])]
        consumer.assign(partitions)
        if from_beginning:
            await consumer.seek_to_beginning(*partitions)
        else:
            await consumer.seek_to_end(*partitions)
        ends = await consumer.end_offsets(partitions) if until_end else None
        following = asyncio.create_task(_follow(consumer, printer, ends))
        on_stop_signals(lambda: _cancel(following))
        with contextlib.suppress(asyncio.CancelledError):
            await following


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


async def _follow(
    consumer: AIOKafkaConsumer, printer: Printer, ends: dict[TopicPartition, int] | None
) -> None:
    while not printer.done:
        if ends is not None and await _is_past(consumer, ends):
            return
        batches = await consumer.getmany(timeout_ms=POLL_MS)
        records = [record for batch in batches.values() for record in batch]
        for record in sorted(records, key=lambda one: one.timestamp):
            printer.print(record)
        sys.stdout.flush()


async def _is_past(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    for partition, end in ends.items():
        if await consumer.position(partition) < end:
            return False
    return True
