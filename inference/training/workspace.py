"""The directory that a checkpoint is made in, and what a stopped run leaves there."""

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from inference.training.progress import Report
from inference.training.resume import State
from schemas.errors import ConfigurationError

STATE_DIRECTORY = ".training"
RUN_FILE = "run.json"
DRAFT = ".new-"
"""How directories begin in which a checkpoint is written and measured before it is moved."""
CHECKPOINT_FILE = "config.json"


class Workspace:
    """Where a run works.

    Args:
        out: The checkpoint's directory; made where it is missing.
        run: What the run's weights depend on: settings, and a digest of the data.

    Attributes:
        resumed: Whether a stopped run was taken up.

    Raises:
        ConfigurationError: It cannot be written, or holds what must not be overwritten.
    """

    def __init__(self, out: Path, run: dict[str, Any]) -> None:
        self.out = out
        self.resumed = False
        self._run = run
        self.state_directory = out / STATE_DIRECTORY
        check_writable(out)

    def begin(self, report: Report, *, resume: bool | None) -> None:
        """Take up what a stopped run left, or clear it away.

        Args:
            report: Is told which.
            resume: ``None`` takes it up where it was of the same run, ``True`` insists on that,
                ``False`` never does.

        Raises:
            ConfigurationError: ``resume`` insists, and there is nothing or another run's.
        """
        left = self._left()
        differing = sorted(
            name for name in {*self._run, *left} if self._run.get(name) != left.get(name)
        )
        if left and not differing and resume is not False:
            report(f"taking up the run that was stopped in {self.out}")
            self.resumed = True
            return
        if resume:
            what = f"was of other {', '.join(differing)}" if left else "is not there"
            raise ConfigurationError(
                f"{self.out}: the run to resume {what}; leave --resume out to begin anew"
            )
        if left and resume is None:
            report(
                f"{self.out} holds a stopped run of other {', '.join(differing)}: beginning anew"
            )
        if (self.out / CHECKPOINT_FILE).exists():
            report(f"{self.out} holds a checkpoint, which will be replaced at the end")
        self.finish()
        self.state_directory.mkdir(parents=True)
        (self.state_directory / RUN_FILE).write_bytes(orjson.dumps(self._run))

    def state(self, stage: str) -> State:
        """Return where a stage's loop stands."""
        return State(self.state_directory / f"{stage}.safetensors")

    def finish(self) -> None:
        """Clear away what only a stopped run would need, and what one left half written."""
        for left in (self.state_directory, *self.out.glob(f"{DRAFT}*")):
            shutil.rmtree(left, ignore_errors=True)

    def _left(self) -> dict[str, Any]:
        """Return what run left its state; empty for none."""
        try:
            left = orjson.loads((self.state_directory / RUN_FILE).read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return {}
        return left if isinstance(left, dict) else {}


def check_writable(out: Path) -> None:
    """Make a checkpoint's directory, and see to it that a checkpoint may be written there.

    Raises:
        ConfigurationError: It cannot, or other files are there.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        present = {path.name for path in out.iterdir()}
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(f"{out}: cannot be written: {error.strerror}") from error
    if present and not present & {CHECKPOINT_FILE, STATE_DIRECTORY}:
        some = ", ".join(sorted(present)[:3]) + (", …" if len(present) > 3 else "")  # noqa: PLR2004 - a few
        raise ConfigurationError(
            f"{out}: holds other files ({some}) and no checkpoint; name an empty or a new directory"
        )


def digest_of(parts: Iterable[Iterable[str]]) -> str:
    """Return a digest of strings, of their order and of where one ends."""
    total = hashlib.sha256()
    for part in parts:
        for each in part:
            content = each.encode("utf-8", "surrogatepass")
            total.update(f"{len(content)}\0".encode())
            total.update(content)
        total.update(b"\1")
    return total.hexdigest()


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
