"""The gateway: what it serves, put together, and listening."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from aiohttp import web
from prometheus_client import REGISTRY

from schemas.events import Modality
from streams.connection import Connection
from streams.gateway.cross_origin import naming_origins
from streams.gateway.documents import endpoints as documents
from streams.gateway.guard import Guard
from streams.gateway.hubs import Hubs
from streams.gateway.ingest.endpoints import Ingest
from streams.gateway.page.live import Page
from streams.gateway.places import Places
from streams.gateway.rotation import Rotation
from streams.gateway.settings import GatewaySettings
from streams.gateway.sockets import Sockets
from streams.gateway.streaming import Streaming
from streams.gateway.tokens import Tokens
from streams.health import Health
from streams.health import application as health_application
from streams.listening import listen

IDLE_S = 75.0
"""A connection without a request, or with the beginning of one, is closed after this. Proxies keep
theirs for 60 s at most unless told otherwise, and must not find one closed."""


class Gateway:
    """Serves topics over HTTP.

    Args:
        connection: How to reach the brokers.
        settings: Limits.
        tokens: Who may ask.
        senders: Who may send events; unset for nobody.
        modalities: What the topics carry that events may be sent to.
    """

    def __init__(
        self,
        connection: Connection,
        settings: GatewaySettings,
        tokens: Tokens,
        *,
        senders: Tokens | None = None,
        modalities: Mapping[str, Modality] | None = None,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._guard = Guard(tokens, settings, senders)
        self._rotation = Rotation(settings, tokens, senders, self._guard)
        self._ingest = Ingest(connection, settings.ingest, modalities or {})
        self._hubs = Hubs(connection, settings)
        shared = self._hubs, self._guard, Places(settings), settings
        self._streaming = Streaming(*shared)
        self._sockets = Sockets(*shared)

    def application(self) -> web.Application:
        """Build the endpoints."""
        app = health_application(Health(), lambda: REGISTRY)
        app.middlewares.append(self._guard.check)
        for part in (self._guard, self._streaming, self._sockets, self._ingest):
            app.add_routes(part.routes())
        app.add_routes(documents.routes())
        app.cleanup_ctx.append(self._following_tokens)
        app.on_response_prepare.append(naming_origins(self._settings))
        app.on_shutdown.append(self._stop)
        app.on_cleanup.append(self._stop_sending)
        if self._settings.page.enabled:
            Page(self._connection, self._settings.page, self._settings.topics).add_to(app)
        return app

    async def _following_tokens(self, _: web.Application) -> AsyncIterator[None]:
        """Take up changes of the files that hold tokens."""
        settings = self._settings
        if settings.tokens_file is None and settings.ingest.tokens_file is None:
            yield
            return
        looking = asyncio.create_task(self._rotation.run())
        yield
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

    async def _stop(self, _: web.Application) -> None:
        self._streaming.stop()
        await self._sockets.stop()
        await self._hubs.stop()

    async def _stop_sending(self, _: web.Application) -> None:
        """Once requests that were under way have been answered."""
        await self._ingest.stop()


async def serve(gateway: Gateway, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Listen; return what to clean up and the port that was taken.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """
    # A client that leaves makes room at once, not at the next heartbeat.
    runner = web.AppRunner(
        gateway.application(),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=5.0,
        keepalive_timeout=IDLE_S,
    )
    return runner, await listen(runner, host, port, setting="gateway.port")
