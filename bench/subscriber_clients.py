"""Many clients of a gateway in one process, which do little but note when events come.

Some of them, or all, note each event; the others stand for other machines, and count bytes. Prints
a line of JSON when all are connected, and one with what they saw when standard input ends. Part of
subscribers.py.
"""

import argparse
import asyncio
import base64
import json
import random
import re
import socket
import sys
import time
import zlib
from array import array
from typing import Any

import numpy as np

SENT_NS = re.compile(rb'"event_id":"(\d+)"')
TAIL = 64
"""Bytes kept of a part: what an event's id may be cut into."""
SMALL_BUFFER = 4_096
BUFFER = bytearray(262_144)
"""Of those who count bytes, all of them."""
HEAD_ENDS = b"\r\n\r\n"


class Asking:
    """What clients say to be sent events.

    Args:
        options: Of the program.
        transport: Over which.
    """

    def __init__(self, options: argparse.Namespace, transport: str) -> None:
        self._options = options
        self.is_gzip = transport == "gzip"
        self.is_websocket = transport == "websocket"

    def head(self, tickers: list[int]) -> bytes:
        """Return a request."""
        path, more = "/v1/ws", ""
        if self.is_websocket:
            more = (
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n"
            )
        else:
            query = "&".join(f"ticker=T{one:03}" for one in tickers)
            path = f"/v1/stream/{self._options.topic}?{query}"
            more = "Accept-Encoding: gzip\r\n" if self.is_gzip else ""
        return (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {self._options.token}\r\n{more}\r\n"
        ).encode()

    def message(self, tickers: list[int]) -> bytes:
        """Return what is said over a WebSocket, with a mask that changes nothing."""
        asked = {"op": "subscribe", "id": "a", "topic": self._options.topic}
        if tickers:
            asked |= {"filters": {"ticker": [f"T{one:03}" for one in tickers]}}
        text = json.dumps(asked).encode()
        return b"\x81\xfe" + len(text).to_bytes(2) + bytes(4) + text


class Connection(asyncio.BufferedProtocol):
    """Reads one stream, and counts its bytes.

    Args:
        asking: What to say.
        tickers: To ask for; all if there are none.
    """

    def __init__(self, asking: Asking, tickers: list[int]) -> None:
        self._asking = asking
        self._tickers = tickers
        self._transport: Any = None
        self._head: bytes | None = b""
        self.connected = asyncio.get_running_loop().create_future()
        self.bytes = 0
        self.is_open = True

    def connection_made(self, transport: Any) -> None:
        """Ask."""
        self._transport = transport
        transport.write(self._asking.head(self._tickers))

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return where to put what comes."""
        del sizehint
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came, after the head of the answer."""
        if self._head is None:
            if nbytes and not self.connected.done():  # a WebSocket's answer to what was asked
                self.connected.set_result(True)
            self.bytes += nbytes
            self.take(nbytes)
            return
        self._head += BUFFER[:nbytes]
        head, found, rest = self._head.partition(HEAD_ENDS)
        if found:
            self._head = None
            if self._asking.is_websocket and head.startswith(b"HTTP/1.1 101"):
                self._transport.write(self._asking.message(self._tickers))
            else:
                self.connected.set_result(head.startswith(b"HTTP/1.1 200"))
            BUFFER[: len(rest)] = rest
            self.buffer_updated(len(rest))

    def take(self, size: int) -> None:
        """Do nothing with so many bytes of the buffer."""

    def connection_lost(self, error: Exception | None) -> None:
        """Note that it was cut."""
        del error
        self.is_open = False


