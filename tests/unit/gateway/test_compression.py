"""What is compressed once can be read by all, whenever they came, as soon as it is there."""

import secrets
import zlib

import pytest

from streams.gateway.compression import (
    GZIP_HEADER,
    WORTH_BYTES,
    WORTH_BYTES_PER_S,
    SharedDeflate,
    deflated,
    stored,
)
from tests.fakes.clock import ManualClock


class Reading:
    """A client that reads a stream to where it came."""

    def __init__(self) -> None:
        self._gzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        assert self._gzip.decompress(GZIP_HEADER) == b""

    def read(self, data: bytes) -> bytes:
        """Read what came."""
        return self._gzip.decompress(data)


def event(number: int) -> bytes:
    """Return something that is like others of its kind, and new in part."""
    return b"event: result\ndata: %d %b\n\n" % (number, secrets.token_hex(20).encode()) * 20


@pytest.mark.parametrize("size", [0, 1, WORTH_BYTES, 65_535, 65_536, 200_000])
def test_what_goes_to_one_alone_is_read_after_anything(size: int) -> None:
    """Small or large, and as soon as it is there."""
    data, reading = secrets.token_bytes(size), Reading()
    for written in (stored(data), deflated(data), stored(data)):
        assert reading.read(written) == data


def test_who_joins_later_reads_from_there() -> None:
    """The others go on reading."""
    deflate = SharedDeflate(ManualClock().monotonic)
    first, later = Reading(), Reading()
    for number in range(20):
        data = event(number)
        if number == 10:
            deflate.renew()
        written = deflate.compress(data, 1_000)
        assert first.read(written) == data
        if number >= 10:
            assert later.read(written) == data


def test_what_is_alike_is_compressed_across_what_is_sent_at_once() -> None:
    """So that an event alone is small, too; and less so after beginning anew."""
    deflate = SharedDeflate(ManualClock().monotonic)
    sizes = [len(deflate.compress(event(1), 1_000)) for _ in range(3)]
    assert sizes[2] < sizes[0]
    deflate.renew()
    assert len(deflate.compress(event(1), 1_000)) > sizes[2]


def test_what_is_sent_to_few_is_stored() -> None:
    """Until it is more than so much a second for all who share it, and again when it is less."""
    clock = ManualClock()
    deflate, reading, data = SharedDeflate(clock.monotonic), Reading(), b"x" * 1_000
    sizes: list[int] = []
    for clients in (1, WORTH_BYTES_PER_S // 1_000, 1, 1, 1):
        written = deflate.compress(data, clients)
        assert reading.read(written) == data
        sizes.append(len(written))
        clock.advance(0.6)
    assert [size < 1_000 for size in sizes] == [False, True, True, True, False]


def test_a_long_silence_is_less() -> None:
    """What was long ago does not make it worth while now."""
    clock = ManualClock()
    deflate = SharedDeflate(clock.monotonic)
    assert len(deflate.compress(b"x" * 1_000, 1_000)) < 1_000
    clock.advance(10)
    assert len(deflate.compress(b"x" * 1_000, 1)) > 1_000
