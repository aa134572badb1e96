"""How much work an image file asks of a decoder, read off its structure before anything is decoded.

The number of pixels does not bound it. A JPEG of some kilobytes can hold thousands of scans, each
of which goes over all pixels; a file of either kind can consist of a million empty parts, at each
of which the parser stops; a PNG can store eight bytes for a pixel.
"""

import struct
from collections.abc import Iterator

from schemas.errors import OversizedError

MOST_PARTS = 4_096
"""Chunks of a PNG, or segments of a JPEG before its pixels; encoders cut 8 MiB into 1,024."""
MOST_SCANNED = 500_000_000
"""Pixels of a JPEG, times its scans: 40 megapixels in 12 scans, where encoders make 10."""
MOST_DECODED_BYTES = 160_000_000
"""Bytes of a decoded PNG: 40 megapixels of red, green, blue and transparency."""

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_JPEG_MAGIC = b"\xff\xd8"
_START_OF_SCAN = b"\xff\xda"
_CHUNK_HEAD, _CHUNK_REST = 8, 12
_IHDR_BYTES = 26
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_MARKED = 0xFF
_NO_MARKER = frozenset({0x00, _MARKED})
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xDA)) | {0x01}
_SCAN = 0xDA
_SEQUENTIAL = frozenset({0xC0, 0xC1})


def check_parts(file: bytes) -> None:
    """Refuse a file of so many parts that reading its head would take long.

    What is damaged is left to the decoder.

    Raises:
        OversizedError: It has too many.
    """
    if file.startswith(_PNG_MAGIC):
        _check_chunks(file)
    elif file.startswith(_JPEG_MAGIC):
        _check_segments(file)


def check_pixels(file: bytes, width: int, height: int) -> None:
    """Refuse a file whose pixels are gone over too often, or are too many bytes.

    Args:
        file: PNG or JPEG.
        width: As the decoder has read it.
        height: Likewise.

    Raises:
        OversizedError: It is more than images of this size need.
    """
    pixels = width * height
    if file.startswith(_PNG_MAGIC) and len(file) >= _IHDR_BYTES:
        depth, colour = file[_IHDR_BYTES - 2], file[_IHDR_BYTES - 1]
        size = pixels * _CHANNELS.get(colour, 4) * depth // 8
        if size > MOST_DECODED_BYTES:
            raise _refusal(
                f"holds {size:,} bytes of pixels", MOST_DECODED_BYTES, "in 8 bits, or smaller"
            )
    elif file.startswith(_JPEG_MAGIC) and not _has_one_scan(file):
        # Those of a preview count too; in compressed pixels the two bytes do not occur.
        scans = file.count(_START_OF_SCAN)
        if pixels * scans > MOST_SCANNED:
            raise _refusal(
                f"goes over {pixels:,} pixels in {scans:,} scans",
                MOST_SCANNED,
                "baseline, or smaller",
            )


def _check_chunks(file: bytes) -> None:
    position = len(_PNG_MAGIC)
    for _ in range(MOST_PARTS):
        if position + _CHUNK_HEAD > len(file):
            return
        position += _CHUNK_REST + struct.unpack_from(">I", file, position)[0]
    if position < len(file):
        raise _refusal("has more chunks than are read", MOST_PARTS, "as an encoder writes it")


def _check_segments(file: bytes) -> None:
    if sum(1 for _ in _segments(file)) >= MOST_PARTS:
        raise _refusal("has more segments than are read", MOST_PARTS, "as an encoder writes it")


def _has_one_scan(file: bytes) -> bool:
    """Whether a decoder stops after the first scan: it holds all components, in full."""
    components = None
    for marker, position in _segments(file):
        if marker in _SEQUENTIAL and len(file) > position + 9:
            components = file[position + 9]
        elif marker == _SCAN and len(file) > position + 4:
            return file[position + 4] == components
    return False


def _segments(file: bytes) -> Iterator[tuple[int, int]]:
    """Yield marker and place of what stands before the pixels, as far as it can be followed."""
    position = len(_JPEG_MAGIC)
    for _ in range(MOST_PARTS):
        marker = file[position : position + 2]
        if len(marker) < len(_START_OF_SCAN) or marker[0] != _MARKED:
            return
        yield marker[1], position
        if marker[1] == _SCAN:
            return
        if marker[1] in _NO_MARKER:
            position += 1 if marker[1] == _MARKED else 2
        elif marker[1] in _WITHOUT_LENGTH:
            position += 2
        else:
            length = file[position + 2 : position + 4]
            position += 2 + max(2, int.from_bytes(length, "big"))


def _refusal(what: str, most: int, remedy: str) -> OversizedError:
    return OversizedError(f"image {what}, at most {most:,}; send it {remedy}", field="image")
