"""Many clients of a gateway's stream in one process, which do little but note when events come.

Prints a line of JSON when all are connected, and one with what they saw when standard input ends.
Part of subscribers.py.
"""

import argparse
import asyncio
import json
import random
import re
import socket
import sys
import time
from array import array
from typing import Any

import numpy as np

SENT_NS = re.compile(rb'"event_id":"(\d+)"')
TAIL = 64
"""Bytes kept of a chunk: what an event's id may be cut into."""
SMALL_BUFFER = 4_096


class Client(asyncio.Protocol):
    """One stream.

    Args:
        path: What to ask for.
        options: Of the program.
        delays_ms: Takes the time from publication to arrival of each event.
    """

    def __init__(self, path: str, options: argparse.Namespace, delays_ms: "array[float]") -> None:
        self._path = path
        self._options = options
        self._delays_ms = delays_ms
        self._tail = b""
        self.connected = asyncio.get_running_loop().create_future()
        self.events = 0
        self.is_open = True

    def connection_made(self, transport: Any) -> None:
        """Ask."""
        transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {self._options.token}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Note what came."""
        now_ns = time.time_ns()
        if not self.connected.done():
            self.connected.set_result(data.startswith(b"HTTP/1.1 200"))
        data = self._tail + data
        end = 0
        for found in SENT_NS.finditer(data):
            self.events += 1
            sent_ns = int(found[1])
            if sent_ns >= self._options.from_ns:
                self._delays_ms.append((now_ns - sent_ns) / 1e6)
            end = found.end()
        self._tail = data[max(end, len(data) - TAIL) :]

    def connection_lost(self, error: Exception | None) -> None:
        """Note that it was cut."""
        del error
        self.is_open = False


async def listen(options: argparse.Namespace) -> None:
    """Connect all, and count until told to stop."""
    loop = asyncio.get_running_loop()
    chance = random.Random(options.seed)  # noqa: S311 - a load, no secret
    options.from_ns = time.time_ns() + int(options.warm_up_s * 1e9)
    delays_ms = array("d")
    clients: list[Client] = []
    asked: list[list[int]] = []
    for _ in range(options.clients):
        asked.append(chance.sample(range(options.tickers), options.each))
        query = "&".join(f"ticker=T{one:03}" for one in asked[-1])
        path = f"/v1/stream/{options.topic}?{query}"
        _, client = await loop.create_connection(
            lambda path=path: Client(path, options, delays_ms), options.host, options.port
        )
        clients.append(client)
    good = await asyncio.gather(*(client.connected for client in clients))
    slow = [_slow(options) for _ in range(options.slow)]
    print(json.dumps({"connected": sum(good)}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(json.dumps(_seen(clients, delays_ms) | {"asked": asked}), flush=True)
    for one in slow:
        one.close()


def _seen(clients: list[Client], delays_ms: "array[float]") -> dict[str, Any]:
    events = [client.events for client in clients]
    quantiles = np.quantile(delays_ms, (0.5, 0.99, 1)) if delays_ms else (0.0, 0.0, 0.0)
    return {
        "open": sum(client.is_open for client in clients),
        "events": events,
        "p50_ms": float(quantiles[0]),
        "p99_ms": float(quantiles[1]),
        "max_ms": float(quantiles[2]),
    }


def _slow(options: argparse.Namespace) -> socket.socket:
    """Open a stream of everything, and read nothing of it."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    one.connect((options.host, options.port))
    one.sendall(
        f"GET /v1/stream/{options.topic} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {options.token}\r\n\r\n".encode()
    )
    return one


def main() -> None:
    """Listen as was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--slow", type=int, default=0, help="further clients that read nothing")
    parser.add_argument("--tickers", type=int, default=500, help="instruments that there are")
    parser.add_argument("--each", type=int, default=0, help="of them for each client; 0: all")
    parser.add_argument("--warm-up-s", type=float, default=2.0, help="not counted in delays")
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(listen(parser.parse_args()))


if __name__ == "__main__":
    main()
