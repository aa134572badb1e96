"""Does the live page stay fast and small while results come?

    python bench/page.py                              # 500 results/s for 2 minutes
    python bench/page.py --rate 500 --minutes 30

Starts a broker, ``headrace gateway``, a publisher of made-up results of 200 cameras and more, and a
Chromium that looks at the page. Reports the time to first content and to the first result, and over
time the JavaScript heap after a collection, the memory and processor time of gateway and
renderer, and tasks of the page longer than 50 ms. Ends with 1 if content came later than it may, or
memory grew by more than it may between the first third and the end.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from playwright.async_api import Browser, CDPSession, Page, async_playwright
from rich.console import Console
from rich.table import Table

from streams.broker import AUTO, PROVIDERS, open_broker

HERE = Path(__file__).parent
MEBIBYTE = 1024 * 1024
MOST_CONTENT_MS = 1_000.0
MOST_GROWTH = 0.10
SLACK_MIB = 4.0
"""Growth that a collection's timing alone can make."""
LOOKS = 12
READY_S = 30.0
WARM_S = 5.0
WATCH = """
window.seenTasks = [];
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.seenTasks.push(task.duration);
}).observe({ type: "longtask", buffered: true });
"""
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
ROWS = "#results-rows tr:not([hidden])"


@dataclass(frozen=True, slots=True)
class Look:
    """One moment; memory in MiB, processor time in cores since the look before."""

    at_s: float
    heap_mib: float
    nodes: int
    renderer_mib: float
    gateway_mib: float
    renderer_cores: float
    gateway_cores: float
    rate: str
    cameras: int
    long_tasks: int
    longest_ms: float


@dataclass(frozen=True, slots=True)
class First:
    """How long the first content took, on a warm gateway, in milliseconds from the navigation."""

    paint_ms: float
    result_ms: float


@asynccontextmanager
async def gateway(servers: str) -> AsyncIterator[tuple[str, psutil.Process]]:
    """Run ``headrace gateway``; yield the page's address and the process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", "gateway", "--port", "0"),
        *("--bootstrap-servers", servers),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1"},
    )
    try:
        if process.stderr is None:
            raise RuntimeError("the gateway has no standard error")
        async with asyncio.timeout(READY_S):
            line = ""
            while not (found := re.search(r"http://127\.0\.0\.1:\d+", line)):
                line = (await process.stderr.readline()).decode()
        yield f"{found[0]}/", psutil.Process(process.pid)
    finally:
        await _ended(process)


@asynccontextmanager
async def publishing(
    servers: str, rate: float, seconds: float, cameras: int
) -> AsyncIterator[None]:
    """Run the publisher beside this."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(HERE / "made_up.py"), "--bootstrap-servers", servers),
        *("--rate", str(rate), "--seconds", str(seconds), "--cameras", str(cameras)),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.wait()


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a browser without a screen."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("page.py: needs chromium or google-chrome on the PATH")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


async def opened(browser: Browser, url: str) -> tuple[Page, First]:
    """Open the page and wait for its first result."""
    page = await browser.new_page(viewport={"width": 1440, "height": 900})
    await page.add_init_script(WATCH)
    began = time.monotonic()
    await page.goto(url)
    await page.wait_for_selector(ROWS)
    result_ms = (time.monotonic() - began) * 1e3
    return page, First(await page.evaluate(FIRST_PAINT), result_ms)


