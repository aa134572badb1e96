"""What is held in memory is bounded, whoever sends what how slowly."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from schemas import HeadraceError
from streams.gateway.ingest.receiving import FullError, Held, receive


def test_room_is_bounded_in_events_and_bytes() -> None:
    """One thing alone always finds some, or it could never be sent."""
    held = Held(2, 100)
    held.take(500, events=1)
    with pytest.raises(FullError, match="max_unacknowledged_bytes: 500 bytes wait"):
        held.take(1, events=1)
    held.release(500, events=1)
    held.take(10, events=2)
    with pytest.raises(FullError, match="max_unacknowledged_events: 2 events wait"):
        held.take(10, events=1)
    held.release(10, events=2)
    assert (held.bytes, held.events) == (0, 0)


@pytest.mark.parametrize(
    ("parts", "pause", "told"),
    [
        ([b"x" * 50, b"y" * 50], False, "100 bytes"),
        ([b"x" * 50, b"y" * 51], False, "value: 101 bytes or more; send at most 100"),
        ([b"x" * 50], True, "value: 50 bytes arrived in 50 ms; send faster"),
    ],
)
async def test_a_body_is_read_within_bounds(parts: list[bytes], pause: bool, told: str) -> None:
    """Of size and time; what was read of it is let go."""
    held = Held(10, 1_000)

    async def take(request: web.Request) -> web.Response:
        try:
            body = await receive(request, 100, 50 if pause else 5_000, held)
        except HeadraceError as error:
            answer = web.Response(text=str(error))
            answer.force_close()
            return answer
        held.release(len(body))
        return web.Response(text=f"{len(body)} bytes")

    ended = asyncio.Event()

    async def sent() -> AsyncIterator[bytes]:
        for part in parts:
            yield part
        if pause:
            await ended.wait()

    app = web.Application()
    app.add_routes([web.post("/", take)])
    async with TestClient(TestServer(app)) as client:
        response = await client.post("/", data=sent())
        assert told in await response.text()
        ended.set()
    assert held.bytes == 0
