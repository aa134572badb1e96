"""Who closes the connection without a word may be away, and is asked again."""

import asyncio

import pytest

from schemas.errors import BrokerError
from streams.broker.ports import LOOPBACK
from streams.clients import open_admin
from streams.connection import Connection


async def test_a_connection_that_is_closed_is_tried_again() -> None:
    """A stopping broker, or a proxy whose broker is away, must not end a fleet for good."""

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(BrokerError, match=r"security\.protocol: .* closes the connection") as error:
        async with open_admin(Connection(f"{LOOPBACK}:{port}")):
            pass
    assert error.value.retriable
    server.close()
    await server.wait_closed()
