"""A gateway that listens, for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from streams.connection import Connection
from streams.gateway.server import Gateway, serve
from streams.gateway.settings import GatewaySettings
from streams.gateway.tokens import Tokens

TOKEN = "0123456789abcdef"  # noqa: S105 - of these tests


@dataclass
class Served:
    """A gateway that listens."""

    url: str
    session: aiohttp.ClientSession

    def stream(self, topic: str, last_id: str | None = None, **query: str) -> Any:
        """Open a stream."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        return self.session.get(f"{self.url}/v1/stream/{topic}", params=query, headers=headers)


@asynccontextmanager
async def gateway(servers: str, **settings: Any) -> AsyncIterator[Served]:
    """Serve on a free port."""
    told = GatewaySettings(port=0, **settings)
    runner, port = await serve(
        Gateway(Connection(servers), told, Tokens([TOKEN])), told.host, told.port
    )
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session:
            yield Served(f"http://127.0.0.1:{port}", session)
    finally:
        await runner.cleanup()
