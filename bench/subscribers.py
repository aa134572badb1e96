"""What the gateway does for its subscribers: nothing lost or doubled, and how soon for how many.

    python bench/subscribers.py            # about six minutes
    python bench/subscribers.py --quick    # two

First one subscriber is cut at random moments and resumes, while results flow, some of them twice as
after a worker's recovery, and the gateway is killed and started anew among it. Then 500 subscribers
listen at once: each to ten of 500 instruments, as desks do, and to everything, at rising rates. All
processes run on this machine; times are from before a result is handed to its producer to its
arrival at a client. See docs/benchmarks.md.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from end_to_end import broker
from report import facts
from usage import Usage, listening, tree

from streams.broker.ports import free_ports
from streams.connection import Connection
from streams.gateway.settings import TOKENS_VARIABLE
from streams.topics import ensure_topics

HERE = Path(__file__).parent
TOKEN = secrets.token_hex(16)
MOST_CLIENTS = "HEADRACE_GATEWAY__MAX_CLIENTS_PER_TOKEN"
PARTITIONS = 3
LIMIT_MS = 250.0
OWN = 10
"""Instruments that a subscriber who does not ask for everything asks for."""
SLOW = 5
STARTED_S = 60.0


class Resumed(msgspec.Struct, kw_only=True):
    """What one subscriber got over many connections."""

    sent: int
    sent_twice: int
    connections: int
    restarts: int
    lost: int
    doubled: int


class Spread(msgspec.Struct, kw_only=True):
    """What many subscribers got at once; times in milliseconds."""

    clients: int
    each: str
    rate: float
    deliveries_per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    open: int
    complete: bool
    slow: int
    cut: int
    behind_ms: float
    cores: dict[str, float]
    passed: bool


class Figures(msgspec.Struct, kw_only=True):
    """A whole run."""

    facts: dict[str, Any]
    resumed: Resumed | None
    spread: list[Spread]


@asynccontextmanager
async def gateway(servers: str, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a gateway until this is left; then it is killed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", "gateway", "--port", str(port)),
        *("--bootstrap-servers", servers),
        env={
            **os.environ,
            TOKENS_VARIABLE: TOKEN,
            MOST_CLIENTS: "1000",
            "HEADRACE_LOG_LEVEL": "error",
        },
    )
    try:
        await _until_ready(port)
        yield process
    finally:
        process.kill()
        await process.wait()


async def _until_ready(port: int) -> None:
    async with asyncio.timeout(STARTED_S), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/healthz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)


async def program(name: str, *arguments: str) -> asyncio.subprocess.Process:
    """Start a part of this benchmark."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, str(HERE / name), *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def said(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """Read a line of a part's answers."""
    assert process.stdout  # noqa: S101 - made with a pipe
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("a process of the benchmark ended; see its error above")
    found: dict[str, Any] = json.loads(line)
    return found


