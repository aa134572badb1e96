"""An endpoint that webhooks post to, over real HTTP; a test says how it behaves."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Behaviour = Callable[["Received"], "Reply"]


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    headers: dict[str, str]
    body: bytes
    path: str

    @property
    def id(self) -> str:
        """What names the record."""
        return self.headers["webhook-id"]


@dataclass(frozen=True)
class Reply:
    """How a request is answered.

    Attributes:
        after_s: How long that takes.
    """

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    after_s: float = 0.0


class Receiver:
    """Notes what comes, and answers as it is told.

    Attributes:
        requests: All that came.
        accepted: Of them, those that were answered with 2xx.
        replies: To the next requests, in their order; then as ``behaviour`` says.
    """

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.accepted: list[Received] = []
        self.replies: deque[Reply] = deque()
        self.behaviour: Behaviour = lambda _: Reply()
        self.at_once = 0
        self.most_at_once = 0
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where to post to."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def accepted_ids(self) -> list[str]:
        """The ids of what was accepted, in its order."""
        return [one.id for one in self.accepted]

    async def start(self) -> None:
        """Listen: on a free port at first, then on the same again."""
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Listen no more, and break off what is under way."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def until(self, holds: Callable[[], Any], timeout_s: float = 30.0) -> None:
        """Wait until something holds of what came."""
        async with asyncio.timeout(timeout_s):
            while True:
                if holds():
                    return
                await asyncio.sleep(0.02)

    async def _answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(headers, await request.read(), request.path)
        self.requests.append(received)
        reply = self.replies.popleft() if self.replies else self.behaviour(received)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(reply.after_s)
        finally:
            self.at_once -= 1
        if 200 <= reply.status < 300:
            self.accepted.append(received)
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver()
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()
