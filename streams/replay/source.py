"""Lines of an event log: a file, plain or compressed, or standard input."""

import asyncio
import gzip
import io
import sys
import threading
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import zstandard

from schemas.errors import ConfigurationError

CHUNK_BYTES = 64 * 1024
ZSTD_CHUNK_BYTES = 16 * 1024
"""Read at once of a compressed file; it may unpack to a thousand times as much."""
MAX_LINE_BYTES = 16 * 1024 * 1024
"""A longer line is no event; without a bound a file without line ends would fill the memory."""
STDIN = "-"

Line = tuple[int, bytes | None]
"""Line number from 1, and its bytes without the line end; ``None`` when it is too long."""


class LineSource:
    """A log that is read once, in chunks, without holding up the event loop.

    Args:
        path: A file, ``.gz`` and ``.zst`` included, or ``-`` for standard input.

    Raises:
        ConfigurationError: The file is missing, empty or cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.name = "stdin" if path == STDIN else Path(path).name
        self._path = path
        self._size = 0
        self._raw = self._open_raw()
        self._stream = self._decompressed()

    @property
    def stem(self) -> str:
        """The name up to the first dot; ids of events that have none begin with it."""
        return self.name.split(".", 1)[0] or self.name

    @property
    def share_read(self) -> float | None:
        """Share of the file that has been read, 0 to 1; ``None`` when its size is unknown."""
        return min(1.0, self._raw.tell() / self._size) if self._size else None

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self._path != STDIN:
            self._stream.close()
            self._raw.close()

    async def lines(self) -> AsyncIterator[Line]:
        """Yield the lines that are not blank.

        Raises:
            ConfigurationError: The file cannot be read on, or is not what its name says.
        """
        splitter = _Splitter()
        while chunk := await self._chunk():
            for line in splitter.feed(chunk):
                yield line
        for line in splitter.end():
            yield line

    def _open_raw(self) -> io.FileIO:
        if self._path == STDIN:
            # Past sys.stdin's buffer: a thread that waits in it would hold up the end of Python.
            return io.FileIO(sys.stdin.fileno(), closefd=False)
        try:
            raw = io.FileIO(self._path)
        except OSError as error:
            raise ConfigurationError(
                f"FILE {self._path}: cannot be read: {error.strerror}; give a JSONL file "
                "(.gz and .zst too), or - for standard input"
            ) from error
        if raw.seekable():  # a named pipe is not
            self._size = raw.seek(0, io.SEEK_END)
            raw.seek(0)
            if not self._size:
                raw.close()
                raise ConfigurationError(f"FILE {self._path}: is empty; give a log with events")
        return raw

    def _decompressed(self) -> Any:
        if self.name.endswith(".gz"):
            return gzip.GzipFile(fileobj=self._raw)
        if self.name.endswith((".zst", ".zstd")):
            return _ZstdReader(self._raw)
        return self._raw

    async def _chunk(self) -> bytes:
        """Read in a thread that may be left behind: a read of a silent pipe cannot be ended."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bytes] = loop.create_future()

        def read() -> None:
            chunk, error = b"", None
            try:
                chunk = self._read()
            except ConfigurationError as caught:
                error = caught
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, done, chunk, error)

        threading.Thread(target=read, name="replay-source", daemon=True).start()
        return await done

    def _read(self) -> bytes:
        """Return what is there, at most a chunk: a live pipe's lines must not wait for more."""
        try:
            stream = self._stream
            chunk: bytes = (stream.read if stream is self._raw else stream.read1)(CHUNK_BYTES)
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            raise ConfigurationError(
                f"FILE {self._path}: cannot be read on: {error}; check that it is whole, and is "
                "what its ending says"
            ) from error
        return chunk


def _settle(done: asyncio.Future[bytes], chunk: bytes, error: ConfigurationError | None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(chunk)
    else:
        done.set_exception(error)


class _ZstdReader:
    """Reads zstandard frames; unlike the library's reader it notices that the last is cut off."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame: Any = None
        self._rest = b""

    def read1(self, size: int) -> bytes:
        del size
        while True:
            compressed = self._rest or self._raw.read(ZSTD_CHUNK_BYTES)
            self._rest = b""
            if not compressed:
                if self._frame is not None:
                    raise EOFError("the file ends within a zstandard frame")
                return b""
            self._frame = self._frame or self._decompressor.decompressobj()
            chunk: bytes = self._frame.decompress(compressed)
            if self._frame.eof:
                self._rest = self._frame.unused_data
                self._frame = None
            if chunk:
                return chunk

    def close(self) -> None:
        self._frame = None


class _Splitter:
    """Cuts chunks into numbered lines."""

    def __init__(self) -> None:
        self._number = 0
        self._rest = bytearray()
        self._too_long = False

    def feed(self, chunk: bytes) -> list[Line]:
        *ended, rest = chunk.split(b"\n")
        lines: list[Line] = []
        for piece in ended:
            lines += self._line(piece)
        self._keep(rest)
        return lines

    def end(self) -> list[Line]:
        return self._line(b"") if self._rest or self._too_long else []

    def _keep(self, piece: bytes) -> None:
        if len(self._rest) + len(piece) > MAX_LINE_BYTES:
            self._too_long = True
            self._rest.clear()
        elif not self._too_long:
            self._rest += piece

    def _line(self, piece: bytes) -> list[Line]:
        self._number += 1
        self._keep(piece)
        too_long, line = self._too_long, bytes(self._rest).strip()
        self._too_long = False
        self._rest.clear()
        if too_long:
            return [(self._number, None)]
        return [(self._number, line)] if line else []
