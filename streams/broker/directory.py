"""Where a broker keeps its data: a directory that is given, or one that is swept away."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "headrace-broker-"
LOCK = ".lock"


@contextmanager
def data_directory(given: Path | None) -> Iterator[Path]:
    """Yield a directory for one broker.

    A given one is made where it is missing, and stays. Otherwise a temporary one is made, and
    removed afterwards; those of parents that were killed go when the next broker starts.
    """
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    _sweep(Path(tempfile.gettempdir()))
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = _locked(directory)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def _locked(directory: Path) -> int:
    """Lock the directory for as long as this process lives."""
    early = directory / f"{LOCK}.early"
    descriptor = os.open(early, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    early.rename(directory / LOCK)  # a sweep never sees it unlocked
    return descriptor


def _sweep(parent: Path) -> None:
    """Remove the directories that nobody holds the lock of any more."""
    for directory in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
            finally:
                os.close(descriptor)
