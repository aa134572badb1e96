"""Which events the engines of a worker work on, kept where a worker that comes after it looks."""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from inference.journal import Journal
from inference.suspects import TRIAL, Suspects
from inference.work import Work
from schemas.results import Source
from streams.settings import Settings

NAME_BYTES = 288
"""Most that :func:`name_of` can need, and a byte between: a topic has 249 characters."""


def name_of(source: Source) -> bytes:
    """Name an event by where its record lies."""
    return f"{source.topic}/{source.partition}/{source.offset}".encode()


class EventJournal:
    """Notes events under the names of their records.

    Args:
        journal: Of this process.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def enter(self, works: Sequence[Work]) -> int:
        """Note a batch; see :class:`inference.shared_device.WorkJournal`."""
        return self._journal.enter([name_of(work.handle.inbound.source) for work in works])

    def leave(self, place: int) -> None:
        """Note that a batch has ended."""
        self._journal.leave(place)

    @contextmanager
    def encoding(self, sources: Sequence[Source]) -> Iterator[None]:
        """Note what is being encoded."""
        with self._journal.holding([name_of(source) for source in sources]):
            yield

    @contextmanager
    def trying(self, name: bytes) -> Iterator[None]:
        """Note what is tried in a child, in case that is this worker's end as well."""
        with self._journal.holding([TRIAL + name]):
            yield

    def give_up(self, older_than_s: float) -> list[bytes]:
        """Return, and erase, the events that have been worked on for so long; no trials."""
        names = self._journal.give_up(older_than_s)
        return [name for name in names if not name.startswith(TRIAL)]

    def close(self) -> None:
        """Take the journal away, unless a batch has not ended."""
        self._journal.close()


def open_folder(settings: Settings) -> tuple[Suspects, EventJournal]:
    """Return what is known of suspects, and this process's journal, as the settings say.

    Raises:
        OSError: The folder cannot be used.
    """
    if settings.state_dir is None:
        folder = Path(tempfile.gettempdir()) / f"headrace-{os.geteuid()}"
    else:
        folder = Path(settings.state_dir).expanduser() / "suspects"
    # What one group dies over, another may have a better model for.
    told = f"{settings.bootstrap_servers} {settings.group}"
    suspects = Suspects(folder, hashlib.sha256(told.encode()).hexdigest()[:16])
    most = max(settings.scheduler.max_batch_events, settings.max_poll_records)
    return suspects, EventJournal(suspects.open_journal(place_bytes=NAME_BYTES * most))
