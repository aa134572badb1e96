"""Overload through Kafka, timed from outside: is what the verdicts say true?

    python bench/overload_kafka.py                   # about five minutes
    python bench/overload_kafka.py --quick           # two
    python bench/overload_kafka.py --log news.jsonl  # the log at speed as well

A process sends open loop, a worker answers, a third process reads. The broker stamps each result
when it appends it (``LogAppendTime``), so the time of publishing is nobody's own claim: a result
that says on time, or degraded, and was appended after its event's deadline, is a lie. See
docs/benchmarks.md.
"""

import argparse
import asyncio
import time
from pathlib import Path

import msgspec
from candidates import Candidate, known, running
from end_to_end import broker
from harness import Harness, Loaded, harness
from overload_audit import Audit, audit, show
from psutil import Process
from report import facts

from schemas.events import Modality
from streams.settings import Budgets

BUDGET_MS = Budgets().of(Modality.NEWS)
POLICIES = ("degrade", "shed")
LOADS = ((0.5, "poisson"), (0.8, "bursts"), (1.5, "poisson"), (3.0, "poisson"))
LOG_LOADS = ((0.8, "log"), (1.5, "log"), (3.0, "log"))
BACKLOG = 20_000
SETTLE_S = 1.0
"""Reading goes on for so long once all are answered: nothing may be answered twice."""


class Figures(msgspec.Struct, kw_only=True):
    """A whole run."""

    facts: dict[str, object]
    capacity: float
    audits: list[Audit]


async def capacity_of(bench: Harness, workers: list[Process]) -> float:
    """Return the rate at which a backlog is worked off at full effort, in events per second."""
    await bench.load(workers, rate=BACKLOG, seconds=0.2)
    loaded = await bench.load(workers, rate=20.0 * BACKLOG, seconds=0.05)
    appended = loaded.rows[:, 1]
    return float(len(appended) / max(1.0, appended.max() - appended.min()) * 1e3)


async def measure(options: argparse.Namespace) -> Figures:
    """Find the capacity, then send each load to a worker of each policy."""
    loads = LOADS + (LOG_LOADS if options.log else ())
    logs = options.out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    audits: list[Audit] = []

    def fresh(candidate: Candidate) -> tuple[str, Path]:
        group = f"bench-{candidate.name}-{time.time_ns():x}"
        return group, logs / f"{group}.log"

    async with (
        broker(options) as (servers, provider),
        harness(servers, options.log, append_time=True) as bench,
    ):
        candidates = known(options.model)
        late = candidates["headrace-1"]
        async with running(late, servers, *fresh(late)) as workers:
            capacity = options.capacity or await capacity_of(bench, workers)
        print(f"works off a backlog at {capacity:,.0f}/s at full effort", flush=True)
        for policy in options.policies.split(","):
            candidate = candidates[f"headrace-1-{policy}"]
            async with running(candidate, servers, *fresh(candidate)) as workers:
                for load, arrivals in loads:
                    loaded = await _load(bench, workers, options, load * capacity, arrivals)
                    found = audit(
                        loaded, policy=policy, load=load, arrivals=arrivals, budget_ms=BUDGET_MS
                    )
                    audits.append(found)
                    show([found], header=len(audits) == 1)
    return Figures(
        facts=facts() | {"broker": provider, "budget_ms": BUDGET_MS, "seconds": options.seconds},
        capacity=capacity,
        audits=audits,
    )


async def _load(
    bench: Harness, workers: list[Process], options: argparse.Namespace, rate: float, arrivals: str
) -> Loaded:
    return await bench.load(
        workers, rate=rate, seconds=options.seconds, arrivals=arrivals, settle_s=SETTLE_S
    )


def parse() -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter loads")
    parser.add_argument("--bootstrap-servers", help="use this broker instead of starting one")
    parser.add_argument("--broker", default="auto", help="provider of the broker to start")
    parser.add_argument("--model", help="checkpoint, if not the default")
    parser.add_argument("--policies", default=",".join(POLICIES), help="on_overload of the events")
    parser.add_argument("--seconds", type=float, help="of each load")
    parser.add_argument("--capacity", type=float, help="events per second; measured if not given")
    parser.add_argument("--log", type=Path, help="headlines with times, as JSON lines")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    options.seconds = options.seconds or (5.0 if options.quick else 15.0)
    return options


def main() -> None:
    """Measure, print, write; fail where a verdict lied or an event has not one answer."""
    options = parse()
    figures = asyncio.run(measure(options))
    path = options.out / f"overload-kafka-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2))
    print(f"\nwritten to {path}")
    lies = sum(one.lies for one in figures.audits)
    wrong = sum(one.missing + one.duplicates for one in figures.audits)
    if lies or wrong:
        raise SystemExit(f"{lies} verdicts were untrue, {wrong} events have not one answer")
    print("no verdict was untrue, every event has one answer")


if __name__ == "__main__":
    main()
