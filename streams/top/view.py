"""What a person sees: a snapshot drawn to the width and height that there are."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from schemas.results import Verdict
from streams.terminal.styles import VERDICT_STYLES, label_style
from streams.top.snapshot import (
    InstanceRow,
    PartitionRow,
    Snapshot,
    TopicRow,
    Verdicts,
    WorkerRow,
)

WIDE = 118
"""Columns from which on partitions stand beside the workers."""
NEAR = 0.8
"""Share of the budget from which on a latency is shown as a warning."""
BAR_CELLS = 8
FRAME_LINES = 2
LEAST_PARTITIONS = 3
NOTHING = "-"
_SHORT = {
    Verdict.ON_TIME: "on time",
    Verdict.DEGRADED: "degr",
    Verdict.LATE: "late",
    Verdict.SHED: "shed",
}


class View:
    """Renders a snapshot.

    Args:
        hint: What the keys do.
    """

    def __init__(self, snapshot: Snapshot, hint: str = "") -> None:
        self._snapshot = snapshot
        self._hint = hint

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        snapshot = self._snapshot
        height = options.height or console.height
        parts = list(self._parts(options.max_width, height - FRAME_LINES))
        workers = len(snapshot.workers)
        told = f"{workers} worker{'s' * (workers != 1)} · last {snapshot.window_s:.0f} s"
        yield Panel(
            Group(*parts),
            title=Text.assemble(
                (" headrace top ", "bold"),
                (f"· group {snapshot.group} · ", ""),
                (f"{snapshot.state} ", "green" if snapshot.state == "Stable" else "yellow"),
            ),
            title_align="left",
            subtitle=Text(f" {told}{self._hint and ' · ' + self._hint} ", style="dim"),
            subtitle_align="right",
            border_style="blue",
            box=box.ROUNDED,
            padding=(0, 1),
        )

    def _parts(self, width: int, height: int) -> Iterator[RenderableType]:
        snapshot = self._snapshot
        notes = [Text(note, style="yellow") for note in snapshot.notes]
        labels = [line for row in snapshot.topics if (line := _labels(row)) is not None]
        top: list[RenderableType] = [*notes, _topics(snapshot.topics, wide=width >= WIDE), *labels]
        # Notes may take two lines in a narrow terminal.
        used = len(snapshot.topics) + 1 + len(labels) + sum(1 + len(n) // width for n in notes)
        rest = height - used - 1
        yield from top
        yield Rule(style="bright_black")
        if width >= WIDE:
            yield self._side_by_side(rest)
        else:
            yield from self._stacked(rest)

    def _side_by_side(self, height: int) -> RenderableType:
        both = Table.grid(padding=(0, 3), expand=True)
        both.add_column(ratio=3)
        both.add_column(ratio=2)
        left = Group(*self._left(height))
        both.add_row(left, _partitions(self._snapshot.partitions, height))
        return both

    def _stacked(self, height: int) -> Iterator[RenderableType]:
        least = min(len(self._snapshot.partitions), LEAST_PARTITIONS) + 2
        left = list(self._left(height - least))
        yield from left
        yield Rule(style="bright_black")
        snapshot = self._snapshot
        used = min(len(snapshot.workers), self._rows(height - least)) + 1
        used += len(snapshot.instances) + 1 if snapshot.instances else 0
        yield _partitions(snapshot.partitions, max(LEAST_PARTITIONS + 1, height - used - 1))

    def _rows(self, height: int) -> int:
        """Return how many workers have room above the instances."""
        instances = self._snapshot.instances
        return max(1, height - 1 - (len(instances) + 1 if instances else 0))

    def _left(self, height: int) -> Iterator[RenderableType]:
        yield _workers(self._snapshot.workers, self._rows(height))
        if self._snapshot.instances:
            yield _instances(self._snapshot.instances)


def _topics(rows: Sequence[TopicRow], *, wide: bool) -> Table:
    bar = ("",) if wide else ()
    table = _table("topic", "in/s", "out/s", "lag", "in time", "p50", "p99", *bar, "of")
    for row in rows:
        table.add_row(
            Text(row.topic),
            _rate(row.rate_in),
            _rate(row.rate_out),
            _lag(row.lag),
            _share(row.share_in_budget),
            *_latency(row, wide=wide),
        )
    return table


def _latency(row: TopicRow, *, wide: bool) -> list[RenderableType]:
    """Return p50 and p99, how much of the budget the latter takes, and the budget."""
    if row.p50_ms is None or row.p99_ms is None or not row.budget_ms:
        return [Text(NOTHING, style="dim")] * (4 if wide else 3)
    p50, p99 = (
        Text(f"{value:,.0f}", style=_heat(value, row.budget_ms))
        for value in (row.p50_ms, row.p99_ms)
    )
    filled = min(BAR_CELLS, round(row.p99_ms / row.budget_ms * BAR_CELLS))
    bar = Text("━" * filled, style=_heat(row.p99_ms, row.budget_ms))
    bar.append("━" * (BAR_CELLS - filled), style="bright_black")
    budget = Text(f"{row.budget_ms:g} ms", style="dim")
    return [p50, p99, bar, budget] if wide else [p50, p99, budget]


def _labels(row: TopicRow) -> Text | None:
    """Return the most frequent labels and the verdicts that are no good news, in a line."""
    if not row.verdicts.total:
        return None
    line = Text(f"  {row.topic.partition('.')[2] or row.topic}  ", style="dim")
    for verdict, style in VERDICT_STYLES.items():
        count = getattr(row.verdicts, verdict.value)
        if count and verdict is not Verdict.ON_TIME:
            share = _percent(count / row.verdicts.total)
            line.append(f"{verdict.value.replace('_', ' ')} {share}  ", style=style)
    for one in row.labels:
        line.append(f"{one.label} ", style=label_style(one.label))
        line.append(f"{_percent(one.share)}  ", style="dim")
    if row.dead_letters_per_s:
        line.append(f"dead letters {row.dead_letters_per_s:g}/s", style="bold red")
    line.no_wrap = True
    line.overflow = "ellipsis"
    return line


def _workers(rows: Sequence[WorkerRow], most: int) -> Table:
    table = _table("worker, by its partitions", "parts", "lag", "out/s", *_SHORT.values())
    shown = rows if len(rows) <= most else rows[: max(0, most - 1)]
    for row in shown:
        table.add_row(
            _worker(row),
            str(row.partitions),
            _lag(row.lag),
            _rate(row.rate_out),
            *_shares(row.verdicts),
        )
    if len(shown) < len(rows):
        table.add_row(Text(f"… {len(rows) - len(shown)} more", style="dim"))
    return table


def _worker(row: WorkerRow) -> Text:
    """Name a member: its id is unique, but long, and begins with the client's name."""
    own = row.member.removeprefix(f"{row.client}-")[:6]
    return Text.assemble(row.host, (f" {own}", "dim"))


