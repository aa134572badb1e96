"""The figures of a run: as a table, as JSON and as a plot."""

import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil
from harness import Step
from rich.console import Console
from rich.table import Table

REFERENCE = ("naive-one", "naive-one-1t")
"""Throughput is compared with the faster of these: the first worker that one would write."""
WIDTH = 140
PACKAGES = ("headrace", "torch", "transformers", "tokenizers", "aiokafka", "faust-streaming")


class Outcome(msgspec.Struct, kw_only=True):
    """One search of one candidate."""

    saturation: float
    """Events per second at which a backlog was worked off."""
    best: Step | None
    half: Step | None
    steps: list[Step]
    at_rest: dict[str, float]
    under_load: dict[str, float]


class Figures(msgspec.Struct, kw_only=True):
    """A whole run."""

    facts: dict[str, Any]
    labels: dict[str, str]
    outcomes: dict[str, list[Outcome]]


def facts(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Return what the figures depend on: machine and versions of packages."""
    versions = {}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "absent"
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "kernel": platform.release(),
        **versions,
    }


def _cpu_name() -> str:
    """Return the processor's name with its family and model, since names can be bare."""
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return (
        f"{fields.get('model name', platform.processor())} "
        f"(family {fields.get('cpu family', '?')}, model {fields.get('model', '?')})"
    )


def reference(figures: Figures) -> float | None:
    """Return the throughput that ratios are taken to; ``None`` if it was not measured."""
    rates = [
        _median([outcome.best.rate if outcome.best else 0.0 for outcome in figures.outcomes[name]])
        for name in REFERENCE
        if figures.outcomes.get(name)
    ]
    return max(rates, default=0.0) or None


def show(figures: Figures) -> None:
    """Print the tables."""
    console = Console(width=WIDTH)
    console.print("\n" + ", ".join(f"{name} {value}" for name, value in figures.facts.items()))
    limit = figures.facts["limit_ms"]
    console.print(_throughput(figures, f"Highest rate with p99 within {limit:g} ms (times in ms)"))
    console.print(_costs(figures))


def _throughput(figures: Figures, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("candidate", no_wrap=True)
    for name in ("events/s", "min-max", "ratio", "p50", "p99", "p99 at reader"):
        table.add_column(name, justify="right")
    for name in ("p50 at half", "p99 at half", "backlog/s", "not on time"):
        table.add_column(name, justify="right")
    base = reference(figures)
    for name, outcomes in figures.outcomes.items():
        rates = [outcome.best.rate if outcome.best else 0.0 for outcome in outcomes]
        best = [outcome.best for outcome in outcomes if outcome.best]
        half = [outcome.half for outcome in outcomes if outcome.half]
        table.add_row(
            figures.labels[name],
            f"{_median(rates):.0f}",
            f"{min(rates):.0f}-{max(rates):.0f}",
            f"{_median(rates) / base:.1f}x" if base else "-",
            _over(best, lambda step: step.latency_ms["p50"]),
            _over(best, lambda step: step.latency_ms["p99"]),
            _over(best, lambda step: step.receipt_ms["p99"]),
            _over(half, lambda step: step.latency_ms["p50"]),
            _over(half, lambda step: step.latency_ms["p99"]),
            f"{_median([outcome.saturation for outcome in outcomes]):.0f}",
            _not_on_time(best),
        )
    return table


def _costs(figures: Figures) -> Table:
    roles = ("worker", "broker", "load", "reader", "other")
    table = Table(title="What it took at that rate", title_justify="left")
    table.add_column("candidate", no_wrap=True)
    for role in roles:
        table.add_column(f"{role} cores", justify="right", min_width=6)
    for role in roles[:3]:
        table.add_column(f"{role} ms/event", justify="right", min_width=8)
    for kind in ("RSS", "USS"):
        table.add_column(f"{kind} MiB rest / load", justify="right", min_width=11)
    for name, outcomes in figures.outcomes.items():
        best = [outcome.best for outcome in outcomes if outcome.best]
        sizes = [
            f"{_median([outcome.at_rest[key] for outcome in outcomes]):.0f} / "
            f"{_median([outcome.under_load[key] for outcome in outcomes]):.0f}"
            for key in ("rss_mib", "uss_mib")
        ]
        table.add_row(
            figures.labels[name],
            *(_over(best, lambda step, role=role: step.cores[role], ".2f") for role in roles),
            *(
                _over(best, lambda step, role=role: step.cpu_ms_per_event[role], ".3f")
                for role in roles[:3]
            ),
            *sizes,
        )
    return table


def _over(steps: list[Step], take: Callable[..., float], form: str = ".0f") -> str:
    return format(_median([take(step) for step in steps]), form) if steps else "-"


def _not_on_time(steps: list[Step]) -> str:
    """Count the verdicts other than on time over the repeats."""
    total = sum(sum(step.verdicts.values()) for step in steps)
    counts = {
        verdict: sum(step.verdicts.get(verdict, 0) for step in steps)
        for verdict in ("late", "degraded", "shed")
    }
    found = [f"{verdict} {count / total:.1%}" for verdict, count in counts.items() if count]
    return ", ".join(found) or "-"


def _median(values: list[float]) -> float:
    return statistics.median(values) if values else 0.0


def save(figures: Figures, where: Path) -> Path:
    """Write everything measured as JSON; return the file."""
    where.mkdir(parents=True, exist_ok=True)
    path = where / f"end_to_end-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=1))
    return path


def plot(figures: Figures, where: Path) -> Path:
    """Draw the 99th percentile over the rate; return the file."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, seldom wanted

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    for name, outcomes in figures.outcomes.items():
        steps = [step for outcome in outcomes for step in [*outcome.steps, outcome.half] if step]
        steps.sort(key=lambda step: step.rate)
        axes.plot(
            [step.rate for step in steps],
            [min(step.latency_ms["p99"], 10_000) for step in steps],
            "o-",
            markersize=3,
            linewidth=1,
            label=figures.labels[name],
        )
    axes.axhline(figures.facts["limit_ms"], color="black", linewidth=0.8, linestyle="--")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="events per second offered",
        ylabel="99th percentile, ms",
        title=f"{figures.facts['cpu']}, {figures.facts['cores']} cores",
    )
    axes.grid(visible=True, which="both", linewidth=0.3)
    axes.legend()
    path = where / f"end_to_end-{time.strftime('%Y%m%d-%H%M%S')}.png"
    figure.savefig(path, dpi=150)
    return path
