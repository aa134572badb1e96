"""Which offsets beyond the committed one are finished, as text in the commit's metadata.

An event that takes its time must not hold back those behind it, whose results have deadlines. So a
transaction takes results in any order, and says beside the offset up to which all is finished which
of the following are finished too. A successor skips those.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable

SPAN = 23_000
"""Offsets from the committed one on that can be told; as a bit each they fit into what a broker
takes as metadata unless told otherwise (``offset.metadata.max.bytes``, 4,096)."""
_MARK = "headrace1:"
_BYTES = SPAN // 8 + 1


def encode_finished(position: int, offsets: Iterable[int]) -> str:
    """Return the metadata to commit beside ``position``; empty if no offset is to be told.

    Args:
        position: The offset that is committed.
        offsets: Finished ones, none below ``position`` and all below ``position + SPAN``.

    Raises:
        ValueError: An offset is out of these limits.
    """
    bits = bytearray()
    for offset in offsets:
        place = offset - position
        if not 0 <= place < SPAN:
            raise ValueError(f"offset {offset} is not within {SPAN} of {position}")
        if place // 8 >= len(bits):
            bits.extend(bytes(place // 8 + 1 - len(bits)))
        bits[place // 8] |= 1 << place % 8
    if not bits:
        return ""
    return _MARK + base64.b64encode(zlib.compress(bytes(bits))).decode("ascii")


def decode_finished(position: int, metadata: str) -> list[int]:
    """Return the finished offsets from ``position`` on, in order; none of metadata of others.

    Raises:
        ValueError: The metadata is ours and damaged.
    """
    if not metadata.startswith(_MARK):
        return []
    try:
        packed = base64.b64decode(metadata.removeprefix(_MARK), validate=True)
        unpacking = zlib.decompressobj()
        bits = unpacking.decompress(packed, _BYTES)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"the finished offsets in {metadata[:40]!r} cannot be read") from error
    if not unpacking.eof:
        raise ValueError(f"the finished offsets in {metadata[:40]!r} are too many, or cut off")
    return [position + place for place in range(8 * len(bits)) if bits[place // 8] >> place % 8 & 1]
