"""A gateway that listens, for tests."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from schemas.events import Modality
from streams.connection import Connection
from streams.gateway.server import Gateway, serve
from streams.gateway.settings import GatewaySettings
from streams.gateway.tokens import Tokens

TOKEN = "0123456789abcdef"  # noqa: S105 - of these tests
SENDING_TOKEN = "fedcba9876543210"  # noqa: S105


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

    def send(
        self, path: str, body: Any, content_type: str = "application/json", **more: str
    ) -> Any:
        """Send events; a name of a header is written with ``_`` for ``-``."""
        headers = {"Authorization": f"Bearer {SENDING_TOKEN}", "Content-Type": content_type}
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        data = io.BytesIO(body if isinstance(body, bytes) else orjson.dumps(body))
        return self.session.post(f"{self.url}/v1/events/{path}", data=data, headers=headers)


@asynccontextmanager
async def gateway(servers: str, **settings: Any) -> AsyncIterator[Served]:
    """Serve on a free port; events of news may be sent to the topics of ``ingest``."""
    told = GatewaySettings(port=0, **settings)
    served = Gateway(
        Connection(servers),
        told,
        Tokens([TOKEN]),
        senders=Tokens([SENDING_TOKEN]),
        modalities=dict.fromkeys(told.ingest.topics, Modality.NEWS),
    )
    runner, port = await serve(served, told.host, told.port)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session:
            yield Served(f"http://127.0.0.1:{port}", session)
    finally:
        await runner.cleanup()


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, int | None]]:
    """Yield id and event's offset of what comes; ``None`` for an id alone."""
    assert response.status == 200, await response.text()
    fields: dict[str, str] = {}
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            data = fields.get("data")
            yield fields["id"], orjson.loads(data)["source"]["offset"] if data else None
            fields = {}


async def take(response: aiohttp.ClientResponse, count: int) -> tuple[list[int], str]:
    """Return the offsets of the next events, and the last id."""
    taken: list[int] = []
    last_id = ""
    if not count:
        return taken, last_id
    async for event_id, offset in events(response):
        last_id = event_id
        if offset is not None:
            taken.append(offset)
        if len(taken) == count:
            break
    return taken, last_id
