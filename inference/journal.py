"""Names of what the engine is working on, in a file that is still there when the process is not.

The file is mapped into memory: to note a batch is to copy its names, which takes microseconds and
asks the disk nothing. What was written outlives the death of the process, whatever it died of. It
does not outlive a loss of power, after which nothing is known to have crashed anyhow.
"""

import contextlib
import fcntl
import mmap
import os
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

PLACES = 4
"""What may be worked on at once: a batch on the device, one before it, what is being encoded, and
what is tried in a child."""
_LENGTH = struct.Struct("<I")


class Journal:
    """The file of one living process.

    The process holds a lock on it for as long as it lives, which the kernel takes back whatever the
    process dies of; whoever gets the lock knows that the names are those of a dead one.

    Args:
        path: Of a file that is not there yet.
        place_bytes: Room for the names that are worked on at once, each with a byte between.

    Raises:
        OSError: The file cannot be made, or there is no room for it.
    """

    def __init__(self, path: Path, *, place_bytes: int) -> None:
        self._path = path
        self._stride = _LENGTH.size + place_bytes
        size = PLACES * self._stride
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # All of it now: a mapped file that finds the disk full later ends the process.
            os.posix_fallocate(self._file, 0, size)
            self._map = mmap.mmap(self._file, size)
        except OSError:
            path.unlink(missing_ok=True)
            os.close(self._file)
            raise
        self._free = list(range(PLACES))
        self._starts = [place * self._stride for place in self._free]
        self._since = [0.0] * PLACES

    def enter(self, names: Sequence[bytes]) -> int:
        """Note what is about to be worked on; return the place, for :meth:`leave`.

        Names for which there is no room are left out.
        """
        place = self._free.pop()
        self._since[place] = time.monotonic()
        start = self._starts[place] + _LENGTH.size
        room = self._stride - _LENGTH.size
        written = b"\n".join(names)
        if len(written) > room:
            written = written[: written.rfind(b"\n", 0, room + 1)]
        self._map[start : start + len(written)] = written
        # Last: a name that was not written to its end is not counted.
        _LENGTH.pack_into(self._map, start - _LENGTH.size, len(written))
        return place

    def leave(self, place: int) -> None:
        """Note that what was entered is done."""
        _LENGTH.pack_into(self._map, self._starts[place], 0)
        self._free.append(place)

    def give_up(self, older_than_s: float = 0.0) -> list[bytes]:
        """Return, and erase, what has been worked on for so long: somebody else gets it now."""
        names: list[bytes] = []
        for place in set(range(PLACES)).difference(self._free):
            if time.monotonic() - self._since[place] >= older_than_s:
                start = self._starts[place]
                names += _names_at(self._map, start, self._stride)
                _LENGTH.pack_into(self._map, start, 0)
        return names

    @contextlib.contextmanager
    def holding(self, names: Sequence[bytes]) -> Iterator[None]:
        """Note what is worked on inside."""
        place = self.enter(names)
        try:
            yield
        finally:
            self.leave(place)

    def close(self) -> None:
        """Take the file away, unless something is being worked on still, as by a device that hangs.

        The lock stays until the process ends in that case.
        """
        if len(self._free) == PLACES:
            self._path.unlink(missing_ok=True)
            self._map.close()
            os.close(self._file)


@contextlib.contextmanager
def of_the_dead(path: Path) -> Iterator[list[bytes] | None]:
    """Yield the names that a dead process left, holding the file; ``None`` if its owner lives.

    Raises:
        OSError: The file cannot be read.
    """
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield _names(path.read_bytes())
    finally:
        os.close(file)


def _names(content: bytes) -> list[bytes]:
    stride = len(content) // PLACES
    found: list[bytes] = []
    for place in range(PLACES if stride > _LENGTH.size else 0):
        found += _names_at(content, place * stride, stride)
    return found


def _names_at(content: bytes | mmap.mmap, start: int, stride: int) -> list[bytes]:
    (length,) = _LENGTH.unpack_from(content, start)
    start += _LENGTH.size
    if not 0 < length <= stride - _LENGTH.size:
        return []
    return content[start : start + length].split(b"\n")
