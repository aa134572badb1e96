"""A progress bar while a replay runs, or plain lines where nobody looks at a terminal."""

import asyncio

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from streams.replay.run import Progress, Replay
from streams.replay.source import LineSource

REFRESH_S = 0.2
PLAIN_S = 5.0
"""Between two lines of progress where there is no terminal."""


async def watch(replay: Replay, source: LineSource, console: Console) -> Progress:
    """Run a replay and show how far it is."""
    shown = asyncio.create_task(
        _bar(replay, source, console) if console.is_terminal else _lines(replay, source, console)
    )
    try:
        return await replay.run(source.lines())
    finally:
        shown.cancel()
        await asyncio.gather(shown, return_exceptions=True)


async def _bar(replay: Replay, source: LineSource, console: Console) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[sent]:>9,} sent  {task.fields[rate]:>9,.0f}/s"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task(source.name, total=None, sent=0, rate=0.0)
        while True:
            share, progress = source.share_read, replay.progress
            bar.update(
                task,
                total=None if share is None else 1.0,
                completed=share or 0.0,
                sent=progress.sent,
                rate=progress.events_per_s,
            )
            bar.refresh()
            await asyncio.sleep(REFRESH_S)


async def _lines(replay: Replay, source: LineSource, console: Console) -> None:
    while True:
        await asyncio.sleep(PLAIN_S)
        progress, share = replay.progress, source.share_read
        read = "" if share is None else f", {share:.0%} read"
        console.print(f"{progress.sent:,} sent, {progress.events_per_s:,.0f}/s{read}")
