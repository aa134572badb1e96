"""What was being worked on when a process died: known to every process of the machine.

A folder holds a journal for each living process, and a list of suspects for each purpose (*scope*).
Whoever looks turns the journals of dead processes into suspects first, under the folder's lock, so
that all see the same. A suspect stays until somebody has answered it, or found that it was.
"""

import contextlib
import fcntl
import os
import stat
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from inference.journal import Journal, of_the_dead
from inference.log import Log

KEEP_S = 7 * 24 * 3600.0
"""A suspect that nobody has met for so long is forgotten."""
JOURNAL, SUSPECTS = ".journal", ".suspects"
TRIAL = b"trial of "
"""Before a name in a journal: the process was trying it alone, in a child."""

log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Suspect:
    """Something that processes died over, perhaps because of it.

    Attributes:
        deaths: How many processes died while they worked on it.
        trials: How many of them died while they had it tried alone.
        since: Wall-clock seconds of the last death.
    """

    deaths: int = 0
    trials: int = 0
    since: float = 0.0


class Suspects:
    """The journals and suspects of a folder.

    Args:
        folder: Made if missing, for this user alone.
        scope: Whose names these are; letters, digits and hyphens.
        wall: The clock, in seconds since the epoch.

    Raises:
        OSError: The folder cannot be made or written to, or belongs to somebody else.
    """

    def __init__(self, folder: Path, scope: str, *, wall: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._scope = scope
        self._wall = wall
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(f"{folder} is not a directory of this user's own")

    def open_journal(self, *, place_bytes: int) -> Journal:
        """Begin the journal of this process; see :class:`inference.journal.Journal`.

        Raises:
            OSError: There is no room for it.
        """
        with self._lock():
            # A name of its own: processes of other containers have the same numbers.
            path = self._folder / f"{self._scope}.{uuid.uuid4().hex}{JOURNAL}"
            return Journal(path, place_bytes=place_bytes)

    def look(self) -> dict[bytes, Suspect]:
        """Return who is suspect now, by name.

        Raises:
            OSError: The folder cannot be read or written to.
        """
        with self._lock():
            for path in self._folder.glob(f"*{JOURNAL}"):
                with contextlib.suppress(FileNotFoundError), of_the_dead(path) as names:
                    if names is not None:
                        self._accuse(path.name.partition(".")[0], names)
                        path.unlink()
            return self._read(self._scope)

    def accuse(self, names: Sequence[bytes]) -> None:
        """Suspect what this process gives up in the middle, as it would if it had died of it.

        Raises:
            OSError: It cannot be kept.
        """
        with self._lock():
            self._accuse(self._scope, names)

    def forget(self, name: bytes) -> None:
        """Suspect it no more.

        Raises:
            OSError: That cannot be kept.
        """
        with self._lock():
            known = self._read(self._scope)
            if known.pop(name, None) is not None:
                self._write(self._scope, known)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        file = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def _accuse(self, scope: str, names: Sequence[bytes]) -> None:
        if not names:
            return
        known = self._read(scope)
        for each in set(names):
            name = each.removeprefix(TRIAL)
            before = known.get(name, Suspect())
            known[name] = Suspect(
                before.deaths + 1, before.trials + int(name != each), since=self._wall()
            )
        self._write(scope, known)

    def _read(self, scope: str) -> dict[bytes, Suspect]:
        path = self._folder / f"{scope}{SUSPECTS}"
        try:
            listed = orjson.loads(path.read_bytes())
            known = {each.pop("name").encode(): Suspect(**each) for each in listed}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("suspects_unreadable", path=str(path), error=repr(error))
            return {}
        oldest = self._wall() - KEEP_S
        return {name: one for name, one in known.items() if one.since >= oldest}

    def _write(self, scope: str, known: Mapping[bytes, Suspect]) -> None:
        path = self._folder / f"{scope}{SUSPECTS}"
        if not known:
            path.unlink(missing_ok=True)
            return
        listed: list[dict[str, Any]] = [
            {
                "name": name.decode("utf-8", "replace"),
                "deaths": one.deaths,
                "trials": one.trials,
                "since": one.since,
            }
            for name, one in known.items()
        ]
        handle, draft = tempfile.mkstemp(dir=self._folder)
        with os.fdopen(handle, "wb") as file:
            file.write(orjson.dumps(listed))
        Path(draft).replace(path)
