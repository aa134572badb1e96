"""How events are written to a connection, for each protocol."""

import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from streams.gateway.compression import GZIP_HEADER, SharedDeflate, deflated
from streams.gateway.messages import beginning_of
from streams.gateway.told import Told, message, server_sent

_TEXT = 0x81  # and the message's last frame
_MOST_IN_BYTE, _IN_SHORT, _IN_LONG = 125, 126, 127
_MOST_IN_SHORT = 0xFFFF


class Packing(Protocol):
    """Puts frames together for those who are sent the same."""

    def pack(self, frames: Sequence[bytes], clients: int) -> bytes:
        """Return the bytes that so many connections are sent next."""

    def renew(self) -> None:
        """Begin anew: somebody has joined, or was sent something else."""


class Wire(Protocol):
    """Of a connection; those that are equal share what is written."""

    def frame(self, told: Told, token: str) -> bytes:
        """Return an event as it is read at the other end."""

    def packed(self, frames: Sequence[bytes]) -> bytes:
        """Return the bytes that one connection alone is sent next."""

    def packing(self) -> Packing:
        """Return what puts frames together for several."""


@dataclass(frozen=True, slots=True)
class ServerSent:
    """Server-sent events over HTTP.

    Attributes:
        is_chunked: Whether each write is a chunk of its own, as since HTTP/1.1.
        is_compressed: By gzip.
    """

    is_chunked: bool = True
    is_compressed: bool = False

    @property
    def preamble(self) -> bytes:
        """What the body begins with."""
        return GZIP_HEADER if self.is_compressed else b""

    def frame(self, told: Told, token: str) -> bytes:
        """Return an event."""
        return told.frame(server_sent, token)

    def packed(self, frames: Sequence[bytes]) -> bytes:
        """Return what one client alone is sent."""
        data = b"".join(frames)
        return self.chunk(deflated(data) if self.is_compressed else data)

    def packing(self) -> Packing:
        """Return what puts frames together."""
        return _SharedCompression(self) if self.is_compressed else _Stateless(self)

    def chunk(self, data: bytes) -> bytes:
        """Return a part of the body as it is transferred."""
        return b"%x\r\n%b\r\n" % (len(data), data) if self.is_chunked else data


@dataclass(frozen=True, slots=True)
class Messages:
    """Text messages over a WebSocket.

    Attributes:
        beginning: What all of a subscription begin with.
    """

    beginning: bytes

    @classmethod
    def of(cls, subscription: str) -> "Messages":
        """Return the wire of a subscription."""
        return cls(beginning_of(subscription))

    def frame(self, told: Told, token: str) -> bytes:
        """Return an event."""
        return text_message(self.beginning + told.frame(message, token))

    def packed(self, frames: Sequence[bytes]) -> bytes:
        """Return what one client alone is sent."""
        return b"".join(frames)

    def packing(self) -> Packing:
        """Return what puts frames together."""
        return _Stateless(self)


def text_message(text: bytes) -> bytes:
    """Return a whole text message as a server sends it; see RFC 6455, section 5.2."""
    size = len(text)
    if size <= _MOST_IN_BYTE:
        return struct.pack("!BB", _TEXT, size) + text
    if size <= _MOST_IN_SHORT:
        return struct.pack("!BBH", _TEXT, _IN_SHORT, size) + text
    return struct.pack("!BBQ", _TEXT, _IN_LONG, size) + text


class _Stateless:
    """For several as for one."""

    __slots__ = ("_wire",)

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def pack(self, frames: Sequence[bytes], clients: int) -> bytes:
        """Put frames together."""
        del clients
        return self._wire.packed(frames)

    def renew(self) -> None:
        """Nothing refers to anything."""


class _SharedCompression:
    """One compressor for all."""

    __slots__ = ("_deflate", "_wire")

    def __init__(self, wire: ServerSent) -> None:
        self._wire = wire
        self._deflate = SharedDeflate(time.monotonic)

    def pack(self, frames: Sequence[bytes], clients: int) -> bytes:
        """Put frames together."""
        return self._wire.chunk(self._deflate.compress(b"".join(frames), clients))

    def renew(self) -> None:
        """Refer to nothing before."""
        self._deflate.renew()
