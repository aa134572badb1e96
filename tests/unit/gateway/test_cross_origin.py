"""Web pages of other origins may use the gateway if the settings name them, and no others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from schemas.events import Modality
from streams.connection import Connection
from streams.gateway.ingest.settings import IngestSettings
from streams.gateway.server import Gateway
from streams.gateway.settings import GatewaySettings
from streams.gateway.tokens import Tokens

DESK = "https://desk.example"
TOKEN, SENDING = "0123456789abcdef", "fedcba9876543210"
ASKS = {
    "Origin": DESK,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,ce-id,content-type,x-other,ce-a b",
}


@asynccontextmanager
async def served(
    *origins: str,
) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """Serve all of a gateway; no broker answers it."""
    settings = GatewaySettings(origins=origins, ingest=IngestSettings(topics=("events.news",)))
    gateway = Gateway(
        Connection("127.0.0.1:1"),
        settings,
        Tokens([TOKEN]),
        senders=Tokens([SENDING]),
        modalities={"events.news": Modality.NEWS},
    )
    async with TestClient(TestServer(gateway.application())) as client:
        yield client


@pytest.mark.parametrize("path", ["/v1/events/events.news", "/v1/stream/results.news"])
async def test_a_browser_that_asks_is_told_what_a_named_page_may_send(path: str) -> None:
    """It asks without a token; and what nobody has a use for is not allowed."""
    async with served(DESK) as client:
        answer = await client.options(path, headers=ASKS)
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == DESK
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, DELETE"
        allowed = answer.headers["Access-Control-Allow-Headers"]
        assert allowed == "authorization, ce-id, content-type"
        assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", ["https://other.example", "http://desk.example", f"{DESK}.other.example", "null", "*"]
)
async def test_other_pages_are_neither_allowed_nor_shown_anything(origin: str) -> None:
    """Origins are compared as a whole."""
    async with served(DESK) as client:
        asked = await client.options("/v1/session", headers=ASKS | {"Origin": origin})
        assert asked.status == 403
        assert "gateway.origins" in (await asked.json())["error"]
        bearer = {"Authorization": f"Bearer {TOKEN}", "Origin": origin}
        read = await client.get("/v1/session", headers=bearer)
        for answer in (asked, read):
            assert not [name for name in answer.headers if name.startswith("Access-Control")]


async def test_nobody_is_named_unless_the_settings_do() -> None:
    """The default is that of a gateway without other pages."""
    async with served() as client:
        assert (await client.options("/v1/session", headers=ASKS)).status == 403
        bearer = {"Authorization": f"Bearer {TOKEN}", "Origin": DESK}
        answer = await client.get("/v1/session", headers=bearer)
        assert answer.status == 204
        assert not {"Vary", "Access-Control-Allow-Origin"} & set(answer.headers)


async def test_a_named_page_sees_answers_and_what_is_wrong_with_its_requests() -> None:
    """Else a page could not tell a wrong token from a gateway that is gone."""
    async with served(DESK) as client:
        sending = {"Authorization": f"Bearer {SENDING}", "Origin": DESK}
        for path, headers, status in (
            ("/v1/session", {"Origin": DESK}, 401),
            ("/v1/events/events.news", sending, 400),
            ("/v1/nothing", {"Origin": DESK, "Authorization": f"Bearer {TOKEN}"}, 404),
        ):
            answer = await client.post(path, headers=headers, json={})
            assert answer.status == status
            assert answer.headers["Access-Control-Allow-Origin"] == DESK
            assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"
            assert "error" in await answer.json()


async def test_what_is_not_there_is_answered_as_all_that_is_wrong() -> None:
    """With the methods that are."""
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    async with served() as client:
        answer = await client.put("/v1/session", headers=bearer)
        assert (answer.status, "POST" in answer.headers["Allow"]) == (405, True)
        assert "PUT '/v1/session' is not served" in (await answer.json())["error"]


@pytest.mark.parametrize("origin", ["https://Desk.example", "https://a@desk.example", "*"])
def test_an_origin_that_no_browser_would_name_is_refused(origin: str) -> None:
    """It would never be the one of a request."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"origins": [origin]}, GatewaySettings)
