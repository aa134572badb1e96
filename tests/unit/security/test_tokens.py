"""Tokens of OAUTHBEARER are kept while they are good, and asked for again in time."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from aiokafka.errors import KafkaError
from aiokafka.helpers import create_ssl_context

from streams.security.tokens import EndpointTokens, FileTokens, TokenError

SECRET = "hunter2:=&"  # noqa: S105 - of nobody
TLS = create_ssl_context()


class Endpoint:
    """Hands out numbered tokens, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.answer: Callable[[int], web.Response] = lambda number: web.json_response(
            {"access_token": f"token-{number}", "expires_in": 100}
        )

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        self.asked.append((request.headers["Authorization"], parse_qs(await request.text())))
        return self.answer(len(self.asked))


@asynccontextmanager
async def serving(handle: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """Serve an endpoint on loopback; yield its URL."""
    app = web.Application()
    app.add_routes([web.post("/token", handle)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    finally:
        await runner.cleanup()


def tokens(url: str, now: list[float], scope: str | None = None) -> EndpointTokens:
    """Return a client of the endpoint with a clock of the test's."""
    return EndpointTokens(
        url,
        client_id="head race",
        client_secret=SECRET,
        scope=scope,
        tls=TLS,
        monotonic=lambda: now[0],
    )


async def test_a_token_is_shared_until_four_fifths_of_its_life_are_over() -> None:
    """Connections made at once ask once; later ones get a new token."""
    endpoint, now = Endpoint(), [0.0]
    async with serving(endpoint.handle) as url:
        provider = tokens(url, now, scope="kafka read")
        assert set(await asyncio.gather(*(provider.token() for _ in range(5)))) == {"token-1"}
        now[0] = 79.0
        assert await provider.token() == "token-1"
        now[0] = 80.0
        assert await provider.token() == "token-2"
    who, form = endpoint.asked[0]
    assert base64.b64decode(who.removeprefix("Basic ")).decode() == f"head race:{SECRET}"
    assert form == {"grant_type": ["client_credentials"], "scope": ["kafka read"]}
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda _: web.Response(status=401, text=SECRET), "status 401; check security.client_id"),
        (lambda _: web.Response(status=503), "status 503"),
        (lambda _: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "302"),
        (lambda _: web.Response(text=SECRET), "holds no access_token"),
        (lambda _: web.json_response([SECRET]), "holds no access_token"),
        (lambda _: web.json_response({"access_token": 7}), "no text"),
    ],
)
async def test_an_endpoint_that_gives_none_is_told(
    answer: Callable[[int], web.Response], told: str
) -> None:
    """In an error that aiokafka tries again after, and that shows neither secret nor answer."""
    endpoint = Endpoint()
    endpoint.answer = answer
    async with serving(endpoint.handle) as url:
        provider = tokens(url, [0.0])
        with pytest.raises(TokenError) as error:
            await provider.token()
        assert told in str(error.value)
        assert SECRET not in str(error.value)
        assert isinstance(error.value, KafkaError)
        endpoint.answer = Endpoint().answer
        assert await provider.token() == "token-2"


async def test_an_endpoint_that_is_away_is_told() -> None:
    """With its address."""
    with pytest.raises(TokenError, match=r"http://127\.0\.0\.1:1/token does not answer"):
        await tokens("http://127.0.0.1:1/token", [0.0]).token()


async def test_a_file_is_read_each_time(tmp_path: Path) -> None:
    """Whoever renews it tells nobody; while it is away there is no token."""
    file = tmp_path / "token"
    file.write_text("one\n")
    provider = FileTokens(str(file))
    assert await provider.token() == "one"
    file.write_text("two")
    assert await provider.token() == "two"
    file.unlink()
    with pytest.raises(TokenError, match=r"security\.token_file"):
        await provider.token()
