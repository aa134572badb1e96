"""``headrace top``."""

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator

import click
import msgspec
import orjson
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.live import Live

from schemas.errors import BrokerError
from streams.clients import pass_over_client_futures, silence_client_logs
from streams.commands.options import settings_options
from streams.connection import Connection
from streams.routes import Route, routes_of
from streams.security.access import explained
from streams.settings import Settings
from streams.signals import on_stop_signals
from streams.top.run import Watch, once, raise_ended, watching
from streams.top.scrape import parse_urls
from streams.top.snapshot import Snapshot
from streams.top.view import View

QUIT = b"qQ"
"""Keys that end it."""
HINT = "q quits"


@click.command()
@settings_options
@click.option(
    "--group", metavar="NAME", help="Consumer group; else as the file says, else headrace."
)
@click.option(
    "--metrics",
    metavar="URL[,URL]",
    default="",
    help="Of workers or their supervisors, such as localhost:9464; shows what they say, too.",
)
@click.option("--once", "is_once", is_flag=True, help="Print what is seen in --seconds, and end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each look.")
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 60),
    default=5.0,
    show_default=True,
    help="How far back figures look; with --once, how long it watches first.",
)
@click.option(
    "--interval",
    type=click.FloatRange(0.2, 3600),
    default=1.0,
    show_default=True,
    help="Seconds from one look to the next.",
)
def command(
    *,
    settings: Settings,
    group: str | None,
    metrics: str,
    is_once: bool,
    as_json: bool,
    seconds: float,
    interval: float,
) -> None:
    """Watch a running group: rates, lag, share in time, latencies, verdicts, labels.

    It follows the result topics of the settings (--config) from their end, and asks the broker for
    members and offsets. Nothing is committed, nobody is disturbed. q ends it.

    \b
    Examples:
      headrace top --metrics localhost:9464
      headrace top --once --json | jq '.topics[] | {topic, lag, share_in_budget}'
    """  # noqa: D301 - click reads \b itself
    silence_client_logs()
    urls = parse_urls(metrics)
    name = group or settings.group
    try:
        asyncio.run(
            _watch(
                settings.connection("headrace-top"),
                name,
                routes_of(settings),
                urls,
                seconds=seconds,
                show=_Screen(interval, as_json=as_json, is_once=is_once),
            )
        )
    except KafkaError as error:
        why = explained(error, doing="Describe", on=name) or repr(error)
        raise BrokerError(f"group: {name!r} cannot be watched on: {why}") from error
    except BrokenPipeError:  # the reader of our output has what it wanted, such as `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Screen:
    """Shows snapshots: once, on a terminal, or one after the other in a pipe."""

    def __init__(self, interval_s: float, *, as_json: bool, is_once: bool) -> None:
        self._interval_s = interval_s
        self._as_json = as_json
        self._is_once = is_once
        self._console = Console(highlight=False)
        self._woken = asyncio.Event()
        self._ended = False

    async def show(self, watch: Watch, following: asyncio.Task[None], seconds: float) -> None:
        """Show until the end."""
        if self._is_once:
            self._print(await once(watch, following, seconds))
        elif self._as_json or not self._console.is_terminal:
            await self._each(watch, following, self._print)
        else:
            await self._live(watch, following)

    def end(self) -> None:
        """Show no more."""
        self._ended = True
        self._woken.set()

    async def _live(self, watch: Watch, following: asyncio.Task[None]) -> None:
        first = View(await watch.refresh(), HINT)
        with (
            _keys(self._pressed),
            Live(first, console=self._console, auto_refresh=False, screen=True) as live,
        ):
            _on_resize(self._woken.set)

            def draw(snapshot: Snapshot) -> None:
                live.update(View(snapshot, HINT), refresh=True)

            await self._each(watch, following, draw)

    async def _each(
        self, watch: Watch, following: asyncio.Task[None], show: Callable[[Snapshot], None]
    ) -> None:
        while not self._ended:
            raise_ended(following)
            show(await watch.refresh())
            self._woken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await self._woken.wait()

    def _print(self, snapshot: Snapshot) -> None:
        if self._as_json:
            line = orjson.dumps(msgspec.to_builtins(snapshot))
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.flush()
        else:
            self._console.print(View(snapshot), height=_lines_of(snapshot, self._console))

    def _pressed(self, keys: bytes) -> None:
        if any(key in QUIT for key in keys):
            self.end()


def _lines_of(snapshot: Snapshot, console: Console) -> int:
    """Return how high a view has to be to leave nothing out: a pipe has no height."""
    if console.is_terminal:
        return console.height
    rows = (snapshot.topics, snapshot.topics, snapshot.workers, snapshot.instances)
    return 12 + sum(map(len, rows)) + len(snapshot.partitions) + 2 * len(snapshot.notes)


async def _watch(
    connection: Connection,
    group: str,
    routes: list[Route],
    urls: list[str],
    *,
    seconds: float,
    show: _Screen,
) -> None:
    pass_over_client_futures()
    async with watching(connection, group, routes, urls, window_s=seconds) as (watch, following):
        on_stop_signals(show.end)
        await show.show(watch, following, seconds)


def _on_resize(wake: Callable[[], None]) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, wake)


@contextlib.contextmanager
def _keys(pressed: Callable[[bytes], None]) -> Iterator[None]:
    """Hand keys over as they are pressed, if they come from a terminal."""
    if not sys.stdin.isatty():
        yield
        return
    loop, keyboard = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard, termios.TCSADRAIN)  # what was pressed before counts, too
    loop.add_reader(keyboard, lambda: pressed(os.read(keyboard, 64)))
    try:
        yield
    finally:
        loop.remove_reader(keyboard)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
