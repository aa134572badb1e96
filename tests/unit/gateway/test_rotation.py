"""Tokens that change in their files let in, and out, without a restart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from streams.gateway.guard import Guard
from streams.gateway.ingest.settings import IngestSettings
from streams.gateway.rotation import Rotation
from streams.gateway.settings import GatewaySettings
from streams.gateway.tokens import read_ingest_tokens, read_tokens

FIRST, SECOND, SENDING = "0123456789abcdef", "abcdefabcdefabcd", "fedcba9876543210"


def bearer(token: str) -> dict[str, str]:
    """Return the header of a token."""
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def following(
    folder: Path,
) -> AsyncIterator[tuple[Rotation, TestClient[web.Request, web.Application]]]:
    """Serve what waits for ever to readers, and what answers at once to senders."""
    (folder / "readers").write_text(f"{FIRST}\n")
    (folder / "senders").write_text(f"{SENDING}\n")
    settings = GatewaySettings(
        tokens_file=str(folder / "readers"),
        ingest=IngestSettings(topics=("events.news",), tokens_file=str(folder / "senders")),
    )
    tokens = read_tokens(settings, {})
    senders = read_ingest_tokens(settings, tokens, {})
    guard = Guard(tokens, settings, senders)

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    async def send(_: web.Request) -> web.Response:
        return web.Response(status=202)

    app = web.Application(middlewares=[guard.check])
    app.add_routes([*guard.routes(), web.get("/v1/stream", stream)])
    app.add_routes([web.post("/v1/events/{topic}", send)])
    server = TestServer(app, handler_cancellation=True, shutdown_timeout=0.1)
    async with TestClient(server) as client:
        yield Rotation(settings, tokens, senders, guard, {}), client


async def test_tokens_are_exchanged_while_streams_go_on(tmp_path: Path) -> None:
    """With both in the file clients change over; then the old one ends, with what it opened."""
    async with following(tmp_path) as (rotation, client):
        old = await client.get("/v1/stream", headers=bearer(FIRST))
        assert (await client.get("/v1/stream", headers=bearer(SECOND))).status == 401
        (tmp_path / "readers").write_text(f"{SECOND}\n{FIRST}\n")
        rotation.look()
        new = await client.get("/v1/stream", headers=bearer(SECOND))
        assert (old.status, new.status) == (200, 200)
        await client.post("/v1/session", headers=bearer(FIRST))
        assert (await client.get("/v1/session")).status == 204
        (tmp_path / "readers").write_text(f"{SECOND}\n")
        rotation.look()
        with pytest.raises(aiohttp.ClientError):
            await old.content.read()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await new.content.read()
        assert (await client.get("/v1/session")).status == 401
        assert (await client.get("/v1/stream", headers=bearer(FIRST))).status == 401


async def test_senders_are_exchanged_too(tmp_path: Path) -> None:
    """By their own file."""
    async with following(tmp_path) as (rotation, client):
        (tmp_path / "senders").write_text(f"{SECOND}\n")
        path = "/v1/events/events.news"
        assert (await client.post(path, headers=bearer(SENDING))).status == 202
        rotation.look()
        assert (await client.post(path, headers=bearer(SENDING))).status == 401
        assert (await client.post(path, headers=bearer(SECOND))).status == 202


@pytest.mark.parametrize("content", ["", "short\n", "# nobody\n"])
async def test_a_file_that_cannot_be_used_changes_nothing(tmp_path: Path, content: str) -> None:
    """Nobody is let out, or in, by a mistake."""
    async with following(tmp_path) as (rotation, client):
        (tmp_path / "readers").write_text(content)
        rotation.look()
        assert (await client.get("/v1/stream", headers=bearer(FIRST))).status == 200
        (tmp_path / "readers").unlink()
        rotation.look()
        assert (await client.get("/v1/stream", headers=bearer(FIRST))).status == 200
        assert (await client.get("/v1/stream")).status == 401
