"""Progress of long work: bars with a time to go on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

EVERY_S = 60.0
"""Without a terminal, a long stage says where it stands this often."""


class Bars:
    """A report (``inference.training.progress.Report``) for a terminal.

    Args:
        console: The terminal.
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("to go"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=120,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()

    def __call__(self, line: str) -> None:
        """Write a line above the bars."""
        self._progress.console.print(escape(line), soft_wrap=True)

    def begin(self, stage: str, steps: int, done: int = 0) -> None:
        """Begin a bar."""
        self._task = self._progress.add_task(escape(stage), total=steps, completed=done)

    def step(self) -> None:
        """Move the bar on."""
        if self._task is not None:
            self._progress.advance(self._task)

    def end(self) -> None:
        """Leave the bar as it stands."""
        if self._task is not None:
            self._progress.stop_task(self._task)
        self._task = None


class PlainLines:
    """A report for a file or a pipe.

    Args:
        write: Takes each line.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self,
        write: Callable[[str], object] = click.echo,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._monotonic = monotonic
        self._stage, self._steps, self._first, self._done = "", 0, 0, 0
        self._began = self._said = 0.0

    def __enter__(self) -> Self:
        """Nothing to prepare."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to tidy up."""

    def __call__(self, line: str) -> None:
        """Write a line."""
        self._write(line)

    def begin(self, stage: str, steps: int, done: int = 0) -> None:
        """Begin to count, and say so where a stage is taken up again."""
        self._stage, self._steps, self._first, self._done = stage, steps, done, done
        self._began = self._said = self._monotonic()
        if done:
            self._write(f"{stage}: taken up again after step {done:,} of {steps:,}")

    def step(self) -> None:
        """Count, and now and then say how long it will take."""
        self._done += 1
        now = self._monotonic()
        if now - self._said < EVERY_S:
            return
        self._said = now
        pace = (now - self._began) / (self._done - self._first)
        left = pace * (self._steps - self._done) / 60
        to_go = f"about {left:.0f} min" if left >= 1 else "less than a minute"
        self._write(f"{self._stage}: step {self._done:,} of {self._steps:,}, {to_go} to go")

    def end(self) -> None:
        """Say nothing; the stage's own lines do."""


def reporter() -> Bars | PlainLines:
    """Return what suits standard output."""
    console = Console(highlight=False)
    return Bars(console) if console.is_terminal else PlainLines()
