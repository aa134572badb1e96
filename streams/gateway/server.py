"""The gateway's HTTP side: who may come in, and streams of server-sent events."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import orjson
from aiohttp import web
from multidict import MultiDict
from prometheus_client import REGISTRY

from schemas.errors import BrokerError, ConfigurationError
from streams import metrics
from streams.connection import Connection
from streams.gateway.answers import come_again, refusal
from streams.gateway.asking import asked, start_of
from streams.gateway.guard import Guard
from streams.gateway.hub import Client, Hub, Passing
from streams.gateway.page.live import Page
from streams.gateway.settings import GatewaySettings
from streams.gateway.tokens import Tokens
from streams.health import Health
from streams.health import application as health_application
from streams.listening import listen
from streams.subscription import KINDS, Reading, Start, Subscription, subscribed_kind
from streams.subscription.positions import from_token
from streams.subscription.starting import READ_BACK
from streams.topics import kind_of

FOLLOWED = "those named " + ", ".join(kind.named for kind in KINDS.values())
SSE_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


class Gateway:
    """Serves streams of topics.

    Args:
        connection: How to reach the brokers.
        settings: Limits.
        tokens: Who may ask.
    """

    def __init__(self, connection: Connection, settings: GatewaySettings, tokens: Tokens) -> None:
        self._connection = connection
        self._settings = settings
        self._guard = Guard(tokens, settings)
        self._hubs: dict[str, Hub] = {}
        self._starting = asyncio.Lock()
        self._clients: Counter[str] = Counter()
        self._open: set[Client] = set()

    def application(self) -> web.Application:
        """Build the endpoints."""
        app = health_application(Health(), lambda: REGISTRY)
        app.middlewares.append(self._guard.check)
        app.add_routes(self._guard.routes())
        app.add_routes([web.get("/v1/stream/{topic}", self._stream)])
        app.on_shutdown.append(self._stop)
        if self._settings.page.enabled:
            Page(self._connection, self._settings.page, self._settings.topics).add_to(app)
        return app

    async def _stop(self, _: web.Application) -> None:
        for client in self._open:
            client.end()
        for hub in list(self._hubs.values()):
            await hub.stop()

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        topic, holder = request.match_info["topic"], self._guard.holder(request) or ""
        if not self._may_be_followed(topic):
            return refusal(
                404,
                "request",
                f"topic: {topic[:249]!r} cannot be followed; there are "
                + (", ".join(self._settings.topics) or FOLLOWED),
            )
        if why := self._full(holder):
            return come_again(429, "limit", why)
        with self._counted(holder, topic):
            try:
                choosing = asked(topic, request.query)
                start = start_of(topic, request.query, request.headers)
                hub = await self._hub(topic)
            except ConfigurationError as error:
                return refusal(400, "request", str(error))
            except BrokerError as error:
                return come_again(503, "broker", str(error))
            transport = request.transport

            def cut() -> None:
                metrics.GATEWAY_CUT.labels(topic).inc()
                if transport is not None:
                    transport.abort()

            client = Client(choosing, self._settings.max_queued_events, cut)
            return await self._serve(request, hub, client, topic, start)

    async def _serve(
        self, request: web.Request, hub: Hub, client: Client, topic: str, start: Start
    ) -> web.StreamResponse:
        """Send a client what it asked for until it leaves, is cut, or the hub ends."""
        backlog = self._backlog(hub, client, topic, start)
        if backlog is not None:
            try:
                await backlog.__aenter__()
            except ConfigurationError as error:
                return refusal(400, "request", str(error))
            except BrokerError as error:
                return come_again(503, "broker", str(error))
            client.positions = dict(backlog.positions)
        response = web.StreamResponse(headers=SSE_HEADERS)
        self._open.add(client)
        tasks: list[asyncio.Task[None]] = []
        try:
            await response.prepare(request)
            tasks.append(asyncio.create_task(self._write(response, client, topic)))
            if backlog is not None:
                tasks.append(asyncio.create_task(_catch_up(backlog, hub, client)))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            hub.clients.discard(client)
            self._open.discard(client)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if backlog is not None:
                await backlog.aclose()
        return response

    def _backlog(
        self, hub: Hub, client: Client, topic: str, start: Start
    ) -> Subscription[Any] | None:
        """Let a client join the hub at once where that has all it asks for, else read for it."""
        if start == "end":
            hub.join(client, hub.positions)
            return None
        if isinstance(start, str) and start != "beginning":
            positions = from_token(start, [topic])
            ahead = any(positions[one] > hub.positions.get(one, -1) for one in positions)
            if hub.covers(positions, back=READ_BACK) and not ahead:
                hub.join(client, positions)
                return None
        passing = Passing(client.choosing)
        return Subscription(self._connection, [topic], passing, Reading(start=start), client.seen)

    async def _write(self, response: web.StreamResponse, client: Client, topic: str) -> None:
        """Send what waits; ends in a ``ConnectionError`` alone."""
        sent = metrics.GATEWAY_EVENTS.labels(topic)
        kind = subscribed_kind(topic).event
        if client.is_idle:
            await response.write(_heartbeat(client.token))
        while True:
            try:
                async with asyncio.timeout(self._settings.heartbeat_ms / 1e3):
                    token, value = await client.next()
            except TimeoutError:
                # Something may have come since; a heartbeat's id would be ahead of it.
                if client.is_idle:
                    await response.write(_heartbeat(client.token))
                continue
            body = orjson.dumps(msgspec.to_builtins(value))
            await response.write(f"event: {kind}\nid: {token}\ndata: ".encode() + body + b"\n\n")
            sent.inc()

    async def _hub(self, topic: str) -> Hub:
        async with self._starting:
            if topic not in self._hubs:

                def failed() -> None:
                    self._hubs.pop(topic, None)

                hub = Hub(
                    self._connection,
                    topic,
                    asked(topic, MultiDict()),
                    self._settings.max_queued_events,
                    failed,
                )
                await hub.start()
                self._hubs[topic] = hub
            return self._hubs[topic]

    def _may_be_followed(self, topic: str) -> bool:
        if self._settings.topics:
            return topic in self._settings.topics
        return kind_of(topic) in KINDS

    def _full(self, holder: str) -> str | None:
        if self._clients.total() >= self._settings.max_clients:
            return f"max_clients: {self._settings.max_clients} streams are open; come back later"
        if self._clients[holder] >= self._settings.max_clients_per_token:
            most = self._settings.max_clients_per_token
            return f"max_clients_per_token: {most} streams are open with this token; close one"
        return None

    @contextmanager
    def _counted(self, holder: str, topic: str) -> Iterator[None]:
        open_now = metrics.GATEWAY_CLIENTS.labels(topic)
        self._clients[holder] += 1
        open_now.inc()
        try:
            yield
        finally:
            self._clients[holder] -= 1
            open_now.dec()


async def _catch_up(backlog: Subscription[Any], hub: Hub, client: Client) -> None:
    """Read a client's back-log until the hub has all that follows it, then let it join."""
    async for received in backlog.received():
        value, chosen = received.value
        client.offer(received.record, value, chosen=chosen)
        await client.has_room()
        if hub.covers(backlog.positions):
            await client.drained()
            if hub.covers(backlog.positions):
                hub.join(client, backlog.positions)
                return


def _heartbeat(token: str) -> bytes:
    """Return a comment and an id: a client that was sent nothing yet can resume, too."""
    return f": heartbeat\nid: {token}\n\n".encode()


async def serve(gateway: Gateway, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Listen; return what to clean up and the port that was taken.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """
    # A client that leaves makes room at once, not at the next heartbeat.
    runner = web.AppRunner(
        gateway.application(), access_log=None, handler_cancellation=True, shutdown_timeout=5.0
    )
    return runner, await listen(runner, host, port, setting="gateway.port")
