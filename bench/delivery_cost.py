"""What exactly-once delivery costs: throughput and latency beside those of at least once.

    python bench/delivery_cost.py            # about seven minutes
    python bench/delivery_cost.py --quick    # two

One worker of each kind in turn, on Apache Kafka, with a subscriber that reads committed records
only. Latency runs from the event's Kafka timestamp to the result's arrival at that subscriber, for
a result is not there before its transaction has ended. See docs/benchmarks.md.
"""

import argparse
import asyncio
import random
import time
from pathlib import Path

import msgspec
import numpy as np
from candidates import Candidate, known, running
from end_to_end import broker
from harness import Harness, Step, harness
from psutil import Process
from report import facts

KINDS = ("headrace-1", "headrace-1-once")
SHARES = (0.1, 0.5)
"""Of the rate at which at-least-once delivery works off a backlog."""
BACKLOG = 20_000
BURST_PER_S = 400_000.0


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One load against one kind of delivery; ``rate`` 0 is that of working off a backlog."""

    kind: str
    share: float
    step: Step


class Figures(msgspec.Struct, kw_only=True):
    """A whole run."""

    facts: dict[str, object]
    capacity: float
    rows: list[Row]


async def measure(options: argparse.Namespace) -> Figures:
    """Measure both kinds in a new random order each time round."""
    order = random.Random(options.seed)  # noqa: S311 - an order, no secret
    candidates = known(options.model)
    logs = options.out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    capacity = options.capacity
    async with (
        broker(options) as (servers, provider),
        harness(servers, options.log, committed=True, partitions=options.partitions) as bench,
    ):

        async def of(candidate: Candidate) -> list[Row]:
            group = f"bench-{candidate.name}-{time.time_ns():x}"
            async with running(candidate, servers, group, logs / f"{group}.log") as workers:
                return [row async for row in _loads(bench, candidate, workers, options, capacity)]

        if not capacity:
            group = f"bench-capacity-{time.time_ns():x}"
            async with running(candidates[KINDS[0]], servers, group, logs / group) as workers:
                capacity = (await _backlog(bench, workers)).answers_per_s
        print(f"at least once works off a backlog at {capacity:,.0f}/s", flush=True)
        for name in KINDS:  # a broker that has just been started compiles what it is asked for
            await of(candidates[name])
        print("so far it was warmed up", flush=True)
        for _ in range(options.repeats):
            for name in order.sample(KINDS, len(KINDS)):
                rows += await of(candidates[name])
    return Figures(
        facts=facts() | {"broker": provider, "partitions": options.partitions},
        capacity=capacity,
        rows=rows,
    )


async def _loads(bench, candidate, workers, options, capacity):  # noqa: ANN001, ANN202
    yield Row(kind=candidate.name, share=0.0, step=await _backlog(bench, workers))
    for share in SHARES:
        step = await bench.step(
            workers,
            rate=share * capacity,
            seconds=options.seconds,
            warmup_s=2.0,
            limit_ms=float("inf"),
        )
        print(
            f"  {candidate.name:16} {share:4.0%} {step.rate:6.0f}/s"
            f"  p50 {step.receipt_ms['p50']:6.1f}  p99 {step.receipt_ms['p99']:6.1f} ms"
            f"  cores: {' '.join(f'{role} {used:.2f}' for role, used in step.cores.items())}",
            flush=True,
        )
        yield Row(kind=candidate.name, share=share, step=step)


async def _backlog(bench: Harness, workers: list[Process]) -> Step:
    """Work off a backlog twice; the first time warms up."""
    for _ in range(2):
        step = await bench.step(
            workers,
            rate=BURST_PER_S,
            seconds=BACKLOG / BURST_PER_S,
            warmup_s=0,
            limit_ms=float("inf"),
        )
    return step


def show(figures: Figures) -> None:
    """Print medians over the rounds, and their ratio and difference."""

    def median(kind: str, share: float, what: str) -> float:
        steps = [row.step for row in figures.rows if (row.kind, row.share) == (kind, share)]
        values = [step.answers_per_s if what == "rate" else step.receipt_ms[what] for step in steps]
        return float(np.median(values))

    once, least = KINDS[1], KINDS[0]
    rates = median(least, 0, "rate"), median(once, 0, "rate")
    print(f"\nworks off a backlog at {rates[0]:,.0f}/s, exactly once at {rates[1]:,.0f}/s", end="")
    print(f": {rates[1] / rates[0]:.2f}")
    for share in SHARES:
        for what in ("p50", "p99"):
            times = median(least, share, what), median(once, share, what)
            print(
                f"at {share * figures.capacity:,.0f}/s, {what}: {times[0]:.1f} ms, exactly once "
                f"{times[1]:.1f} ms: {times[1] - times[0]:+.1f} ms"
            )
    print(", ".join(f"{name}: {value}" for name, value in figures.facts.items()))


def parse() -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--bootstrap-servers", help="use this broker instead of starting one")
    parser.add_argument("--broker", default="auto", help="provider of the broker to start")
    parser.add_argument("--model", help="headrace's checkpoint, if not its default")
    parser.add_argument("--capacity", type=float, help="events per second, if known")
    parser.add_argument("--seconds", type=float, help="measured seconds of each load")
    parser.add_argument("--repeats", type=int, help="rounds")
    parser.add_argument("--partitions", type=int, default=4, help="all of them the worker's")
    parser.add_argument("--log", type=Path, help="headlines to send, as JSON lines")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    options.seconds = options.seconds or (8 if options.quick else 20)
    options.repeats = options.repeats or (1 if options.quick else 3)
    return options


def main() -> None:
    """Measure, print, write."""
    options = parse()
    figures = asyncio.run(measure(options))
    show(figures)
    written = options.out / f"delivery-cost-{time.strftime('%Y%m%d-%H%M%S')}.json"
    written.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
    print(f"written to {written}")


if __name__ == "__main__":
    main()
