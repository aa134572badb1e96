"""Web pages of other origins that may use the gateway: what a browser asks, and is told (CORS).

A browser asks before it sends what a plain form could not, without token or cookie, and lets a page
see an answer only if that names its origin. Only origins of the settings are named, each as it is.
"""

from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from streams.gateway.answers import refusal
from streams.gateway.settings import GatewaySettings

METHODS = "GET, POST, DELETE"
HEADERS = frozenset({"authorization", "content-type", "last-event-id", "traceparent", "tracestate"})
"""What pages may send, beside attributes of CloudEvents."""
ATTRIBUTES = "ce-"
KEPT_S = 600
"""How long a browser need not ask again."""

Hook = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


def is_preflight(request: web.Request) -> bool:
    """Say whether a browser only asks what a page of another origin may do."""
    asks = hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
    return request.method == hdrs.METH_OPTIONS and asks and hdrs.ORIGIN in request.headers


def permission(request: web.Request, settings: GatewaySettings) -> web.Response:
    """Answer a browser that asks."""
    origin = request.headers[hdrs.ORIGIN]
    if origin not in settings.origins:
        return refusal(403, "origin", stray(origin))
    wanted = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS, "").lower().split(",")
    names = sorted(name for one in wanted if may_send(name := one.strip()))
    headers = {
        hdrs.ACCESS_CONTROL_ALLOW_METHODS: METHODS,
        hdrs.ACCESS_CONTROL_ALLOW_HEADERS: ", ".join(names),
        hdrs.ACCESS_CONTROL_MAX_AGE: str(KEPT_S),
    }
    return web.Response(status=204, headers=headers)


def may_send(name: str) -> bool:
    """Say whether pages of other origins may send a header, by its name in small letters."""
    is_attribute = name.startswith(ATTRIBUTES) and name.isascii() and name[3:].isalnum()
    return name in HEADERS or is_attribute


def naming_origins(settings: GatewaySettings) -> Hook:
    """Return what lets browsers show answers, and streams, to pages that may see them."""

    async def name_origin(request: web.Request, response: web.StreamResponse) -> None:
        if not settings.origins:
            return
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        if (origin := request.headers.get(hdrs.ORIGIN)) in settings.origins:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = hdrs.RETRY_AFTER

    return name_origin


def stray(origin: str) -> str:
    """Say what is wrong with a page of another origin."""
    return (
        f"Origin: {origin[:200]!r} is not the gateway's own page; open the page at the "
        "gateway's address, or name its origin in gateway.origins"
    )
