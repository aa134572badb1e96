"""The page's own stream, ``/v1/live``: what is added up, four times a second."""

import asyncio

from aiohttp import web

from schemas.errors import ConfigurationError
from streams.connection import Connection
from streams.gateway.answers import come_again, refusal
from streams.gateway.page.files import PageFiles
from streams.gateway.page.reading import holds_results
from streams.gateway.page.receipts import PATH as RESULT_PATH
from streams.gateway.page.receipts import Receipts
from streams.gateway.page.rows import asked_rows
from streams.gateway.page.settings import PageSettings
from streams.gateway.page.watching import Looker, Watch, Watching, event

PATH = "/v1/live"
WRITE_S = 30.0
"""How long a browser may take nothing before it counts as gone."""
HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}


class Page:
    """The live page and its stream.

    Args:
        connection: How to reach the brokers.
        settings: Limits.
        topics: Those that may be read; none for all that are named like ours.
    """

    def __init__(
        self, connection: Connection, settings: PageSettings, topics: tuple[str, ...]
    ) -> None:
        self._settings = settings
        self._receipts = Receipts(connection, lambda topic: holds_results(topic, topics))
        self._watch = Watch(connection, topics, settings.linger_ms / 1e3, settings.groups)

    def add_to(self, app: web.Application) -> None:
        """Serve the page as part of an application."""
        app.add_routes(
            [
                *PageFiles().routes(),
                web.get(PATH, self._live, allow_head=False),
                web.get(RESULT_PATH, self._receipts.serve, allow_head=False),
            ]
        )
        app.on_shutdown.append(self._stop)

    async def _stop(self, _: web.Application) -> None:
        await self._watch.stop()

    async def _live(self, request: web.Request) -> web.StreamResponse:
        if self._watch.count >= self._settings.max_viewers:
            why = f"max_viewers: {self._settings.max_viewers} look at the page; come back later"
            return come_again(429, "limit", why)
        try:
            looker = Looker(asked_rows(request.query))
        except ConfigurationError as error:
            return refusal(400, "request", str(error))
        response = web.StreamResponse(headers=HEADERS)
        watching = self._watch.join(looker)
        try:
            await response.prepare(request)
            await _send(response, watching, looker)
        except (ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._watch.leave(looker)
        return response


async def _send(response: web.StreamResponse, watching: Watching, looker: Looker) -> None:
    """Send everything, then what changes; to who has missed a tick, everything again."""
    newest = {"rows": watching.newest(looker.filter), "passed_over": 0, "whole": True}
    looker.take()
    first = event("rows", newest)
    while not looker.is_over:
        is_next = looker.tick and watching.tick - looker.tick <= 1
        body = watching.frame if is_next else watching.snapshot()
        looker.tick = watching.tick
        rows = looker.take()
        more = event("rows", rows) if rows else b""
        async with asyncio.timeout(WRITE_S):
            await response.write(body + first + more or b":\n\n")
        first = b""
        looker.woken.clear()
        await looker.woken.wait()
