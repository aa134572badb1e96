"""WebSockets: many subscriptions over one connection."""

from aiohttp import web

from streams.gateway import messages
from streams.gateway.answers import come_again, refusal
from streams.gateway.guard import Guard
from streams.gateway.hubs import Hubs
from streams.gateway.places import Places
from streams.gateway.settings import GatewaySettings
from streams.gateway.talk import Talk

SOCKET_PATH = "/v1/ws"


class Sockets:
    """Serves WebSockets.

    Args:
        hubs: What can be followed.
        guard: Says who asks.
        places: How many streams there may be: a connection is one, and so is each subscription.
        settings: Limits.
    """

    def __init__(self, hubs: Hubs, guard: Guard, places: Places, settings: GatewaySettings) -> None:
        self._hubs = hubs
        self._guard = guard
        self._places = places
        self._settings = settings
        self._open: set[Talk] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return the endpoint."""
        return [web.get(SOCKET_PATH, self._serve, allow_head=False)]

    async def stop(self) -> None:
        """Close all."""
        for talk in list(self._open):
            await talk.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        holder = self._guard.holder(request) or ""
        socket = web.WebSocketResponse(
            heartbeat=self._settings.heartbeat_ms / 1e3,
            compress=False,
            max_msg_size=messages.MOST_BYTES,
        )
        if not socket.can_prepare(request):
            return refusal(
                426,
                "request",
                "Upgrade: is missing; open this address with a WebSocket client",
                {"Upgrade": "websocket"},
            )
        if why := self._places.refusal(holder):
            return come_again(429, "limit", why)
        with self._places.taken(holder):
            await socket.prepare(request)
            talk = Talk(
                socket,
                request,
                hubs=self._hubs,
                places=self._places,
                settings=self._settings,
                holder=holder,
            )
            self._open.add(talk)
            try:
                await talk.run()
            finally:
                self._open.discard(talk)
        return socket
