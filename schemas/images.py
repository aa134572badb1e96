"""What an encoded image says about itself in its first bytes; nothing is decompressed."""

import re
import struct

JPEG = "image/jpeg"
PNG = "image/png"

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER_BYTES = 24  # magic, and the first chunk up to its width and height
_JPEG_MAGIC = b"\xff\xd8\xff"
_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)
# Frame headers are SOF0 to SOF15 without DHT (C4), JPG (C8) and DAC (CC), which share the range.
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xD8)) | {0x01}
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = 0xD9
# A profile of 16 MiB is cut into 256 segments; a file of nothing but tiny segments is an attack.
_MAX_SEGMENTS = 1_000


def media_type(image: bytes) -> str | None:
    """Tell JPEG from PNG by the magic bytes; ``None`` for anything else."""
    if image.startswith(_JPEG_MAGIC):
        return JPEG
    if image.startswith(_PNG_MAGIC):
        return PNG
    return None


def dimensions(image: bytes) -> tuple[int, int] | None:
    """Read width and height in pixels; ``None`` when the header is cut off or damaged."""
    size = _png_size(image) if image.startswith(_PNG_MAGIC) else _jpeg_size(image)
    return size if size and size[0] and size[1] else None


def _png_size(image: bytes) -> tuple[int, int] | None:
    if len(image) < _PNG_HEADER_BYTES or image[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", image, 16)
    return width, height


def _jpeg_size(image: bytes) -> tuple[int, int] | None:
    position = 2
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.match(image, position)
        if not found:
            return None
        marker, position = found[1][0], found.end()
        if marker in _FRAME_HEADERS:
            if len(image) < position + 7:
                return None
            height, width = struct.unpack_from(">HH", image, position + 3)
            return width, height
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return None
        if marker not in _WITHOUT_LENGTH:
            if len(image) < position + 2:
                return None
            position += int.from_bytes(image[position : position + 2], "big")
    return None