class Measuring(Connection):
    """Notes each event as well.

    Args:
        asking: What to say.
        tickers: To ask for.
        from_ns: Events before this are not counted in delays.
        delays_ms: Takes the time from publication to arrival of each event.
    """

    def __init__(
        self, asking: Asking, tickers: list[int], from_ns: int, delays_ms: "array[float]"
    ) -> None:
        super().__init__(asking, tickers)
        self._from_ns = from_ns
        self._delays_ms = delays_ms
        self._unzipped = Unzipped() if asking.is_gzip else None
        self._tail = b""
        self.events = 0

    def take(self, size: int) -> None:
        """Note what came."""
        came = bytes(BUFFER[:size])
        data = self._tail + (self._unzipped.read(came) if self._unzipped else came)
        now_ns = time.time_ns()
        end = 0
        for found in SENT_NS.finditer(data):
            self.events += 1
            sent_ns = int(found[1])
            if sent_ns >= self._from_ns:
                self._delays_ms.append((now_ns - sent_ns) / 1e6)
            end = found.end()
        self._tail = data[max(end, len(data) - TAIL) :]


class Unzipped:
    """Reads a compressed body that is transferred in chunks."""

    def __init__(self) -> None:
        self._gzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self._rest = b""
        self._missing = 0

    def read(self, data: bytes) -> bytes:
        """Return what can be read of it now."""
        data, text = self._rest + data, []
        while True:
            if self._missing:
                part, data = data[: self._missing], data[self._missing :]
                self._missing -= len(part)
                text.append(self._gzip.decompress(part))
            size, found, rest = data.lstrip(b"\r\n").partition(b"\r\n")
            if self._missing or not found:
                self._rest = data
                return b"".join(text)
            self._missing, data = int(size, 16), rest


async def listen(options: argparse.Namespace) -> None:
    """Connect all, and count until told to stop."""
    loop = asyncio.get_running_loop()
    chance = random.Random(options.seed)  # noqa: S311 - a load, no secret
    from_ns = time.time_ns() + int(options.warm_up_s * 1e9)
    delays_ms = array("d")
    clients: list[Connection] = []
    asking = Asking(options, options.transport)
    asked = [chance.sample(range(options.tickers), options.each) for _ in range(options.clients)]
    for number, tickers in enumerate(asked):
        if number % options.measuring_every:
            client = Connection(asking, tickers)
        else:
            client = Measuring(asking, tickers, from_ns, delays_ms)
        await loop.create_connection(lambda client=client: client, options.host, options.port)
        clients.append(client)
    good = await asyncio.gather(*(client.connected for client in clients))
    slow = [_slow(options) for _ in range(options.slow)]
    print(json.dumps({"connected": sum(good)}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(json.dumps(_seen(clients, delays_ms) | {"asked": asked}), flush=True)
    for one in slow:
        one.close()


def _seen(clients: list[Connection], delays_ms: "array[float]") -> dict[str, Any]:
    quantiles = np.quantile(delays_ms, (0.5, 0.99, 1)) if delays_ms else (0.0, 0.0, 0.0)
    return {
        "open": sum(client.is_open for client in clients),
        "events": [client.events if isinstance(client, Measuring) else None for client in clients],
        "bytes": [client.bytes for client in clients],
        "p50_ms": float(quantiles[0]),
        "p99_ms": float(quantiles[1]),
        "max_ms": float(quantiles[2]),
    }


def _slow(options: argparse.Namespace) -> socket.socket:
    """Ask for everything, uncompressed, and read nothing of it."""
    asking = Asking(options, "websocket" if options.transport == "websocket" else "plain")
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    one.connect((options.host, options.port))
    one.sendall(asking.head([]))
    if asking.is_websocket:
        one.recv(SMALL_BUFFER)
        one.sendall(asking.message([]))
    return one


def main() -> None:
    """Listen as was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--transport", choices=("plain", "gzip", "websocket"), default="plain")
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--measuring-every", type=int, default=1, help="1: all note each event")
    parser.add_argument("--slow", type=int, default=0, help="further clients that read nothing")
    parser.add_argument("--tickers", type=int, default=500, help="instruments that there are")
    parser.add_argument("--each", type=int, default=0, help="of them for each client; 0: all")
    parser.add_argument("--warm-up-s", type=float, default=2.0, help="not counted in delays")
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(listen(parser.parse_args()))


if __name__ == "__main__":
    main()
