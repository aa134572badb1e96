"""Firefox as Debian has it, driven through WebDriver BiDi on its remote debugging port."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("firefox-esr", "firefox")
READY_S = 60.0


def firefox() -> str | None:
    """Return where a Firefox is installed."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Window:
    """A window of a running Firefox.

    Attributes:
        complaints: Warnings and errors that pages wrote, and exceptions.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.complaints: list[str] = []
        self._socket = socket
        self._number = 0
        self._context = ""

    async def begin(self) -> None:
        """Start a session, and listen to what pages complain of."""
        await self.call("session.new", capabilities={})
        await self.call("session.subscribe", events=["log.entryAdded"])
        self._context = (await self.call("browsingContext.getTree"))["contexts"][0]["context"]

    async def open(self, url: str, width: int, height: int) -> None:
        """Show a page, and wait until it is loaded."""
        size = {"width": width, "height": height}
        await self.call("browsingContext.setViewport", context=self._context, viewport=size)
        await self.call("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        """Return what an expression is worth in the page: a string, number or truth value."""
        answer = await self.call(
            "script.evaluate",
            expression=expression,
            target={"context": self._context},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        return answer["result"].get("value")

    async def until(self, expression: str, wanted: Any) -> None:
        """Wait until an expression is worth something."""
        async with asyncio.timeout(READY_S):
            while True:
                if await self.evaluate(expression) == wanted:
                    return
                await asyncio.sleep(0.1)

    async def call(self, method: str, **params: Any) -> Any:
        """Send a command; return its result."""
        self._number += 1
        number = self._number
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(READY_S):
            while True:
                said = json.loads((await self._socket.receive()).data)
                if said.get("method") == "log.entryAdded":
                    self._heard(said["params"])
                elif said.get("id") == number:
                    assert said["type"] == "success", said
                    return said["result"]

    def _heard(self, entry: dict[str, Any]) -> None:
        if entry["level"] in {"error", "warn"}:
            self.complaints.append(entry["text"])


@asynccontextmanager
async def window(path: str, profile: Path) -> AsyncIterator[Window]:
    """Run a Firefox without a screen, with a new profile in a directory."""
    process = await asyncio.create_subprocess_exec(
        *(path, "--headless", "--no-remote", "--profile", str(profile)),
        *("--remote-debugging-port", "0"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        address = await _address(process)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{address}/session", max_msg_size=0) as socket,
        ):
            opened = Window(socket)
            await opened.begin()
            yield opened
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    async with asyncio.timeout(READY_S):
        while line := await process.stderr.readline():
            if found := re.search(r"ws://\S+", line.decode(errors="replace")):
                return found[0]
    raise AssertionError("Firefox ended without an address of its remote protocol")