class Looker:
    """Looks at the page and the processes again and again."""

    def __init__(self, page: Page, session: CDPSession, server: psutil.Process) -> None:
        self._page = page
        self._session = session
        self._server = server
        self._renderers = [
            one for one in psutil.Process().children(recursive=True) if _is_renderer(one)
        ]
        self._began = self._before = time.monotonic()
        self._cpu = self._used()

    async def look(self) -> Look:
        """Take one look, after a collection of garbage."""
        await self._session.send("HeapProfiler.collectGarbage")
        answer = await self._session.send("Performance.getMetrics")
        metrics = {one["name"]: one["value"] for one in answer["metrics"]}
        tasks: list[float] = await self._page.evaluate("window.seenTasks.splice(0)")
        now, cpu = time.monotonic(), self._used()
        passed, before = now - self._before, self._cpu
        self._before, self._cpu = now, cpu
        return Look(
            at_s=round(now - self._began, 1),
            heap_mib=round(metrics["JSHeapUsedSize"] / MEBIBYTE, 2),
            nodes=int(metrics["Nodes"]),
            renderer_mib=round(sum(_rss_mib(one) for one in self._renderers), 1),
            gateway_mib=round(_rss_mib(self._server), 1),
            renderer_cores=round((cpu[0] - before[0]) / passed, 3),
            gateway_cores=round((cpu[1] - before[1]) / passed, 3),
            rate=await self._page.inner_text("#fact-rate"),
            cameras=await self._page.locator("#wall li").count(),
            long_tasks=len(tasks),
            longest_ms=round(max(tasks, default=0.0), 1),
        )

    def _used(self) -> tuple[float, float]:
        return sum(_cpu_s(one) for one in self._renderers), _cpu_s(self._server)


def _is_renderer(process: psutil.Process) -> bool:
    try:
        return "--type=renderer" in process.cmdline()
    except psutil.Error:
        return False


def _rss_mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss / MEBIBYTE) if process.is_running() else 0.0


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def measure(
    told: argparse.Namespace, show: Callable[[Look], None]
) -> tuple[First, list[Look]]:
    """Do it all; ``show`` is called at each look."""
    seconds = told.minutes * 60
    async with (
        open_broker(told.provider) as broker,
        publishing(broker.bootstrap_servers, told.rate, seconds + 60, told.cameras),
        gateway(broker.bootstrap_servers) as (url, server),
        chromium() as browser,
    ):
        warm, _ = await opened(browser, url)
        await asyncio.sleep(WARM_S)
        await warm.close()
        page, first = await opened(browser, url)
        session = await page.context.new_cdp_session(page)
        await session.send("Performance.enable")
        return first, await _looks(Looker(page, session, server).look, seconds, show)


async def _looks(
    look: Callable[[], Awaitable[Look]], seconds: float, show: Callable[[Look], None]
) -> list[Look]:
    looks: list[Look] = []
    for _ in range(LOOKS):
        await asyncio.sleep(seconds / LOOKS)
        looks.append(await look())
        show(looks[-1])
    return looks


def failings(first: First, looks: list[Look]) -> list[str]:
    """Say what is not as it should be."""
    told = []
    if first.paint_ms > MOST_CONTENT_MS:
        told.append(
            f"first content after {first.paint_ms:.0f} ms; {MOST_CONTENT_MS:.0f} are allowed"
        )
    third = looks[len(looks) // 3 - 1]
    for name in ("heap_mib", "gateway_mib", "renderer_mib"):
        early, late = getattr(third, name), getattr(looks[-1], name)
        if late > early * (1 + MOST_GROWTH) + SLACK_MIB:
            told.append(
                f"{name} grew from {early} to {late} between {third.at_s:.0f} s and the end"
            )
    return told


def _row(look: Look) -> list[str]:
    return [str(value) for value in asdict(look).values()]


def main() -> None:
    """Measure as told, and show it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=500.0, help="results per second")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--cameras", type=int, default=200)
    parser.add_argument("--provider", choices=[AUTO, *PROVIDERS], default=AUTO)
    parser.add_argument("--json", action="store_true", help="end with one JSON object on stdout")
    told = parser.parse_args()
    console = Console(stderr=told.json)
    first, looks = asyncio.run(measure(told, lambda look: console.print(look, soft_wrap=True)))
    table = Table(*asdict(looks[0]), box=None)
    for look in looks:
        table.add_row(*_row(look))
    console.print(table)
    console.print(f"first content {first.paint_ms:.0f} ms, first result {first.result_ms:.0f} ms")
    wrong = failings(first, looks)
    for one in wrong:
        console.print(one, style="bold red")
    if told.json:
        document: dict[str, Any] = {**asdict(first), "looks": [asdict(look) for look in looks]}
        print(json.dumps(document | {"failings": wrong}))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
