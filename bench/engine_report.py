"""The figures of bench/engine.py: one table, the ratios, and a file of JSON."""

import time
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

OURS = "headrace-"
OPTIMISED = "optimizer-"
"""The dense model run by our own backends: neither the sparse engine nor one of its rivals."""
PIPELINE = "pipeline-fp32"
WIDTH = 150


class Row(msgspec.Struct, kw_only=True):
    """One runtime at one number of threads.

    Attributes:
        path: How it multiplies, where it says.
        events_per_s: By batch size, from the least time of each batch over all passes.
        events_per_s_median: By batch size, from the median pass.
        batch_ms: By batch size, the mean over batches of their least times.
        active_share: Share of the encoder's parameters that a text met.
        multiply_adds: Per text, in the encoder.
        multiply_adds_share: The same as a share of the dense model's.
        resident_mib: In memory after the last pass.
        peak_mib: Most in memory, loading included.
    """

    name: str
    threads: int
    path: str
    events_per_s: dict[int, float]
    events_per_s_median: dict[int, float]
    batch_ms: dict[int, float]
    active_share: float
    multiply_adds: float
    multiply_adds_share: float
    resident_mib: float
    peak_mib: float

    @property
    def precision(self) -> str:
        """The format of its products."""
        return self.name.rpartition("-")[2]

    @property
    def best(self) -> float:
        """Events a second at the best batch size."""
        return max(self.events_per_s.values())


class Figures(msgspec.Struct, kw_only=True):
    """A whole run.

    Attributes:
        peaks: By threads and number format, billions of operations a second.
    """

    facts: dict[str, Any]
    peaks: dict[int, dict[str, float]] = {}
    rows: list[Row] = []

    def peak_share(self, row: Row) -> float:
        """Return what share of the machine's peak a runtime reached at its best batch size."""
        reached = 2e-9 * row.multiply_adds * row.best
        return reached / self.peaks[row.threads][row.precision]


def show(figures: Figures) -> None:
    """Print the table and the ratios."""
    console = Console(width=WIDTH)
    console.print("\n" + ", ".join(f"{name} {value}" for name, value in figures.facts.items()))
    for threads, peaks in figures.peaks.items():
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in peaks.items())
        console.print(f"GEMM peak with {threads} thread{'s' * (threads > 1)}, GF/s: {rates}")
    console.print(_table(figures))
    paths = {row.name: row.path for row in figures.rows if row.path}
    console.print("Paths: " + "; ".join(f"{name}: {path}" for name, path in paths.items()))
    for line in ratios(figures):
        console.print(line)


def _table(figures: Figures) -> Table:
    sizes = sorted({size for row in figures.rows for size in row.events_per_s})
    table = Table(
        title="From token ids to scores; ms per batch; work: multiply-adds of the dense encoder's; "
        "of peak: at the best batch size; MiB: resident at the end, and at the most",
        title_justify="left",
    )
    table.add_column("runtime", no_wrap=True)
    table.add_column("threads", justify="right")
    for size in sizes:
        table.add_column(f"ev/s @{size}", justify="right")
    for size in sizes:
        table.add_column(f"ms @{size}", justify="right")
    for name in ("active", "work", "of peak", "MiB", "peak"):
        table.add_column(name, justify="right")
    for row in figures.rows:
        table.add_row(
            row.name,
            str(row.threads),
            *(
                f"{row.events_per_s[size]:,.0f}" if size in row.events_per_s else "-"
                for size in sizes
            ),
            *(f"{row.batch_ms[size]:.2f}" if size in row.batch_ms else "-" for size in sizes),
            f"{row.active_share:.1%}",
            f"{row.multiply_adds_share:.1%}",
            f"{figures.peak_share(row):.0%}",
            f"{row.resident_mib:.0f}",
            f"{row.peak_mib:.0f}",
        )
    return table


def ratios(figures: Figures) -> list[str]:
    """Return our events per second over the best dense runtime's and over the pipeline's."""
    lines = []
    for threads in figures.peaks:
        rows = [row for row in figures.rows if row.threads == threads]
        ours = [row for row in rows if row.name.startswith(OURS)]
        dense = [row for row in rows if not row.name.startswith((OURS, OPTIMISED))]
        if not ours or not dense:
            continue
        lines.append(f"\nheadrace over the dense runtimes, {threads} thread{'s' * (threads > 1)}:")
        for size in sorted(ours[0].events_per_s):
            mine = max(ours, key=lambda row, size=size: row.events_per_s[size])
            best = max(dense, key=lambda row, size=size: row.events_per_s[size])
            line = (
                f"  batch {size:>3}: {mine.events_per_s[size] / best.events_per_s[size]:.2f}x "
                f"({mine.name} over {best.name})"
            )
            lines.append(line + _over_pipeline(rows, mine.events_per_s[size], size))
        mine, best = max(ours, key=_best), max(dense, key=_best)
        one_by_one = next((row for row in dense if row.name == PIPELINE), None)
        line = f"  best batch: {mine.best / best.best:.2f}x ({mine.name} over {best.name})"
        if one_by_one and 1 in one_by_one.events_per_s:
            line += f", {mine.best / one_by_one.events_per_s[1]:.1f}x pipeline one by one"
        lines.append(line)
    return lines


def _best(row: Row) -> float:
    return row.best


def _over_pipeline(rows: list[Row], rate: float, size: int) -> str:
    found = [row.events_per_s[size] for row in rows if row.name == PIPELINE]
    return f", {rate / found[0]:.1f}x pipeline" if found else ""


def save(figures: Figures, where: Path) -> Path:
    """Write everything as JSON; return the file."""
    where.mkdir(parents=True, exist_ok=True)
    path = where / f"engine-{time.strftime('%Y%m%d-%H%M%S')}.json"
    lines = {"ratios": [line.strip() for line in ratios(figures)]}
    path.write_bytes(
        msgspec.json.format(msgspec.json.encode(msgspec.to_builtins(figures) | lines), indent=1)
    )
    return path
