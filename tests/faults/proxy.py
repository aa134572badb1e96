"""A TCP proxy between clients and one broker, which can lose, hold up and cut what passes."""

import asyncio
import contextlib
import itertools
import random
import socket
import struct
from collections.abc import Callable
from enum import StrEnum

from streams.broker.ports import LOOPBACK, require_free

CHUNK = 64 * 1024
CHUNKS = 64
"""Read ahead of what is held up; the rest waits in the kernel, as on a full line."""
CONNECT_S = 5.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_PORTS = range(15_000, 32_000)
"""Below those that the kernel gives to outgoing connections: a port that is closed for a while
stays ours."""


class Direction(StrEnum):
    """Which way bytes go."""

    UP = "up"
    """From clients to the broker."""
    DOWN = "down"
    """From the broker to clients."""


def proxy_port(chance: random.Random) -> int:
    """Return a port that nobody listens on and that no outgoing connection takes."""
    while True:
        port = chance.choice(_PORTS)
        with contextlib.suppress(Exception):
            require_free(port)
            return port


class Proxy:
    """Listens on one port and hands on to another.

    What is set holds for connections that are open and for those to come; :meth:`heal` undoes all.

    Args:
        port: To listen on.
        upstream: The broker's.

    Attributes:
        delay_s: By how much every chunk of bytes is held up, each way.
        bytes_per_s: What a connection lets through each way; ``None`` for no limit.
        passed: Bytes that came out, by direction.
    """

    def __init__(self, port: int, upstream: int) -> None:
        self.port = port
        self.upstream = upstream
        self.delay_s = 0.0
        self.bytes_per_s: float | None = None
        self.passed = dict.fromkeys(Direction, 0)
        self._flowing = {direction: asyncio.Event() for direction in Direction}
        self._links: set[_Link] = set()
        self._numbers = itertools.count()
        self._server: asyncio.Server | None = None
        self.heal()

    @property
    def connections(self) -> int:
        """Open connections of clients."""
        return len(self._links)

    async def start(self) -> None:
        """Listen; without effect where it does already."""
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, LOOPBACK, self.port, reuse_address=True
            )

    async def close(self) -> None:
        """Listen no more and end all connections."""
        self.refuse()
        self.cut()
        self.heal()
        await asyncio.gather(*[link.ended.wait() for link in self._links])

    def refuse(self) -> None:
        """Refuse new connections until :meth:`start`; those that are open go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def cut(self, share: float = 1.0, chance: random.Random | None = None) -> int:
        """Reset connections; return how many.

        Args:
            share: Of the connections, rounded up.
            chance: Chooses which; all or the oldest without it.
        """
        links = sorted(self._links, key=lambda link: link.number)
        if chance is not None:
            chance.shuffle(links)
        chosen = links[: -int(-len(links) * share // 1)]
        for link in chosen:
            link.reset()
        return len(chosen)

    def half_close(self, direction: Direction) -> int:
        """End one direction of every connection, as a peer that sends no more; return how many."""
        for link in self._links:
            link.half_close(direction)
        return len(self._links)

    def black_hole(self, *directions: Direction) -> None:
        """Accept and say nothing: bytes of these directions (both, if none is named) stay here.

        They go on when it ends, as what TCP repeats does after a broken line was mended.
        """
        for direction in directions or Direction:
            self._flowing[direction].clear()

    def mend(self, *directions: Direction) -> None:
        """Let bytes of these directions (both, if none is named) go on."""
        for direction in directions or Direction:
            self._flowing[direction].set()

    def heal(self) -> None:
        """Let everything through at once; a refused port stays refused."""
        self.delay_s = 0.0
        self.bytes_per_s = None
        self.mend()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(reader, writer, next(self._numbers))
        self._links.add(link)
        try:
            await self._flowing[Direction.UP].wait()
            async with asyncio.timeout(CONNECT_S):
                await link.connect(self.upstream)
            await link.run(self._pump)
        except (OSError, TimeoutError):
            pass  # the broker is down, or somebody reset: the client sees its connection end
        finally:
            link.reset()
            link.ended.set()
            self._links.discard(link)

    async def _pump(
        self, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Hand bytes on, each as late as is set at its arrival."""
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS)
        now = asyncio.get_running_loop().time

        async def read() -> None:
            while True:
                data = await reader.read(CHUNK)
                await held.put((now() + self.delay_s, data))
                if not data:
                    return

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            while True:
                due, data = await held.get()
                await asyncio.sleep(max(0.0, due - now()))
                if self.bytes_per_s is not None:
                    await asyncio.sleep(len(data) / self.bytes_per_s)
                await self._flowing[direction].wait()
                if not data:
                    if writer.can_write_eof() and not writer.transport.is_closing():
                        writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()
                self.passed[direction] += len(data)


_Pump = Callable[[Direction, asyncio.StreamReader, asyncio.StreamWriter], object]


class _Link:
    """One client's connection and ours to the broker."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self.number = number
        self.ended = asyncio.Event()
        self._client = reader, writer
        self._broker: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._pumps: dict[Direction, asyncio.Task[None]] = {}
        self._task = asyncio.current_task()

    async def connect(self, port: int) -> None:
        self._broker = await asyncio.open_connection(LOOPBACK, port)

    async def run(self, pump: _Pump) -> None:
        """Hand on both ways until both have ended, or one has failed."""
        assert self._broker
        ends = {Direction.UP: (self._client[0], self._broker[1])}
        ends[Direction.DOWN] = self._broker[0], self._client[1]
        self._pumps = {
            direction: asyncio.ensure_future(pump(direction, *pair))  # type: ignore[call-overload]
            for direction, pair in ends.items()
        }
        tasks = list(self._pumps.values())
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def half_close(self, direction: Direction) -> None:
        """Tell the receiver of one direction that nothing more comes, and let nothing more come."""
        task = self._pumps.get(direction)
        if task is None or task.done() or self._broker is None:
            return
        task.cancel()
        writer = self._broker[1] if direction is Direction.UP else self._client[1]
        if writer.can_write_eof() and not writer.transport.is_closing():
            writer.write_eof()

    def reset(self) -> None:
        """End both connections at once (RST)."""
        for pair in (self._client, self._broker):
            if pair is None:
                continue
            transport = pair[1].transport
            with contextlib.suppress(OSError):
                transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
                )
            transport.abort()
        if self._task is not None and self._task is not asyncio.current_task():
            for task in self._pumps.values():
                task.cancel()
