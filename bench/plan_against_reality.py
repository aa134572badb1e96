"""What `headrace plan` foretells beside what a worker does, on Apache Kafka.

    python bench/plan_against_reality.py            # about two minutes
    python bench/plan_against_reality.py --on-overload degrade --rates 500 2000 8000

Costs are measured alone, then a worker is loaded with headlines at random times and its metrics are
read during a first load, as `headrace plan --worker` does. Other loads are planned with that and
nothing else, and compared: share of events late or shed, and cores kept busy.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
from candidates import Candidate, running
from end_to_end import broker
from harness import Harness, Step, harness
from headlines import synthetic
from report import facts
from rich.console import Console
from rich.table import Table

from inference.engine import Engine
from inference.optimizer import open_model
from schemas.events import Modality
from streams.planning.arrivals import poisson
from streams.planning.costs import WorkerCosts, measure
from streams.planning.events import EventLog, read_log
from streams.planning.running import Observed, fitted_to, read_worker
from streams.planning.simulate import LoadPlan, Planner
from streams.replay.mapping import Mapper
from streams.replay.source import LineSource
from streams.routes import Route, routes_of
from streams.settings import Budgets, Settings

WARMUP_S = 1.0
TEXTS = 5_000
NEARLY_NONE = 0.002
"""Where plan and reality both miss less than this, they agree."""
ALLOWED = 0.15


@dataclass(frozen=True)
class Pair:
    """One load, planned and real.

    Attributes:
        rate: Events per second.
        missed: Share late or shed, planned and real; likewise ``cores`` kept busy by the worker,
            and the 99th percentile of latency.
    """

    rate: float
    missed: tuple[float, float]
    cores: tuple[float, float]
    p99_ms: tuple[float, float]

    @property
    def misses_agree(self) -> bool:
        """Whether misses do, within what is allowed."""
        planned, real = self.missed
        return max(self.missed) < NEARLY_NONE or abs(planned - real) <= ALLOWED * real

    @property
    def cores_agree(self) -> bool:
        """Likewise for processor time."""
        planned, real = self.cores
        return abs(planned - real) <= ALLOWED * real


def parse() -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--rates", type=float, nargs="+", default=[200.0, 600.0, 1_200.0, 2_400.0, 4_800.0]
    )
    parser.add_argument("--learn-at", type=float, default=1_000.0, help="rate to read costs at")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each load")
    parser.add_argument("--on-overload", default="shed", choices=["degrade", "shed", "late"])
    parser.add_argument("--budget-ms", type=float, default=150.0)
    parser.add_argument("--bootstrap-servers", help="use this broker instead of starting one")
    parser.add_argument("--broker", default="maven", help="provider of the broker to start")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


async def compare(options: argparse.Namespace) -> tuple[list[Pair], WorkerCosts]:
    """Load a worker, plan the same loads; return both, and the costs."""
    settings = Settings(
        modalities=(Modality.NEWS,),
        budgets=Budgets(news=options.budget_ms),
        on_overload=options.on_overload,
    )
    route = routes_of(settings)[0]
    engine = open_model(route.model)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    candidate = _candidate(options, port)
    async with _log(100.0, 10.0, route, engine) as sample:
        alone = await measure(route, engine, settings, sample.events)
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / "plan-worker.log"
    async with broker(options) as (servers, _), harness(servers, None) as bench:
        group = f"bench-plan-{time.time_ns():x}"
        async with running(candidate, servers, group, log) as workers:
            url = f"http://127.0.0.1:{port}"
            observed = await _learn(bench, workers, url, engine, options)
            costs = fitted_to(alone, observed, sample.events, settings.scheduler)
            pairs = []
            for rate in options.rates:
                step = await _step(bench, workers, rate, options.seconds)
                plan = await _plan(costs, settings, route, engine, rate, options)
                pairs.append(_pair(step, plan))
    return pairs, costs


def _candidate(options: argparse.Namespace, port: int) -> Candidate:
    def command(bootstrap_servers: str, group: str) -> list[str]:
        flags = {
            "--bootstrap-servers": bootstrap_servers,
            "--group": group,
            "--modality": "news",
            "--on-overload": options.on_overload,
            "--budget-ms": f"{options.budget_ms:g}",
            "--metrics-port": str(port),
        }
        base = [sys.executable, "-m", "streams.cli", "run"]
        return [*base, *itertools.chain.from_iterable(flags.items())]

    return Candidate("headrace-planned", "headrace", 1, command)


async def _step(bench: Harness, workers: list[psutil.Process], rate: float, seconds: float) -> Step:
    return await bench.step(
        workers, rate=rate, seconds=seconds, warmup_s=0.0, limit_ms=float("inf")
    )


async def _learn(
    bench: Harness,
    workers: list[psutil.Process],
    url: str,
    engine: Engine,
    options: argparse.Namespace,
) -> Observed:
    """Read the worker during a load that is not compared."""
    loading = asyncio.create_task(
        _step(bench, workers, options.learn_at, options.seconds + 2 * WARMUP_S)
    )
    await asyncio.sleep(WARMUP_S)
    observed = await read_worker(url, engine.model.name, seconds=options.seconds)
    await loading
    return observed


async def _plan(  # noqa: PLR0917 - likewise
    costs: WorkerCosts,
    settings: Settings,
    route: Route,
    engine: Engine,
    rate: float,
    options: argparse.Namespace,
) -> LoadPlan:
    async with _log(rate, options.seconds, route, engine) as log:
        return Planner(costs, settings.scheduler).plan(log.events, workers=1)


@contextlib.asynccontextmanager
async def _log(
    rate: float, seconds: float, route: Route, engine: Engine
) -> AsyncIterator[EventLog]:
    """Write a log of the load's kind and read it as the command does."""
    texts = itertools.cycle(itertools.islice(synthetic(1), TEXTS))
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for time_s, text in zip(poisson(rate, seconds, seed=1), texts, strict=False):
            file.write(json.dumps({"ts_ms": 1_700_000_000_000 + time_s * 1e3, "text": text}) + "\n")
        file.flush()
        yield await read_log(LineSource(file.name), Mapper(route.modality), route, engine)


