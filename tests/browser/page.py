"""The live page in a real browser, on a gateway that can be restarted."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright, expect

from streams.connection import Connection
from streams.gateway.page.settings import PageSettings
from streams.gateway.server import Gateway, serve
from streams.gateway.settings import GatewaySettings
from streams.gateway.tokens import Tokens

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """Return where a Chromium is installed."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@asynccontextmanager
async def browser(path: str) -> AsyncIterator[Browser]:
    """Run a browser without a screen."""
    async with async_playwright() as playwright:
        # Within a container there may be no room for a sandbox; the only page is our own.
        running = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield running
        finally:
            await running.close()


@dataclass
class Served:
    """A gateway of its own, on a port that stays."""

    servers: str
    topics: tuple[str, ...]
    tokens: Sequence[str] = ()
    port: int = 0
    runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/"

    async def start(self) -> None:
        """Listen."""
        told = GatewaySettings(
            port=self.port, topics=self.topics, page=PageSettings(linger_ms=1_000)
        )
        made = Gateway(Connection(self.servers), told, Tokens(self.tokens))
        self.runner, self.port = await serve(made, told.host, told.port)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen as long as this lasts."""
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Go away."""
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None


@dataclass
class Seen:
    """A page that is looked at, and what it did besides.

    Attributes:
        requests: Addresses that it asked.
        complaints: What it wrote to the console as a warning or error, and exceptions.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Listen to it."""
        self.page.on("request", self._asked)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    async def until_live(self) -> None:
        """Wait for the stream."""
        await expect(self.page.locator("#status")).to_have_attribute(
            "data-state", "live", timeout=15_000
        )