class Subscriber:
    """A client that resumes, over HTTP, with the id of the last event that it has."""

    def __init__(self, port: int, topic: str) -> None:
        self._address = f"http://127.0.0.1:{port}/v1/stream/{topic}"
        self._last_id: str | None = None
        self.taken: Counter[int] = Counter()
        self.connections = 0

    async def read(self, seconds: float) -> None:
        """Connect, and read for so long; whatever goes wrong, it comes back with what it has."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        if self._last_id is not None:
            headers["Last-Event-ID"] = self._last_id
        with contextlib.suppress(TimeoutError, aiohttp.ClientError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(STARTED_S)) as session,
                session.get(self._address, headers=headers) as response,
            ):
                response.raise_for_status()
                self.connections += 1
                async with asyncio.timeout(seconds):
                    await self._take(response)

    async def _take(self, response: aiohttp.ClientResponse) -> None:
        waiting: list[int] = []
        last_id = ""
        # What came whole counts, what the cut leaves in the middle does not.
        async for line in response.content:
            name, _, value = line.rstrip(b"\n").partition(b": ")
            if name == b"id":
                last_id = value.decode()
            elif name == b"data":
                waiting.append(json.loads(value)["source"]["offset"])
            elif not name:  # only now is the event complete
                self.taken.update(waiting)
                self._last_id = last_id
                waiting.clear()


async def resume(servers: str, options: argparse.Namespace) -> Resumed:
    """Cut a subscriber again and again, and restart the gateway; then look what it has."""
    topic = await _topic(servers)
    (port,) = free_ports(1)
    chance = random.Random(options.seed)  # noqa: S311 - moments, no secret
    subscriber = Subscriber(port, topic)
    turns, restarts = options.reconnects, 0
    seconds = 3.0 + turns * 0.8
    async with gateway(servers, port):
        await subscriber.read(1.0)
    publishing = await program(
        "subscriber_results.py",
        *("--bootstrap-servers", servers, "--topic", topic, "--rate", "300"),
        *("--seconds", str(seconds), "--repeated", "0.02", "--seed", str(options.seed)),
    )
    for _ in range(5):
        restarts += 1
        async with gateway(servers, port):
            for _ in range(turns // 5):
                await subscriber.read(chance.uniform(0.05, 1.2))
    sent = await said(publishing)
    await publishing.wait()
    async with gateway(servers, port):
        await subscriber.read(10.0)
    expected = int(sent["sent"])
    return Resumed(
        sent=expected,
        sent_twice=await _records(servers, topic) - expected,
        connections=subscriber.connections,
        restarts=restarts,
        lost=sum(number not in subscriber.taken for number in range(expected)),
        doubled=sum(count - 1 for count in subscriber.taken.values()),
    )


async def _records(servers: str, topic: str) -> int:
    from streams.topics import describe_topics  # noqa: PLC0415

    (state,) = await describe_topics(Connection(servers), [topic])
    return state.messages


async def spread(servers: str, options: argparse.Namespace, *, each: int, rate: float) -> Spread:
    """Let many listen at once."""
    topic = await _topic(servers)
    (port,) = free_ports(1)
    slow = SLOW if each else 0
    async with gateway(servers, port) as serving:
        listeners = await program(
            "subscriber_clients.py",
            *("--port", str(port), "--token", TOKEN, "--topic", topic),
            *("--clients", str(options.clients), "--each", str(each), "--slow", str(slow)),
        )
        connected = await said(listeners)
        if connected["connected"] != options.clients:
            raise RuntimeError(f"only {connected['connected']} clients were let in")
        publishing = await program(
            "subscriber_results.py",
            *("--bootstrap-servers", servers, "--topic", topic),
            *("--rate", str(rate), "--seconds", str(options.seconds)),
        )
        usage = Usage(
            {
                "gateway": tree(serving.pid),
                "clients": tree(listeners.pid),
                "publisher": tree(publishing.pid),
                "broker": listening(servers),
            }
        )
        usage.start()
        began = time.monotonic()
        sent = await said(publishing)
        cores = usage.cores()
        took_s = time.monotonic() - began
        await asyncio.sleep(2.0)
        cut = await _cut(port)
        assert listeners.stdin  # noqa: S101 - made with a pipe
        listeners.stdin.close()
        seen = await said(listeners)
        await listeners.wait()
        await publishing.wait()
    of_each = sent["by_ticker"]
    wanted = [sum(of_each[one] for one in asked) for asked in seen["asked"]]
    complete = seen["events"] == (wanted if each else [sent["sent"]] * options.clients)
    return Spread(
        clients=options.clients,
        each=f"{each} of 500 instruments" if each else "everything",
        rate=rate,
        deliveries_per_s=sum(seen["events"]) / took_s,
        p50_ms=seen["p50_ms"],
        p99_ms=seen["p99_ms"],
        max_ms=seen["max_ms"],
        open=seen["open"],
        complete=complete,
        slow=slow,
        cut=cut,
        behind_ms=sent["behind_ms"],
        cores=cores,
        passed=complete and seen["open"] == options.clients and seen["p99_ms"] <= LIMIT_MS,
    )


async def _cut(port: int) -> int:
    """Return how many clients the gateway has cut."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as response,
    ):
        text = await response.text()
    name = "headrace_gateway_cut_clients_total{"
    return int(sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name)))


async def _topic(servers: str) -> str:
    topic = f"results.bench-{time.time_ns():x}"
    await ensure_topics(Connection(servers), [topic], partitions=PARTITIONS)
    return topic


async def measure(options: argparse.Namespace) -> Figures:
    """Measure all."""
    figures = Figures(facts=facts(), resumed=None, spread=[])
    async with broker(options) as (servers, provider):
        figures.facts["broker"] = provider
        if options.reconnects:
            figures.resumed = await resume(servers, options)
            print(_told(figures.resumed), flush=True)
        own = [(OWN, options.rate)] if options.rate else []
        for each, rate in [*own, *((0, float(rate)) for rate in options.rates)]:
            figures.spread.append(await spread(servers, options, each=each, rate=rate))
            print(_row(figures.spread[-1]), flush=True)
    return figures


def _told(found: Resumed) -> str:
    return (
        f"{found.connections} connections, {found.restarts} restarts of the gateway, "
        f"{found.sent:,} results, {found.sent_twice:,} of them twice: "
        f"{found.lost} lost, {found.doubled} doubled"
    )


def _row(found: Spread) -> str:
    cores = ", ".join(f"{role} {used:.2f}" for role, used in found.cores.items())
    return (
        f"{found.clients} clients of {found.each}, {found.rate:,.0f}/s: "
        f"{found.deliveries_per_s:,.0f} deliveries/s, p50 {found.p50_ms:.0f} ms, "
        f"p99 {found.p99_ms:.0f} ms, max {found.max_ms:.0f} ms, {found.open} open, "
        f"{'all' if found.complete else 'NOT all'} delivered, {found.cut} of {found.slow} slow "
        f"ones cut, publisher {found.behind_ms:.0f} ms behind; cores: {cores}; "
        f"{'passed' if found.passed else 'NOT passed'}"
    )


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter")
    parser.add_argument("--bootstrap-servers", help="use this broker instead of starting one")
    parser.add_argument("--broker", default="auto", help="provider of the broker to start")
    parser.add_argument("--reconnects", type=int, help="of the one subscriber [50]")
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument(
        "--rate", type=float, default=1_000.0, help="results a second, filtered; 0: none"
    )
    parser.add_argument("--rates", type=float, nargs="*", help="results a second, unfiltered")
    parser.add_argument("--seconds", type=float, help="of each load [30]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "subscribers.json")
    options = parser.parse_args()
    if options.reconnects is None:
        options.reconnects = 20 if options.quick else 50
    if options.rates is None:
        options.rates = [50] if options.quick else [20, 50, 100, 200]
    options.seconds = options.seconds or (10.0 if options.quick else 30.0)
    figures = asyncio.run(measure(options))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2))
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