def _pair(step: Step, plan: LoadPlan) -> Pair:
    answered = sum(step.verdicts.values())
    missed = step.verdicts.get("late", 0) + step.verdicts.get("shed", 0)
    planned = sum(each.late + each.shed for each in plan.classes)
    return Pair(
        rate=step.rate,
        missed=(planned / plan.events, missed / answered),
        cores=(plan.cores, step.cores["worker"]),
        p99_ms=(max(each.p99_ms for each in plan.classes), step.latency_ms["p99"]),
    )


def show(pairs: list[Pair]) -> None:
    """Print a row for each load."""
    table = Table("events/s", box=None, pad_edge=False, header_style="bold")
    for name in ("missed: plan", "real", "cores: plan", "real", "ratio", "p99 ms: plan", "real"):
        table.add_column(name, justify="right")
    table.add_column("within 15 %")
    for one in pairs:
        ratio = one.cores[0] / one.cores[1]
        table.add_row(
            f"{one.rate:,.0f}",
            *(f"{share:.1%}" for share in one.missed),
            *(f"{cores:.2f}" for cores in one.cores),
            f"{ratio:.2f}",
            *(f"{ms:,.0f}" for ms in one.p99_ms),
            f"misses {'yes' if one.misses_agree else 'NO'}, "
            f"cores {'yes' if one.cores_agree else 'NO'}",
        )
    Console(highlight=False, width=140).print(table)


def main() -> None:
    """Compare, print, write."""
    options = parse()
    pairs, costs = asyncio.run(compare(options))
    print(f"{facts()['cpu']}, {costs.source}")
    show(pairs)
    document = {"facts": facts(), "costs": costs, "loads": pairs}
    path = options.out / f"plan-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1))
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    main()
