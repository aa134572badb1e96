"""``GET /v1/openapi.json`` and ``/v1/asyncapi.json``."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from streams.gateway.answers import json_answer
from streams.gateway.documents import asyncapi, openapi

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes() -> list[web.RouteDef]:
    """Return the endpoints."""
    return [
        web.get("/v1/openapi.json", _serving(openapi.build), allow_head=False),
        web.get("/v1/asyncapi.json", _serving(asyncapi.build), allow_head=False),
    ]


def _serving(build: Callable[[], dict[str, Any]]) -> Handler:
    built = functools.cache(build)

    async def serve(_: web.Request) -> web.StreamResponse:
        return json_answer(built())

    return serve
