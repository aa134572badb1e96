"""Who may come in: programs by a token, browsers by a session that a token opened.

A browser's ``EventSource`` and ``WebSocket`` can send no header of their own, and a token in an
address ends up in logs. So a page exchanges the token once for a cookie, which scripts cannot read
and which the browser sends to the gateway's own pages alone.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from streams.gateway.answers import refusal
from streams.gateway.cross_origin import is_preflight, permission, stray
from streams.gateway.ingest.endpoints import EVENTS_PATH
from streams.gateway.page.files import is_file
from streams.gateway.settings import GatewaySettings
from streams.gateway.tokens import Tokens, is_loopback

COOKIE = "headrace_session"
SESSION_PATH = "/v1/session"
OPEN_PATHS = frozenset({"/healthz", "/readyz", SESSION_PATH})
"""What is served to strangers."""
_READING = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """Lets requests in.

    Args:
        tokens: Whose holders may come in, and read.
        settings: Origins of pages, and how long sessions last.
        senders: Whose holders may send events; unset for nobody's.
        wall: The clock, in seconds since the epoch.
    """

    def __init__(
        self,
        tokens: Tokens,
        settings: GatewaySettings,
        senders: Tokens | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = tokens
        self._senders = senders
        self._settings = settings
        self._wall = wall
        self._present: set[tuple[str, asyncio.Transport | None]] = set()
        self._own = frozenset(urlsplit(one).hostname for one in settings.origins)

    def routes(self) -> list[web.RouteDef]:
        """Return the endpoints at which sessions begin and end."""
        return [
            web.get(SESSION_PATH, self._tell, allow_head=False),
            web.post(SESSION_PATH, self._begin),
            web.delete(SESSION_PATH, self._end),
        ]

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Serve a request, or say why it is not served."""
        if why := self._stray(request):
            return refusal(403, "origin", why)
        if is_preflight(request):
            return permission(request, self._settings)
        if request.path.startswith(EVENTS_PATH):
            return self._not_sending(request) or await _found(handler, request)
        if request.path in OPEN_PATHS or is_file(request.path):
            return await _found(handler, request)
        holder = self.holder(request)
        if holder is None:
            return _stranger()
        present = holder, request.transport
        self._present.add(present)
        try:
            return await _found(handler, request)
        finally:
            self._present.discard(present)

    def cut_strangers(self) -> int:
        """Cut the connections of readers whose tokens are none any more; return how many."""
        strangers = [
            transport
            for holder, transport in self._present
            if transport is not None and not self._tokens.know(holder)
        ]
        for transport in strangers:
            transport.abort()
        return len(strangers)

    def holder(self, request: web.Request) -> str | None:
        """Return a name for who sent a request; ``None`` for a stranger."""
        header = request.headers.get(hdrs.AUTHORIZATION)
        if header is not None or not self._tokens:
            return self._tokens.holder(header)
        return self._tokens.holder_of_session(request.cookies.get(COOKIE, ""), self._wall())

    def _not_sending(self, request: web.Request) -> web.Response | None:
        """Refuse who may not send: a session does not do, for a browser sends it by itself."""
        header = request.headers.get(hdrs.AUTHORIZATION)
        if self._senders is None or self._senders.holder(header) is not None:
            return None  # without senders, nothing is served there
        if self._tokens and self.holder(request) is None:
            return _stranger()
        return refusal(
            403,
            "token",
            "Authorization: is none of those who may send events; send a token of "
            "gateway.ingest.tokens_file as `Authorization: Bearer TOKEN`",
        )

    def _stray(self, request: web.Request) -> str | None:
        """Say why a request comes from a page that is not the gateway's, if it does."""
        is_anybodys = not self._tokens or (self._senders is not None and not self._senders)
        if is_anybodys and not self._is_own_host(request.host):
            return (
                f"Host: {request.host[:200]!r} is not this machine, and without tokens nobody else "
                "is served; set gateway.tokens_file, or name the page in gateway.origins"
            )
        origin = request.headers.get(hdrs.ORIGIN)
        acts = request.method not in _READING or hdrs.UPGRADE in request.headers
        if origin is None or not acts or origin in self._settings.origins:
            return None
        if origin.partition("://")[2] == request.host:
            return None
        return stray(origin)

    def _is_own_host(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return is_loopback(name) or name in self._own

    async def _tell(self, request: web.Request) -> web.StreamResponse:
        return _stranger() if self.holder(request) is None else web.Response(status=204)

    async def _begin(self, request: web.Request) -> web.StreamResponse:
        expires = int(self._wall() + self._settings.session_s)
        session = self._tokens.session(request.headers.get(hdrs.AUTHORIZATION), expires)
        if session is None:
            return _stranger()
        answer = web.Response(status=204)
        if session:
            answer.set_cookie(
                COOKIE,
                session,
                max_age=int(self._settings.session_s),
                httponly=True,
                samesite="Strict",
                # A proxy speaks TLS before us; the page's origin tells whether one does.
                secure=request.secure
                or request.headers.get(hdrs.ORIGIN, "").startswith("https://"),
            )
        return answer

    async def _end(self, request: web.Request) -> web.StreamResponse:
        del request
        answer = web.Response(status=204)
        answer.del_cookie(COOKIE, httponly=True, samesite="Strict")
        return answer


async def _found(handler: Handler, request: web.Request) -> web.StreamResponse:
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
        allowed = error.headers.get(hdrs.ALLOW)
        headers = None if allowed is None else {"Allow": allowed}
        what = f"{request.method} {request.path[:200]!r}"
        return refusal(
            error.status,
            "request",
            f"path: {what} is not served; /v1/openapi.json lists what is",
            headers,
        )


def _stranger() -> web.Response:
    return refusal(
        401,
        "token",
        "Authorization: no token that is known; send `Authorization: Bearer TOKEN`, in a browser "
        f"once with POST {SESSION_PATH}",
        {"WWW-Authenticate": "Bearer"},
    )
