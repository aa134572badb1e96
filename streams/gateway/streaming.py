"""Streams of server-sent events."""

from contextlib import suppress

from aiohttp import HttpVersion11, hdrs, web

from schemas.errors import BrokerError, ConfigurationError
from streams import metrics
from streams.gateway.answers import come_again, refusal
from streams.gateway.asking import LAST_EVENT_ID, asked, resumed, start_of, takes_gzip
from streams.gateway.follower import Follower
from streams.gateway.guard import Guard
from streams.gateway.hubs import Hubs
from streams.gateway.outbox import Outbox
from streams.gateway.places import Places
from streams.gateway.settings import GatewaySettings, refused_topic
from streams.gateway.silence import Silence
from streams.gateway.wires import ServerSent
from streams.subscription import Choosing, Start

STREAM_PATH = "/v1/stream/{topic}"
HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
    "Vary": "Accept-Encoding",
}


class Streaming:
    """Serves streams over HTTP.

    Args:
        hubs: What can be followed.
        guard: Says who asks.
        places: How many there may be.
        settings: Limits.
    """

    def __init__(self, hubs: Hubs, guard: Guard, places: Places, settings: GatewaySettings) -> None:
        self._hubs = hubs
        self._guard = guard
        self._places = places
        self._settings = settings
        self._open: set[Outbox] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return the endpoint."""
        return [web.get(STREAM_PATH, self._stream, allow_head=False)]

    def stop(self) -> None:
        """End all streams."""
        for outbox in self._open:
            outbox.end()

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        topic, holder = request.match_info["topic"], self._guard.holder(request) or ""
        if why := refused_topic(self._settings, topic):
            return refusal(404, "request", why)
        if why := self._places.refusal(holder):
            return come_again(429, "limit", why)
        with self._places.taken(holder, topic):
            try:
                choosing = asked(topic, request.query)
                start = start_of(topic, request.query)
                if last_id := request.headers.get(LAST_EVENT_ID):
                    start = resumed(topic, last_id, field=LAST_EVENT_ID)
                return await self._serve(request, topic, choosing, start)
            except ConfigurationError as error:
                return refusal(400, "request", str(error))
            except BrokerError as error:
                return come_again(503, "broker", str(error))

    async def _serve(
        self, request: web.Request, topic: str, choosing: Choosing[object], start: Start
    ) -> web.StreamResponse:
        """Send a client what it asked for until it leaves, is cut, or there is no more."""
        wire = ServerSent(
            is_chunked=request.version >= HttpVersion11,
            is_compressed=self._settings.compress
            and takes_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, "")),
        )
        settings = self._settings
        outbox = Outbox(settings.max_queued_events, settings.max_queued_bytes, wire.packed)
        transport = request.transport

        def cut() -> None:
            metrics.GATEWAY_CUT.labels(topic).inc()
            if transport is not None:
                transport.abort()

        follower = Follower(
            choosing=choosing,
            outbox=outbox,
            wire=wire,
            opened=lambda token: outbox.put(_heartbeat(token)),
            missed=lambda offsets: outbox.put(_missed(offsets)),
            cut=cut,
            ended=lambda _: outbox.end(),  # it comes back with its last id
            sent=metrics.GATEWAY_EVENTS.labels(topic).inc,
        )
        async with self._hubs.followed(topic, follower, start):
            response = web.StreamResponse(headers=_headers(wire))
            self._open.add(outbox)
            try:
                await response.prepare(request)
                await response.write(wire.preamble)
                await self._write(request, follower)
            finally:
                self._open.discard(outbox)
        return response

    async def _write(self, request: web.Request, follower: Follower) -> None:
        """Send what waits, until the client leaves or there is no more."""
        outbox = follower.outbox

        def tell_position() -> None:
            if outbox.is_idle:  # else the id would be ahead of what waits
                outbox.put(_heartbeat(follower.token))

        silence = Silence(self._settings.heartbeat_ms / 1e3, tell_position)
        with suppress(ConnectionError), silence.watched():
            if request.transport is not None:
                await outbox.write_to(request.transport, request.writer.drain, silence.broken)


def _headers(wire: ServerSent) -> dict[str, str]:
    return HEADERS | ({"Content-Encoding": "gzip"} if wire.is_compressed else {})


def _missed(offsets: int) -> bytes:
    """Return an event without an id: where the stream stands has been told, or is with the next."""
    return b'event: missed\ndata: {"offsets":%d}\n\n' % offsets


def _heartbeat(token: str) -> bytes:
    """Return a comment and an id: a client that was sent nothing yet can resume, too."""
    return f": heartbeat\nid: {token}\n\n".encode()
