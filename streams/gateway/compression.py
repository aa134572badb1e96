"""Compressing what many clients are sent once for all of them.

A deflated stream refers to what came before in it. Clients who are sent the same from some moment
on can share one compressor, as long as nothing else comes between: then, and when somebody joins,
it begins anew, and all can read what follows. Where that is not worth its processor time, bytes are
stored as they are within the same stream.
"""

import struct
import zlib
from collections.abc import Callable

GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""What a stream begins with: deflated, without a name or time. It never ends, so that the checksum
that gzip has at the end is never sent."""
WORTH_BYTES_PER_S = 100_000
"""To all who share them together; with less, there is little for the network to gain."""
WORTH_BYTES = 4_096
"""Sent at once to one client alone."""
PERIOD_S = 1.0
"""Over which the rate is taken."""

_MOST_STORED = 65_535
_STORED = struct.Struct("<BHH")


def deflated(data: bytes) -> bytes:
    """Compress what refers to nothing before it; store it if it is small."""
    if len(data) < WORTH_BYTES:
        return stored(data)
    compressor = _compressor()
    return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)


def stored(data: bytes) -> bytes:
    """Write bytes as they are into a deflated stream."""
    parts: list[bytes] = []
    for begin in range(0, len(data), _MOST_STORED):
        part = data[begin : begin + _MOST_STORED]
        parts += _STORED.pack(0, len(part), len(part) ^ 0xFFFF), part
    return b"".join(parts)


def _compressor() -> "zlib._Compress":
    return zlib.compressobj(wbits=-zlib.MAX_WBITS)


class SharedDeflate:
    """Compresses for those who are sent the same.

    Args:
        monotonic: The clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._compressor: zlib._Compress | None = None
        self._period_ends = 0.0
        self._bytes = 0
        self._is_worth_it = False

    def compress(self, data: bytes, clients: int) -> bytes:
        """Compress what so many clients are sent next, if what they are sent is worth it."""
        self._count(len(data) * clients)
        if not self._is_worth_it:
            self._compressor = None
            return stored(data)
        if self._compressor is None:
            self._compressor = _compressor()
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def renew(self) -> None:
        """Refer to nothing before what comes next: somebody has joined, or was sent more."""
        self._compressor = None

    def _count(self, size: int) -> None:
        now = self._monotonic()
        if now >= self._period_ends:
            has_passed_idle = now >= self._period_ends + PERIOD_S
            self._is_worth_it = not has_passed_idle and self._bytes >= WORTH_BYTES_PER_S * PERIOD_S
            self._period_ends, self._bytes = now + PERIOD_S, 0
        self._bytes += size
        if self._bytes >= WORTH_BYTES_PER_S * PERIOD_S:
            self._is_worth_it = True
