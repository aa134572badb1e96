"""What the gateway does for its subscribers: nothing lost or doubled, and how soon for how many.

    python bench/subscribers.py            # about seven minutes
    python bench/subscribers.py --quick    # three

First one subscriber is cut at random moments and resumes, while results flow, some of them twice as
after a worker's recovery, and the gateway is killed and started anew among it. Then 500 subscribers
listen at once, over each transport: each to ten of 500 instruments, as desks do, or to all.
Of those who take everything one in ten notes each event; the others stand for other machines, and
count the bytes, which have to be as many. All processes run on this machine; times are from before
a result is handed to its producer to its arrival at a client. See docs/benchmarks.md.
"""

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from end_to_end import broker
from report import facts
from subscriber_parts import HERE, TOKEN, fresh_topic, gateway, program, said
from subscriber_resuming import Resumed, resume
from usage import Usage, listening, tree

from streams.broker.ports import free_ports

LIMIT_MS = 250.0
OWN = 10
"""Instruments that a subscriber who does not ask for everything asks for."""
SLOW = 5
SLOW_FROM = 10_000
"""Results of a load for which there are slow clients: fewer find room on their way."""
MEASURING_EVERY = 10
TRANSPORTS = ("gzip", "plain", "websocket")


class Spread(msgspec.Struct, kw_only=True):
    """What many subscribers got at once; times in milliseconds."""

    clients: int
    transport: str
    each: str
    rate: float
    deliveries_per_s: float
    megabytes_per_s: float
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


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What many are sent, and how.

    Attributes:
        transport: Of :data:`TRANSPORTS`.
        each: Instruments that each asks for; 0 for all.
        rate: Results a second.
    """

    transport: str
    each: int
    rate: float

    @property
    def measuring_every(self) -> int:
        """One in how many notes each event."""
        return 1 if self.each else MEASURING_EVERY


async def spread(servers: str, options: argparse.Namespace, load: Load) -> Spread:
    """Let many listen at once."""
    topic = await fresh_topic(servers)
    (port,) = free_ports(1)
    slow = SLOW if load.rate * options.seconds >= SLOW_FROM else 0
    async with gateway(servers, port) as serving:
        listeners = await program(
            "subscriber_clients.py",
            *("--port", str(port), "--token", TOKEN, "--topic", topic, "--slow", str(slow)),
            *("--transport", load.transport, "--measuring-every", str(load.measuring_every)),
            *("--clients", str(options.clients), "--each", str(load.each)),
        )
        connected = await said(listeners)
        if connected["connected"] != options.clients:
            raise RuntimeError(f"only {connected['connected']} clients were let in")
        publishing = await program(
            "subscriber_results.py",
            *("--bootstrap-servers", servers, "--topic", topic),
            *("--rate", str(load.rate), "--seconds", str(options.seconds)),
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
    wanted = _wanted(load, sent, seen)
    complete = _is_complete(wanted, seen)
    return Spread(
        clients=options.clients,
        transport=load.transport,
        each=f"{load.each} of 500 instruments" if load.each else "everything",
        rate=load.rate,
        deliveries_per_s=sum(wanted) / took_s,
        megabytes_per_s=sum(seen["bytes"]) / took_s / 1e6,
        p50_ms=seen["p50_ms"],
        p99_ms=seen["p99_ms"],
        max_ms=seen["max_ms"],
        open=seen["open"],
        complete=complete,
        slow=slow,
        cut=cut,
        behind_ms=sent["behind_ms"],
        cores=cores,
        passed=complete
        and (seen["open"], cut) == (options.clients, slow)
        and seen["p99_ms"] <= LIMIT_MS,
    )


def _wanted(load: Load, sent: dict[str, Any], seen: dict[str, Any]) -> list[int]:
    """Return how many events each client was to get."""
    if not load.each:
        return [sent["sent"]] * len(seen["asked"])
    return [sum(sent["by_ticker"][one] for one in asked) for asked in seen["asked"]]


def _is_complete(wanted: list[int], seen: dict[str, Any]) -> bool:
    """Say whether all got what they wanted: those who count bytes, as many as those who measure."""
    measured = [got for got in zip(wanted, seen["events"], strict=True) if got[1] is not None]
    counted = {size for size, got in zip(seen["bytes"], seen["events"], strict=True) if got is None}
    return all(events == due for due, events in measured) and (
        not counted or counted == {seen["bytes"][0]}
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
            for transport in options.transports:
                load = Load(transport=transport, each=each, rate=rate)
                figures.spread.append(await spread(servers, options, load))
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
    cpu_s = found.cores["gateway"] / found.deliveries_per_s * 1e6
    return (
        f"{found.transport}: {found.clients} clients of {found.each}, {found.rate:,.0f}/s: "
        f"{found.deliveries_per_s:,.0f} deliveries/s, {found.megabytes_per_s:.1f} MB/s, "
        f"gateway {cpu_s:.2f} s for a million; p50 {found.p50_ms:.0f} ms, "
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
    parser.add_argument("--transports", nargs="+", choices=TRANSPORTS, default=TRANSPORTS)
    parser.add_argument("--seconds", type=float, help="of each load [20]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "subscribers.json")
    options = parser.parse_args()
    if options.reconnects is None:
        options.reconnects = 20 if options.quick else 50
    if options.rates is None:
        options.rates = [1_000] if options.quick else [50, 200, 1_000]
    options.seconds = options.seconds or (10.0 if options.quick else 20.0)
    figures = asyncio.run(measure(options))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2))
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
