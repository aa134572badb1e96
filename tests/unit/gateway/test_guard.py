"""Browsers come in by a session, and pages of others do not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from streams.gateway.guard import COOKIE, Guard
from streams.gateway.settings import GatewaySettings
from streams.gateway.tokens import Tokens

TOKEN = "0123456789abcdef"  # noqa: S105 - of these tests
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@asynccontextmanager
async def guarded(
    *tokens: str, senders: list[str] | None = None, now: list[float] | None = None, **settings: Any
) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """Serve one path that says who asks."""
    clock = now or [1_000.0]
    writing = None if senders is None else Tokens(senders)
    guard = Guard(Tokens(tokens), GatewaySettings(**settings), writing, wall=lambda: clock[0])

    async def tell(request: web.Request) -> web.Response:
        return web.Response(text=guard.holder(request))

    app = web.Application(middlewares=[guard.check])
    app.add_routes([*guard.routes(), web.route("*", "/v1/who", tell)])
    app.add_routes([web.post("/v1/events/{topic}", tell)])
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_a_session_takes_the_place_of_the_token_until_it_ends() -> None:
    """Whoever has it counts as the token's holder."""
    now = [1_000.0]
    async with guarded(TOKEN, now=now, session_s=60) as client:
        assert (await client.get("/v1/session")).status == 401
        assert (await client.post("/v1/session")).status == 401
        assert (await client.post("/v1/session", headers=BEARER)).status == 204
        assert (await client.get("/v1/session")).status == 204
        by_session = await (await client.get("/v1/who")).text()
        assert by_session == await (await client.get("/v1/who", headers=BEARER)).text()
        now[0] += 60
        assert (await client.get("/v1/who")).status == 401
        assert (await client.post("/v1/session", headers=BEARER)).status == 204
        assert (await client.get("/v1/who")).status == 200
        assert (await client.delete("/v1/session")).status == 204
        assert (await client.get("/v1/who")).status == 401


@pytest.mark.parametrize(
    ("origin", "is_secure"), [(None, False), ("http://{}", False), ("https://{}", True)]
)
async def test_scripts_and_other_sites_do_not_get_the_cookie(
    origin: str | None, is_secure: bool
) -> None:
    """Nor an unencrypted line, where the page came over an encrypted one."""
    async with guarded(TOKEN) as client:
        host = f"{client.host}:{client.port}"
        headers = BEARER if origin is None else BEARER | {"Origin": origin.format(host)}
        answer = await client.post("/v1/session", headers=headers)
        cookie = answer.cookies[COOKIE]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
        assert bool(cookie["secure"]) is is_secure


async def test_a_wrong_token_is_not_made_good_by_a_session() -> None:
    """What is sent on purpose counts."""
    async with guarded(TOKEN) as client:
        await client.post("/v1/session", headers=BEARER)
        wrong = {"Authorization": f"Bearer {TOKEN}x"}
        assert (await client.get("/v1/who", headers=wrong)).status == 401


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://{}", 200),
        ("https://{}", 200),
        ("https://desk.example", 200),
        ("https://other.example", 403),
        ("http://desk.example", 403),
        ("https://{}.other.example", 403),
        ("null", 403),
    ],
)
async def test_pages_of_others_can_neither_act_nor_open_a_web_socket(
    origin: str | None, status: int
) -> None:
    """By the origin that the browser names; reading is left to the browser to keep from them."""
    async with guarded(TOKEN, origins=("https://desk.example",)) as client:
        host = f"{client.host}:{client.port}"
        headers = BEARER if origin is None else BEARER | {"Origin": origin.format(host)}
        assert (await client.post("/v1/who", headers=headers)).status == status
        upgrading = headers | {"Upgrade": "websocket"}
        answer = await client.get("/v1/who", headers=upgrading)
        assert answer.status == status
        if status == 403:
            assert "gateway.origins" in (await answer.json())["error"]
        assert (await client.get("/v1/who", headers=headers)).status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:80", 200), ("[::1]:80", 200), ("desk.example", 200), ("evil.example", 403)],
)
async def test_without_tokens_no_foreign_name_leads_here(host: str, status: int) -> None:
    """A page whose name is made to point at this machine would be of the gateway's own origin."""
    async with guarded(origins=("https://desk.example",)) as client:
        assert (await client.get("/v1/who", headers={"Host": host})).status == status
    async with guarded(TOKEN) as client:
        assert (await client.get("/v1/who", headers=BEARER | {"Host": host})).status == 200


async def test_events_are_taken_from_those_alone_who_may_send() -> None:
    """Neither a reader's token nor a session does, for a browser sends that by itself."""
    sending = {"Authorization": f"Bearer {TOKEN}-of-senders"}
    async with guarded(TOKEN, senders=[f"{TOKEN}-of-senders"]) as client:
        path = "/v1/events/events.news"
        assert (await client.post(path)).status == 401
        assert (await client.post(path, headers={"Authorization": "Bearer x"})).status == 401
        answer = await client.post(path, headers=BEARER)
        assert answer.status == 403
        assert "gateway.ingest.tokens_file" in (await answer.json())["error"]
        await client.post("/v1/session", headers=BEARER)
        assert (await client.post(path)).status == 403
        assert (await client.post(path, headers=sending)).status == 200
        foreign = sending | {"Origin": "https://other.example"}
        assert (await client.post(path, headers=foreign)).status == 403
        client.session.cookie_jar.clear()
        assert (await client.get("/v1/who", headers=sending)).status == 401


@pytest.mark.parametrize(("host", "status"), [("localhost", 200), ("evil.example", 403)])
async def test_where_anybody_may_send_no_foreign_name_leads_here(host: str, status: int) -> None:
    """Nobody needs a token on a machine of one's own; pages of others still are kept out."""
    async with guarded(senders=[]) as client:
        answer = await client.post("/v1/events/events.news", headers={"Host": host})
        assert answer.status == status


@pytest.mark.parametrize("tokens", [[TOKEN], []])
async def test_headers_that_nobody_should_send_are_refused_like_wrong_ones(
    tokens: list[str],
) -> None:
    """Bytes that are no text, and addresses that are none, are no fault of the gateway."""
    async with guarded(*tokens) as client:
        for path in ("/v1/who", "/v1/session"):
            answer = await raw(client, path, b"Authorization: Bearer \xff\xfe")
            assert answer in ((401,) if tokens else (200, 204))
        assert await raw(client, "/v1/who", b"Origin: http://[", method=b"POST") == 403
        if not tokens:
            assert await raw(client, "/v1/who", b"X: y", host=b"[::") == 403


async def raw(
    client: TestClient[web.Request, web.Application],
    path: str,
    header: bytes,
    *,
    method: bytes = b"GET",
    host: bytes = b"localhost",
) -> int:
    """Send what a client library would not, and return the status."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    lines = [method + b" " + path.encode() + b" HTTP/1.1", b"Host: " + host, header]
    writer.write(b"\r\n".join([*lines, b"Content-Length: 0", b"", b""]))
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status
