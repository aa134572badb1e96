"""Throughput at a latency target, end to end through Kafka, all candidates in one run.

    python bench/end_to_end.py            # about half an hour
    python bench/end_to_end.py --quick    # about four minutes, coarser

For each candidate it searches the highest rate at which the 99th percentile from the event's
Kafka timestamp to the result's stays within the limit and every event is answered. See
docs/benchmarks.md.
"""

import argparse
import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
from candidates import Candidate, known, running
from harness import DISTURBED_CORES, Harness, Step, harness
from psutil import Process
from report import Figures, Outcome, facts, plot, save, show
from search import MAX_DISTURBED, Search
from usage import memory

DEFAULT = ("naive-one", "naive-one-1t", "naive-take", "naive-take-1t", "headrace-1", "headrace-2")
QUICK = ("naive-one", "naive-take", "headrace-1", "headrace-2")
FIRST_BURST = 64
BURST_SHARE = 0.7
"""Of the rate at which a backlog is worked off: where the search starts."""


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How thorough a run is."""

    seconds: float
    warmup_s: float
    min_events: int
    repeats: int
    resolution: float
    max_steps: int


FULL = Scale(seconds=10, warmup_s=2, min_events=1_000, repeats=3, resolution=1.06, max_steps=14)
FAST = Scale(seconds=4, warmup_s=1, min_events=400, repeats=1, resolution=1.15, max_steps=7)


class Measuring:
    """One candidate under measurement."""

    def __init__(
        self, bench: Harness, workers: list[Process], scale: Scale, limit_ms: float
    ) -> None:
        self._bench = bench
        self._workers = workers
        self._scale = scale
        self._limit_ms = limit_ms

    async def step(self, rate: float) -> Step:
        """Measure one rate and say how it went."""
        scale = self._scale
        step = await self._bench.step(
            self._workers,
            rate=rate,
            # At low rates longer, or a single event would decide on the 99th percentile.
            seconds=min(max(scale.seconds, scale.min_events / rate), 3 * scale.seconds),
            warmup_s=scale.warmup_s,
            limit_ms=self._limit_ms,
        )
        cores = " ".join(f"{role} {used:.2f}" for role, used in step.cores.items())
        print(
            f"  {rate:7.0f}/s  p50 {step.latency_ms['p50']:6.1f}  p99 {step.latency_ms['p99']:6.1f}"
            f"  {'ok  ' if step.passed else 'FAIL'}  {step.why or ''}  [cores: {cores}]",
            flush=True,
        )
        return step

    async def saturation(self) -> float:
        """Return the rate at which a backlog is worked off, from bursts of growing size."""
        burst, answers_per_s = FIRST_BURST, 0.0
        while True:
            step = await self._bench.step(
                self._workers, rate=burst * 20, seconds=0.05, warmup_s=0, limit_ms=float("inf")
            )
            if step.answered < step.offered:
                raise RuntimeError(f"{step.offered - step.answered} events of a burst were lost")
            answers_per_s = step.answers_per_s
            if burst / max(answers_per_s, 1) > self._scale.seconds / 4:
                return answers_per_s
            burst *= 3


async def measure_candidate(
    bench: Harness, workers: list[Process], scale: Scale, limit_ms: float, start: float | None
) -> Outcome:
    """Search the highest passing rate of a running candidate; measure at half of it too."""
    measuring = Measuring(bench, workers, scale, limit_ms)
    at_rest = memory(workers)
    saturation = await measuring.saturation()
    print(f"  works off a backlog at {saturation:.0f}/s", flush=True)
    search = Search(measuring.step, scale.resolution, scale.max_steps)
    best = await search.run(start or saturation * BURST_SHARE)
    under_load = memory(workers)
    half = await undisturbed(measuring, best.rate / 2) if best else None
    return Outcome(
        saturation=saturation,
        best=best,
        half=half,
        steps=search.steps,
        at_rest=at_rest,
        under_load=under_load,
    )


async def undisturbed(measuring: Measuring, rate: float) -> Step:
    """Measure a rate that should pass; what failed because of other programs is repeated."""
    for _ in range(MAX_DISTURBED):
        step = await measuring.step(rate)
        if step.passed or step.cores["other"] <= DISTURBED_CORES:
            return step
    return await measuring.step(rate)


async def compare(options: argparse.Namespace, chosen: list[Candidate], scale: Scale) -> Figures:
    """Measure the candidates in a new random order each time round."""
    order = random.Random(options.seed)  # noqa: S311 - an order, no secret
    outcomes: dict[str, list[Outcome]] = {candidate.name: [] for candidate in chosen}
    logs = options.out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    async with broker(options) as (servers, provider), harness(servers, options.log) as bench:
        found = {"broker": provider, "limit_ms": options.limit_ms, **msgspec.to_builtins(scale)}
        for repeat in range(1, scale.repeats + 1):
            for candidate in order.sample(chosen, len(chosen)):
                print(f"[{repeat}/{scale.repeats}] {candidate.label}", flush=True)
                group = f"bench-{candidate.name}-{time.time_ns():x}"
                before = [past.best.rate for past in outcomes[candidate.name] if past.best]
                async with running(candidate, servers, group, logs / f"{group}.log") as workers:
                    outcome = await measure_candidate(
                        bench, workers, scale, options.limit_ms, before[-1] if before else None
                    )
                outcomes[candidate.name].append(outcome)
    labels = {candidate.name: candidate.label for candidate in chosen}
    return Figures(facts=facts() | found, labels=labels, outcomes=outcomes)


@contextlib.asynccontextmanager
async def broker(options: argparse.Namespace) -> AsyncIterator[tuple[str, str]]:
    """Yield the address and kind of the broker that was given, or of one started for the run."""
    if options.bootstrap_servers:
        yield options.bootstrap_servers, "given"
        return
    from streams.broker import open_broker  # noqa: PLC0415 - only where one is started

    async with open_broker(options.broker) as started:
        yield started.bootstrap_servers, started.provider


def parse() -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one coarse round")
    parser.add_argument("--bootstrap-servers", help="use this broker instead of starting one")
    parser.add_argument("--broker", default="auto", help="provider of the broker to start")
    parser.add_argument("--candidates", help=f"comma-separated, of: {', '.join(known())}")
    parser.add_argument("--model", help="headrace's checkpoint, if not its default")
    parser.add_argument("--limit-ms", type=float, default=150.0, help="99th percentile to keep")
    parser.add_argument("--seconds", type=float, help="measured seconds of each step")
    parser.add_argument("--repeats", type=int, help="times that all candidates are measured")
    parser.add_argument("--log", type=Path, help="headlines to send, as JSON lines")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--plot", action="store_true", help="draw latency over rate as PNG")
    return parser.parse_args()


def chosen_candidates(options: argparse.Namespace) -> list[Candidate]:
    """Return the candidates by the names given, or the usual ones.

    Raises:
        SystemExit: A name is not known.
    """
    all_known = known(options.model)
    names = (options.candidates or ",".join(QUICK if options.quick else DEFAULT)).split(",")
    if unknown := [name for name in names if name not in all_known]:
        raise SystemExit(f"--candidates: {unknown[0]!r} is not one of {', '.join(all_known)}")
    return [all_known[name] for name in names]


def main() -> None:
    """Compare, print, write."""
    options = parse()
    scale = FAST if options.quick else FULL
    changes: dict[str, Any] = {"seconds": options.seconds, "repeats": options.repeats}
    given = {name: value for name, value in changes.items() if value}
    scale = msgspec.structs.replace(scale, **given)
    figures = asyncio.run(compare(options, chosen_candidates(options), scale))
    show(figures)
    print(f"\nwritten to {save(figures, options.out)}")
    if options.plot:
        print(f"drawn to {plot(figures, options.out)}")


if __name__ == "__main__":
    main()
