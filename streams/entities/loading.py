"""Makes a gazetteer of what the settings name, and exchanges it when the file changes."""

import asyncio
import hashlib
from pathlib import Path

import structlog

from streams import metrics
from streams.entities.gazetteer import Gazetteer
from streams.entities.linker import Linker
from streams.entities.reading import (
    MOST_TOLD,
    SHIPPED,
    Content,
    GazetteerError,
    read_content,
    usable_rows,
)
from streams.entities.rows import Row
from streams.entities.settings import Entities

log = structlog.get_logger(__name__)

VERSION_CHARS = 12

Signature = tuple[int, int, int]
"""Of a file: inode, size and time of its last change in nanoseconds; equal while it is."""
_NEVER = (-1, -1, -1)


def load_gazetteer(settings: Entities) -> Gazetteer:
    """Read the companies that the settings name.

    Raises:
        GazetteerError: A file cannot be read, or rows of it cannot be used.
    """
    return compiled(_contents(settings), skip_bad_rows=settings.skip_bad_rows)


def open_linker(settings: Entities) -> Linker | None:
    """Return what finds companies, if that is wanted.

    Raises:
        GazetteerError: As :func:`load_gazetteer`.
    """
    if not settings.enabled:
        return None
    linker = Linker(load_gazetteer(settings), settings)
    _note_loaded(linker.gazetteer)
    return linker


def compiled(contents: list[Content], *, skip_bad_rows: bool) -> Gazetteer:
    """Compile files, later ones over earlier ones.

    Raises:
        GazetteerError: Rows of them cannot be used, and are not to be left out, or nothing of a
            file can be, or rows contradict each other.
    """
    lists = [_rows(one, skip_bad_rows=skip_bad_rows) for one in contents]
    return Gazetteer(lists, version_of(contents))


def _rows(content: Content, *, skip_bad_rows: bool) -> list[Row]:
    rows, problems = usable_rows(content)
    if problems and not skip_bad_rows:
        raise GazetteerError(problems)
    if problems:
        log.warning(
            "gazetteer_rows_skipped",
            file=str(content.path),
            problems=len(problems),
            kept=len(rows),
            told=problems[:MOST_TOLD],
        )
    return rows


def version_of(contents: list[Content]) -> str:
    """Return twelve digits that differ where contents do."""
    digest = hashlib.sha256()
    for one in contents:
        digest.update(hashlib.sha256(one.data).digest())
    return digest.hexdigest()[:VERSION_CHARS]


def _contents(settings: Entities) -> list[Content]:
    own = [] if settings.file is None else [read_content(Path(settings.file))]
    shipped = [read_content(SHIPPED)] if settings.extend_default or not own else []
    return shipped + own


class Reloader:
    """Looks at the file of companies, and exchanges the linker's when it has changed.

    A file is read when it was the same twice in a row, so that one that is still being written is
    not. Reading and compiling happen in a thread; what cannot be used is refused, and what was
    there before stays.

    Args:
        linker: Whose companies are exchanged.
        settings: Name the file, and how often to look at it.
    """

    def __init__(self, linker: Linker, settings: Entities) -> None:
        self._linker = linker
        self._settings = settings
        self._path = None if settings.file is None else Path(settings.file)
        # Not what the file is like now: it may have changed since it was loaded.
        self._loaded: Signature | None = _NEVER
        self._last: Signature | None = _NEVER

    async def run(self) -> None:
        """Look until cancelled."""
        while self._path is not None:
            await asyncio.sleep(self._settings.reload_interval_ms / 1e3)
            await self.look()

    async def look(self) -> None:
        """Look once; load the file if it has changed and stands still."""
        assert self._path is not None  # noqa: S101 - run() looks at files only
        now = await asyncio.to_thread(_signature, self._path)
        stands_still, self._last = now == self._last, now
        if not stands_still or now == self._loaded:
            return
        self._loaded = now
        try:
            new = await asyncio.to_thread(self._read)
        except Exception as error:  # noqa: BLE001 - whatever a list holds, the worker goes on
            self._refuse(error)
            return
        metrics.GAZETTEER_STALE.set(0)
        if new is not None:
            old, self._linker.gazetteer = self._linker.gazetteer, new
            metrics.GAZETTEER_VERSION.labels(old.version).set(0)
            _note_loaded(new)
            for _ in old.let_go():
                await asyncio.sleep(0)

    def _read(self) -> Gazetteer | None:
        """Return the new companies; ``None`` where the content is what it was."""
        contents = _contents(self._settings)
        if version_of(contents) == self._linker.gazetteer.version:
            return None
        return compiled(contents, skip_bad_rows=self._settings.skip_bad_rows)

    def _refuse(self, error: Exception) -> None:
        metrics.GAZETTEER_LOADS.labels("refused").inc()
        metrics.GAZETTEER_STALE.set(1)
        log.error(
            "gazetteer_refused",
            file=str(self._path),
            error=str(error) or repr(error),
            kept=self._linker.gazetteer.version,
            remedy="correct the file; headrace entities check FILE tells more",
        )


def _signature(path: Path) -> Signature | None:
    """Return what changes with a file; ``None`` while there is none."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns


def _note_loaded(gazetteer: Gazetteer) -> None:
    metrics.GAZETTEER_LOADS.labels("loaded").inc()
    metrics.GAZETTEER_STALE.set(0)
    metrics.GAZETTEER_COMPANIES.set(len(gazetteer))
    metrics.GAZETTEER_LOADED.set(gazetteer.loaded_at)
    metrics.GAZETTEER_VERSION.labels(gazetteer.version).set(1)
    log.info(
        "gazetteer_loaded",
        companies=len(gazetteer),
        names=gazetteer.names,
        version=gazetteer.version,
    )
