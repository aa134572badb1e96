"""The live page beside the demo."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from schemas.errors import ConfigurationError
from streams.connection import Connection
from streams.gateway.server import Gateway, serve
from streams.gateway.settings import GatewaySettings
from streams.gateway.tokens import Tokens


@asynccontextmanager
async def open_page(connection: Connection) -> AsyncIterator[str]:
    """Serve the page to this machine alone, at the gateway's port or a free one; yield its address.

    Args:
        connection: How to reach the broker.
    """
    settings = GatewaySettings()
    gateway = Gateway(connection, settings, Tokens(()))
    try:
        runner, port = await serve(gateway, settings.host, settings.port)
    except ConfigurationError:  # somebody listens there already
        runner, port = await serve(gateway, settings.host, 0)
    try:
        yield f"http://{settings.host}:{port}/"
    finally:
        await runner.cleanup()