def _instances(rows: Sequence[InstanceRow]) -> Table:
    table = _table("metrics of", "ready", "in hand", "in/s", *_SHORT.values())
    for row in rows:
        name = Text(row.url.removeprefix("http://").removesuffix("/metrics"))
        if row.problem is not None:
            table.add_row(name, Text("none", style="bold red"))
            continue
        if row.restarts:
            name.append(f" {row.restarts} restarts", style="red")
        if row.paused:
            name.append(f" {row.paused} paused", style="yellow")
        table.add_row(
            name,
            Text(str(row.ready), style="green" if row.ready else "bold red"),
            f"{row.in_flight:,}",
            _rate(row.rate_in),
            *_shares(row.verdicts or Verdicts()),
        )
    return table


def _partitions(rows: Sequence[PartitionRow], height: int) -> Table:
    """Draw those furthest behind, as many as there is room for."""
    table = _table("partition", "lag", "committed", "end")
    most = max(1, height - 1)
    shown = rows if len(rows) <= most else rows[: most - 1]
    for row in shown:
        name = Text(f"{row.topic}/{row.partition}")
        if row.member is None:
            name.append(" nobody's", style="yellow")
        committed = NOTHING if row.committed is None else f"{row.committed:,}"
        table.add_row(name, _lag(row.lag), committed, f"{row.end:,}")
    if len(shown) < len(rows):
        left = rows[len(shown) :]
        lag = sum(row.lag for row in left)
        table.add_row(Text(f"… {len(left)} more", style="dim"), Text(f"{lag:,}", style="dim"))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim", padding=(0, 1))
    table.add_column(first, no_wrap=True, overflow="ellipsis", ratio=1)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True, min_width=max(5, len(name)))
    return table


def _shares(verdicts: Verdicts) -> Iterator[Text]:
    for verdict, style in VERDICT_STYLES.items():
        if not verdicts.total:
            yield Text(NOTHING, style="dim")
            continue
        count = getattr(verdicts, verdict.value)
        yield Text(_percent(count / verdicts.total), style=style if count else "dim")


def _share(value: float | None) -> Text:
    if value is None:
        return Text(NOTHING, style="dim")
    style = "green" if value >= 0.99 else "yellow" if value >= 0.9 else "red"  # noqa: PLR2004 - as the alerts
    return Text(_percent(value), style=style)


def _percent(value: float) -> str:
    """Write a share so that hardly all and hardly none do not look like all and none."""
    if 0 < value < 0.001:  # noqa: PLR2004 - the last digit shown
        return "<0.1%"
    if 0.999 < value < 1:  # noqa: PLR2004 - likewise
        return ">99.9%"
    return f"{value:.1%}" if 0 < value < 1 else f"{value:.0%}"


def _lag(value: int) -> Text:
    return Text(f"{value:,}", style="" if value else "dim")


def _rate(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value >= 10 or not value else f"{value:.1f}"  # noqa: PLR2004 - digits that tell


def _heat(value: float, budget: float) -> str:
    if value > budget:
        return "red"
    return "yellow" if value > NEAR * budget else "green"
