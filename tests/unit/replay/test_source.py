"""Reading logs line by line."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from schemas.errors import ConfigurationError
from streams.replay.source import MAX_LINE_BYTES, LineSource


async def read(path: Path) -> list[tuple[int, bytes | None]]:
    """Read a whole log."""
    source = LineSource(str(path))
    try:
        return [line async for line in source.lines()]
    finally:
        source.close()


def _plain(content: bytes) -> bytes:
    return content


@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        (".jsonl", _plain),
        (".jsonl.gz", gzip.compress),
        (".jsonl.zst", zstandard.ZstdCompressor().compress),
    ],
)
async def test_logs_are_read_as_their_ending_says(
    tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    """Plain, gzip and zstandard give the same numbered lines; blank ones are passed over."""
    path = tmp_path / f"log{ending}"
    path.write_bytes(pack(b"a\n\n  \r\nb\r\nc"))
    assert await read(path) == [(1, b"a"), (4, b"b"), (5, b"c")]


async def test_lines_survive_chunks(tmp_path: Path) -> None:
    """A line that lies across reads comes out whole."""
    path = tmp_path / "log.jsonl"
    lines = [b"x" * length for length in (70_000, 3, 200_000)]
    path.write_bytes(b"\n".join(lines))
    assert [line for _, line in await read(path)] == lines


async def test_a_line_without_end_is_given_up_and_the_next_one_read(tmp_path: Path) -> None:
    """A broken log does not fill the memory."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"a" * (MAX_LINE_BYTES + 1) + b"\nb\n")
    assert await read(path) == [(1, None), (2, b"b")]


@pytest.mark.parametrize(
    ("name", "content"), [("cut.gz", gzip.compress(b"a\n" * 999)[:-20]), ("no.zst", b"not zstd")]
)
async def test_a_damaged_archive_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    """The error names the file, and what to look at."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=name):
        await read(path)


@pytest.mark.parametrize("content", [None, b""])
def test_a_missing_or_empty_log_is_refused_at_once(tmp_path: Path, content: bytes | None) -> None:
    """Before a broker is asked for anything."""
    path = tmp_path / "log.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"log\.jsonl"):
        LineSource(str(path))
