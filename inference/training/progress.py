"""What a training run tells while it goes on, whoever listens."""

from collections.abc import Callable
from typing import Protocol


class Report(Protocol):
    """Takes lines, and the steps of a stage for a bar with a time to go."""

    def __call__(self, line: str) -> None:
        """Take a line for the reader."""
        ...

    def begin(self, stage: str, steps: int, done: int = 0) -> None:
        """Begin a stage of ``steps`` steps, of which ``done`` were done by an earlier run."""
        ...

    def step(self) -> None:
        """Count one step of the stage."""
        ...

    def end(self) -> None:
        """End the stage."""
        ...


class Lines:
    """Writes lines alone; for where no terminal listens.

    Args:
        write: Takes each line.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def __call__(self, line: str) -> None:
        """Write a line."""
        self._write(line)

    def begin(self, stage: str, steps: int, done: int = 0) -> None:
        """Say where a stage is taken up again."""
        if done:
            self._write(f"{stage}: taken up again after step {done} of {steps}")

    def step(self) -> None:
        """Say nothing of a single step."""

    def end(self) -> None:
        """Say nothing."""
