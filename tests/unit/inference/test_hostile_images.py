"""Files made to keep a decoder busy are refused at once; all others end in bounded time."""

import io
import struct
import time
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from PIL import Image

from inference.image_work import MOST_PARTS, check_parts, check_pixels
from inference.pixels import PixelFormat, thumbnail_of
from schemas.errors import ContractError, OversizedError

FORMAT = PixelFormat(64, 64, 1)
MAGIC = b"\x89PNG\r\n\x1a\n"
AT_ONCE_S = 0.25
"""Of the processor, however busy it is: refused without decoding, which takes milliseconds."""
BOUND_S = 15.0
"""Of the processor; the most that is decoded takes a second."""


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    """Write one part of a PNG."""
    check = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + check


def png(width: int, height: int, *, depth: int = 8, colour: int = 0, between: bytes = b"") -> bytes:
    """Write a black PNG, with something before its pixels."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    row = b"\0" + bytes(width * channels * depth // 8)
    pack = zlib.compressobj(9)
    pixels = b"".join(pack.compress(row) for _ in range(height)) + pack.flush()
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return MAGIC + chunk(b"IHDR", head) + between + chunk(b"IDAT", pixels) + chunk(b"IEND")


def jpeg(width: int, height: int, **options: object) -> bytes:
    """Write a black JPEG."""
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, "JPEG", **options)
    return file.getvalue()


def with_scans(file: bytes, count: int) -> bytes:
    """Repeat a progressive file's last scan."""
    last = file.rindex(b"\xff\xda")
    return file[:-2] + file[last:-2] * count + file[-2:]


def with_segments(file: bytes, segments: bytes) -> bytes:
    """Put segments between a file's size and its pixels."""
    begin = file.index(b"\xff\xc0")
    end = begin + 2 + int.from_bytes(file[begin + 2 : begin + 4], "big")
    return file[:end] + segments + file[end:]


def with_colours(width: int, height: int, count: int) -> bytes:
    """Write a baseline JPEG of three components, and repeat the scan of one of them."""
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "JPEG", subsampling=0)
    whole = file.getvalue()
    begin = whole.index(b"\xff\xda")
    one = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" + bytes(8)
    return whole[:begin] + one * count + b"\xff\xd9"


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a JPEG of 400 scans": lambda: with_scans(jpeg(8000, 5000, progressive=True), 400),
    "a JPEG of a million comments": lambda: with_segments(
        jpeg(64, 64), b"\xff\xfe\0\2" * 1_000_000
    ),
    "a JPEG of scans of one colour": lambda: with_colours(8000, 5000, 400),
    "a JPEG of megabytes of padding": lambda: with_segments(jpeg(64, 64), b"\xff" * 4_000_000),
    "a JPEG of resets": lambda: with_segments(jpeg(64, 64), b"\xff\xd0" * 1_000_000),
    "a JPEG of escapes": lambda: with_segments(jpeg(64, 64), b"\xff\0" * 1_000_000),
    "a PNG of half a million chunks": lambda: png(64, 64, between=chunk(b"tEXt", b"a\0") * 500_000),
    "a PNG of empty parts": lambda: png(64, 64, between=chunk(b"IDAT") * 100_000),
    "a PNG of 64 bits a pixel": lambda: png(6000, 5000, depth=16, colour=6),
    "a PNG of too many pixels": lambda: png(60_000, 1_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_take_long_is_refused_at_once(name: str) -> None:
    """Each is smaller than what a camera may send; decoded, some would take an hour."""
    file = HOSTILE[name]()
    assert len(file) < 8 * 1024 * 1024
    started = time.thread_time()
    for read in (FORMAT.decode, thumbnail_of):
        with pytest.raises(OversizedError, match="image") as error:
            read(file)
        assert error.value.field == "image"
    assert time.thread_time() - started < AT_ONCE_S


@cache
def packed() -> bytes:
    """Return 100 MB in a thousandth of their space."""
    return zlib.compress(b"x" * 100_000_000, 9)


DAMAGED: dict[str, Callable[[], bytes]] = {
    "a profile of 100 MB": lambda: png(64, 64, between=chunk(b"iCCP", b"a\0\0" + packed())),
    "a text of 100 MB": lambda: png(64, 64, between=chunk(b"zTXt", b"a\0\0" + packed())),
    "an international text": lambda: png(64, 64, between=chunk(b"iTXt", b"a\0\1\0\0\0" + packed())),
    "texts of 1 MB": lambda: png(
        64, 64, between=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000), 9)) * 80
    ),
    "a PNG without its end": lambda: png(2000, 2000)[:-5_00],
    "a JPEG without its end": lambda: jpeg(4000, 4000)[:5_000],
    "a chunk longer than the file": lambda: png(64, 64, between=b"\x7f\xff\xff\xfftEXta"),
    "a segment longer than the file": lambda: with_segments(jpeg(64, 64), b"\xff\xfe\xff\xff"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_packed_too_tightly_or_cut_off_is_refused_soon(name: str) -> None:
    """Nothing is unpacked that is no pixel, but for a bounded part."""
    file = DAMAGED[name]()
    started = time.thread_time()
    with pytest.raises(ContractError, match="image"):
        FORMAT.decode(file)
    assert time.thread_time() - started < BOUND_S / 5


@pytest.mark.parametrize(
    "file",
    [
        png(8000, 5000, colour=6),
        with_scans(jpeg(8000, 5000, progressive=True), 5),
        png(64, 64, between=chunk(b"tEXt", b"a\0") * (MOST_PARTS - 10)),
    ],
    ids=["bytes", "scans", "parts"],
)
def test_the_most_that_is_accepted_is_decoded_in_bounded_time(file: bytes) -> None:
    """By what limits let through at their edges."""
    started = time.thread_time()
    assert FORMAT.decode(file).shape == (1, 64, 64)
    assert time.thread_time() - started < BOUND_S


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("options", [{}, {"progressive": True, "optimize": True}])
def test_a_large_photograph_is_none_of_these(form: str, options: dict[str, bool]) -> None:
    """Noise in colour, so that the file is as large as files get."""
    noise = np.random.default_rng(1).integers(0, 255, (1200, 1600, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, form, **options)
    check_parts(file.getvalue())
    check_pixels(file.getvalue(), 1600, 1200)
    assert FORMAT.decode(file.getvalue()).shape == (1, 64, 64)
