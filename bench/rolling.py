"""Restarts one after the other, and workers that come and go, under load: what do events notice?

    python bench/rolling.py            # about four minutes
    python bench/rolling.py --static   # each worker keeps its place in the group

Workers are processes of their own, in one group, on Apache Kafka. Events come open loop; an event
is missed if its result arrived at a subscriber after its budget, or is shed, or never came. The
longest pause is the longest time from an event's timestamp to the arrival of its result. See
docs/benchmarks.md.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import msgspec
import numpy as np
from candidates import STOP_TIMEOUT_S, known, running
from end_to_end import broker
from harness import Harness, Loaded, harness
from reader import VERDICTS
from report import facts

from schemas.events import Modality
from streams.broker.ports import free_ports
from streams.settings import Budgets

BUDGET_MS = Budgets().of(Modality.NEWS)
WORKERS = 4
BACKLOG = 20_000
READY_S = 60.0
SETTLE_S = 3.0
"""Between one restart and the next, as a careful operator would wait."""
TAIL_S = 3.0


@dataclass
class Fleet:
    """Worker processes of one group, by their number.

    Attributes:
        static: Each has a name of its own in the group.
    """

    servers: str
    group: str
    log: Path
    static: bool
    processes: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start(self, number: int) -> None:
        """Start a worker and wait until it is ready."""
        (port,) = free_ports(1)
        with self.log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                str(Path(sys.executable).with_name("headrace")),
                "run",
                "--modality=news",
                f"--bootstrap-servers={self.servers}",
                f"--group={self.group}",
                f"--metrics-port={port}",
                *([f"--group-instance-id=worker-{number}"] if self.static else []),
                env=os.environ | {"HEADRACE_CACHE__ENABLED": "false"},
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
            )
        self.processes[number] = process
        async with asyncio.timeout(READY_S), aiohttp.ClientSession() as session:
            while process.returncode is None:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.1)
        raise RuntimeError(f"a worker ended:\n{self.log.read_text()[-2_000:]}")

    async def stop(self, number: int) -> None:
        """Stop a worker in good order."""
        process = self.processes.pop(number)
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)

    async def kill(self) -> None:
        """End what still runs."""
        for process in self.processes.values():
            process.kill()
            await process.wait()


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What events noticed of one thing that was done."""

    what: str
    events: int
    missed: int
    longest_ms: float
    p50_ms: float
    p99_ms: float
    seconds: float
    doubled: int


async def capacity_of(options: argparse.Namespace, servers: str, bench: Harness) -> float:
    """Return the rate at which one worker works off a backlog."""
    late = known()["headrace-1"]
    group = f"bench-rolling-{time.time_ns():x}"
    async with running(late, servers, group, options.out / "logs" / f"{group}.log") as workers:
        for _ in range(2):
            loaded = await bench.load(workers, rate=20.0 * BACKLOG, seconds=0.05)
    appended = loaded.rows[:, 1]
    return float(len(appended) / max(1.0, appended.max() - appended.min()) * 1e3)


def noticed(what: str, loaded: Loaded, seconds: float) -> Row:
    """Join results with events."""
    numbers, first = np.unique(loaded.rows[:, 0].astype(np.int64), return_index=True)
    rows = loaded.rows[first]
    latency = rows[:, 2] - loaded.due_ms[numbers]
    shed = rows[:, 3] == VERDICTS.index("shed")
    unanswered = len(loaded.due_ms) - len(first)
    return Row(
        what=what,
        events=len(loaded.due_ms),
        missed=int(np.count_nonzero((latency > BUDGET_MS) | shed)) + unanswered,
        longest_ms=float(latency.max()),
        p50_ms=float(np.median(latency)),
        p99_ms=float(np.percentile(latency, 99)),
        seconds=seconds,
        doubled=len(loaded.rows) - len(first),
    )


async def under_load(
    bench: Harness,
    options: argparse.Namespace,
    *,
    what: str,
    rate: float,
    seconds: float,
    doing: Callable[[], Awaitable[None]],
) -> Row:
    """Send events while something is done; longer than it takes."""
    loading = asyncio.create_task(
        bench.load([], rate=rate, seconds=seconds, settle_s=options.settle)
    )
    await asyncio.sleep(2.0)
    started = time.monotonic()
    await doing()
    took = time.monotonic() - started
    if took > seconds - 2.0:
        print(f"  {what} took {took:.0f} s, longer than the load", flush=True)
    row = noticed(what, await loading, took)
    print(
        f"  {what:28} {rate:5.0f}/s  {row.events:6} events  missed {row.missed / row.events:6.2%}"
        f"  p50 {row.p50_ms:6.1f}  p99 {row.p99_ms:7.1f}  longest {row.longest_ms:7.0f} ms"
        f"  doubled {row.doubled}  [{took:.0f} s]",
        flush=True,
    )
    return row


async def measure(options: argparse.Namespace) -> list[Row]:
    """Leave the group alone, restart it one by one, then grow and shrink it."""
    (options.out / "logs").mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    async with broker(options) as (servers, _), harness(servers, options.log) as bench:
        capacity = options.capacity or await capacity_of(options, servers, bench)
        print(f"one worker works off a backlog at {capacity:,.0f}/s", flush=True)
        group = f"bench-rolling-{time.time_ns():x}"
        fleet = Fleet(servers, group, options.out / "logs" / f"{group}.log", options.static)

        async def alone() -> None:
            await asyncio.sleep(20)

        async def restart() -> None:
            for number in range(WORKERS):
                await fleet.stop(number)
                await fleet.start(number)
                await asyncio.sleep(SETTLE_S)

        async def grow() -> None:
            for number in range(1, WORKERS):
                await fleet.start(number)
                await asyncio.sleep(SETTLE_S)

        async def shrink() -> None:
            for number in range(1, WORKERS):
                await fleet.stop(number)
                await asyncio.sleep(SETTLE_S)

        try:
            for number in range(WORKERS):
                await fleet.start(number)
            await asyncio.sleep(SETTLE_S)
            rate = options.load * capacity
            for what, seconds, doing in (
                (f"{WORKERS} workers, left alone", 22, alone),
                (f"{WORKERS} workers, one by one", options.seconds, restart),
                (f"{WORKERS} workers down to 1", 20, shrink),
                (f"1 worker up to {WORKERS}", 35, grow),
            ):
                row = await under_load(
                    bench, options, what=what, rate=rate, seconds=seconds, doing=doing
                )
                rows.append(row)
        finally:
            await fleet.kill()
    return rows


def parse() -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bootstrap-servers", help="use this broker instead of starting one")
    parser.add_argument("--broker", default="auto", help="provider of the broker to start")
    parser.add_argument("--capacity", type=float, help="of one worker, in events per second")
    parser.add_argument("--load", type=float, default=0.5, help="share of one worker's capacity")
    parser.add_argument("--seconds", type=float, default=45, help="load during the restarts")
    parser.add_argument("--settle", type=float, default=1.0, help="reading goes on for so long")
    parser.add_argument("--static", action="store_true", help="static membership")
    parser.add_argument("--log", type=Path, help="headlines to send, as JSON lines")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def main() -> None:
    """Measure, print, write."""
    options = parse()
    rows = asyncio.run(measure(options))
    found = facts()
    print(", ".join(f"{name}: {value}" for name, value in found.items()))
    written = options.out / f"rolling-{time.strftime('%Y%m%d-%H%M%S')}.json"
    written.write_bytes(msgspec.json.encode({"facts": found, "rows": rows}))
    print(f"written to {written}")


if __name__ == "__main__":
    main()
