"""The proxy of the fault suite does to connections what it says, and nothing else."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from streams.broker.ports import LOOPBACK
from tests.faults.proxy import Direction, Proxy, proxy_port

SOON_S = 2.0
WAIT_S = 0.15


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say everything back; end when the other side does."""
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """A proxy before a server that says everything back."""
    server = await asyncio.start_server(_echo, LOOPBACK, 0)
    proxy = Proxy(proxy_port(random.Random()), server.sockets[0].getsockname()[1])  # noqa: S311
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.close()
        server.close()
        await server.wait_closed()


class Client:
    """A connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, text: bytes = b"hello", timeout_s: float = SOON_S) -> bytes:
        """Send, and return what comes back."""
        self.writer.write(text)
        return await self.hear(len(text), timeout_s)

    async def hear(self, count: int, timeout_s: float = SOON_S) -> bytes:
        """Return the next bytes."""
        return await asyncio.wait_for(self.reader.readexactly(count), timeout_s)


Connect = Callable[[], Awaitable[Client]]


@pytest.fixture
async def connect(proxy: Proxy) -> AsyncIterator[Connect]:
    """What opens connections, all of which end with the test."""
    opened: list[Client] = []

    async def connect() -> Client:
        client = Client(*await asyncio.open_connection(LOOPBACK, proxy.port))
        opened.append(client)
        return client

    yield connect
    for client in opened:
        client.writer.transport.abort()


async def test_bytes_pass_both_ways_unchanged(proxy: Proxy, connect: Connect) -> None:
    """Also many of them, and on several connections."""
    first, second = await connect(), await connect()
    large = random.Random(1).randbytes(3_000_000)  # noqa: S311
    assert await asyncio.gather(first.say(large), second.say(b"x")) == [large, b"x"]
    assert proxy.connections == 2
    assert proxy.passed[Direction.UP] == proxy.passed[Direction.DOWN] == len(large) + 1


async def test_a_cut_resets_connections_and_lets_new_ones_in(
    proxy: Proxy, connect: Connect
) -> None:
    """Both sides hear of it at once."""
    clients = [await connect() for _ in range(3)]
    for client in clients:
        await client.say()
    assert proxy.cut(0.5, random.Random(1)) == 2  # noqa: S311
    heard = await asyncio.gather(*[one.say() for one in clients], return_exceptions=True)
    assert Counter(map(type, heard)) == {bytes: 1, ConnectionResetError: 2}
    assert proxy.cut() == 1
    assert await (await connect()).say() == b"hello"


async def test_refused_connections_fail_and_open_ones_go_on(proxy: Proxy, connect: Connect) -> None:
    """Until it listens again, on the same port."""
    client = await connect()
    await client.say()
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await connect()
    assert await client.say() == b"hello"
    await proxy.start()
    assert await (await connect()).say() == b"hello"


async def test_delayed_bytes_arrive_late_by_both_ways(proxy: Proxy, connect: Connect) -> None:
    """One delay up, one down; not one for every chunk that waits."""
    client = await connect()
    await client.say()
    proxy.delay_s = WAIT_S
    started = time.monotonic()
    for _ in range(20):
        client.writer.write(b"12345")
        await asyncio.sleep(0.01)
    await client.hear(100)
    assert 2 * WAIT_S < time.monotonic() - started < 20 * WAIT_S


async def test_a_throttled_line_lets_so_many_bytes_through(proxy: Proxy, connect: Connect) -> None:
    """Each way."""
    client = await connect()
    proxy.bytes_per_s = 20_000
    started = time.monotonic()
    await client.say(b"x" * 2_000)
    assert time.monotonic() - started > 0.15


@pytest.mark.parametrize("directions", [(), (Direction.UP,), (Direction.DOWN,)])
async def test_a_black_hole_keeps_bytes_until_it_ends(
    proxy: Proxy, connect: Connect, directions: tuple[Direction, ...]
) -> None:
    """Of open connections and of new ones, which are accepted; nobody is told anything."""
    client = await connect()
    await client.say()
    proxy.black_hole(*directions)
    later = await connect()
    later.writer.write(b"later")
    with pytest.raises(TimeoutError):
        await client.say(timeout_s=WAIT_S)
    reached = proxy.passed[Direction.UP]
    assert (reached >= 10) == (directions == (Direction.DOWN,))
    proxy.mend(*directions)
    assert await client.hear(5) == b"hello"
    assert await later.hear(5) == b"later"


async def test_half_closing_ends_one_direction_alone(proxy: Proxy, connect: Connect) -> None:
    """Down: the client reads an end. Up: the server does, and still says what it has to."""
    client = await connect()
    await client.say()
    assert proxy.half_close(Direction.DOWN) == 1
    assert await asyncio.wait_for(client.reader.read(), SOON_S) == b""
    before = proxy.passed[Direction.UP]
    client.writer.write(b"still heard")
    async with asyncio.timeout(SOON_S):
        while proxy.passed[Direction.UP] == before:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    other = await connect()
    await other.say()
    proxy.half_close(Direction.UP)
    assert await asyncio.wait_for(other.reader.read(), SOON_S) == b""


async def test_ended_connections_leave_nothing_behind(proxy: Proxy, connect: Connect) -> None:
    """Whoever ended them, also while bytes were held back."""
    for _ in range(3):
        client = await connect()
        await client.say()
        client.writer.close()
    held = await connect()
    await held.say()
    proxy.black_hole()
    held.writer.write(b"nobody hears this")
    held.writer.close()
    proxy.cut()
    proxy.heal()
    async with asyncio.timeout(SOON_S):
        while proxy.connections:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_server_that_is_gone_ends_connections(proxy: Proxy, connect: Connect) -> None:
    """A client is not left to wait."""
    proxy.upstream = proxy_port(random.Random())  # noqa: S311
    client = await connect()
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await client.say()
