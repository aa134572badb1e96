"""What a person sees while the demo runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from inference.clock import Clock
from streams.demo.tally import Shown, Tally, percentile
from streams.terminal.styles import VERDICT_STYLES, label_style

BARS = " ▁▂▃▄▅▆▇█"
BAR_CELLS = 24
FIXED_LINES = 15
"""Lines of everything but the modalities and the newest results."""
LABEL_ROWS = 3
LABEL_CELLS = 22
LEAST_ROWS = 3
MOST_ROWS = 14
NEAR = 0.8
"""Share of the budget from which a latency is shown as a warning."""


@dataclass(slots=True)
class Situation:
    """What the view shows beside the tally.

    Attributes:
        title: What is replayed, and how fast.
        place: Broker and workers.
        phase: What is going on.
        sent: Events of served modalities that were sent.
        unserved: Events that wait for a model.
        skipped: Lines that could not be sent.
        share_read: How much of the log has been read, 0 to 1, if its size is known.
        started: Monotonic seconds of the first event; ``None`` before.
        ended: Monotonic seconds of the end; ``None`` before.
    """

    title: str
    place: str
    phase: str = "starting"
    sent: int = 0
    unserved: int = 0
    skipped: int = 0
    share_read: float | None = None
    started: float | None = None
    ended: float | None = None


class View:
    """Renders the demo; rich asks it anew at every refresh."""

    def __init__(self, situation: Situation, tally: Tally, clock: Clock) -> None:
        self._situation = situation
        self._tally = tally
        self._clock = clock

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.height
        rows = max(LEAST_ROWS, min(MOST_ROWS, height - FIXED_LINES - len(self._tally.of) - 2))
        yield Panel(
            Group(*self._parts(rows)),
            title=Text.assemble((" headrace ", "bold"), (f"{self._situation.title} ", "")),
            title_align="left",
            subtitle=Text(f" {self._situation.place} ", style="dim"),
            subtitle_align="right",
            border_style="blue",
            box=box.ROUNDED,
            padding=(0, 1),
        )

    def _parts(self, rows: int) -> Iterator[RenderableType]:
        now = self._situation.ended or self._clock.monotonic()
        yield self._flow(now)
        yield Rule(style="bright_black")
        yield self._latency(now)
        yield Rule(style="bright_black")
        yield self._shares()
        yield Rule(style="bright_black")
        yield self._newest(rows)

    def _flow(self, now: float) -> RenderableType:
        situation, tally = self._situation, self._tally
        rate_in, rate_out = tally.rates()
        seconds = 0.0 if situation.started is None else now - situation.started
        if situation.ended is not None and seconds > 0:
            rate_in, rate_out = situation.sent / seconds, tally.answered / seconds
        table = _grid("l", "r", "r", "l")
        curve = _curve([each for each, _ in _pair_rates(tally)])
        table.add_row("in", f"{situation.sent:,}", _rate(rate_in), Text(curve, style="cyan"))
        curve = _curve([each for _, each in _pair_rates(tally)])
        table.add_row("out", f"{tally.answered:,}", _rate(rate_out), Text(curve, style="green"))
        waiting = max(0, situation.sent - tally.answered)
        notes = [f"{waiting:,} on their way", f"{seconds:.1f} s"]
        if situation.share_read is not None:
            notes.append(f"{situation.share_read:.0%} of the log read")
        if situation.unserved:
            notes.append(f"{situation.unserved:,} of other modalities wait for a model")
        if situation.skipped:
            notes.append(f"{situation.skipped:,} lines skipped")
        return Group(
            table, Text(f"{situation.phase} · " + " · ".join(notes), style="dim", no_wrap=True)
        )

    def _latency(self, now: float) -> RenderableType:
        """Draw a line for each modality: how long its results took of their budget."""
        table = _grid("l", "r", "r", "r", "l", "l")
        for modality, part in self._tally.of.items():
            if self._situation.ended is None:
                ordered, span = part.recent_ms(now), "last 5 s"
            else:
                ordered, span = sorted(part.latencies_ms), "whole run"
            p50, p99 = (percentile(ordered, share) for share in (0.5, 0.99))
            if p50 is None or p99 is None or part.budget_ms is None:
                table.add_row(modality.value, f"{part.results:,}", "p50 -", "p99 -", "", "")
                continue
            heat = _heat(p99, part.budget_ms)
            table.add_row(
                modality.value,
                f"{part.results:,}",
                Text(f"p50 {p50:,.0f} ms", style=_heat(p50, part.budget_ms)),
                Text(f"p99 {p99:,.0f} ms", style=f"bold {heat}"),
                _bar(p99 / part.budget_ms, heat, 12),
                Text(f"of {part.budget_ms:g} ms, {span}", style="dim"),
            )
        return table

    def _shares(self) -> RenderableType:
        tally = self._tally
        verdicts = _grid("l", "r", "l")
        for verdict, style in VERDICT_STYLES.items():
            count = tally.verdicts[verdict]
            share = count / tally.results if tally.results else 0.0
            verdicts.add_row(
                Text(verdict.replace("_", " "), style=style if count else "dim"),
                Text(f"{count:,}", style="" if count else "dim"),
                _bar(share, style),
            )
        labels = _grid("l", "r", "l")
        common = self._common_labels()
        for label, share in common:
            style = label_style(label)
            name = Text(_short(label), style=style)
            labels.add_row(name, f"{share:.0%}", _bar(share, style, 8))
        for _ in range(LABEL_ROWS - len(common)):
            labels.add_row("", "", "")
        dead = Text(f"{tally.dead_letters:,}", style="bold red" if tally.dead_letters else "dim")
        labels.add_row(Text("dead letters", style="" if tally.dead_letters else "dim"), dead, "")
        both = Table.grid(padding=(0, 4), expand=True)
        both.add_column(ratio=3)
        both.add_column(ratio=2)
        both.add_row(verdicts, labels)
        return both

    def _common_labels(self) -> list[tuple[str, float]]:
        """Return the most frequent label of each modality, or several of a single one."""
        each = LABEL_ROWS if len(self._tally.of) == 1 else 1
        return [
            (label, count / part.results)
            for part in self._tally.of.values()
            for label, count in part.labels.most_common(each)
        ]

    def _newest(self, rows: int) -> RenderableType:
        table = Table(box=None, pad_edge=False, expand=True, header_style="dim", padding=(0, 1))
        table.add_column("label", width=LABEL_CELLS, no_wrap=True)
        table.add_column("p", justify="right", width=4)
        table.add_column("ms", justify="right", width=5)
        table.add_column("verdict", width=8)
        table.add_column("layers", justify="right", width=6)
        table.add_column("event", no_wrap=True, overflow="ellipsis", ratio=1)
        shown = list(self._tally.newest)[-rows:]
        for each in reversed(shown):
            table.add_row(*_row(each))
        for _ in range(rows - len(shown)):
            table.add_row()
        return table


def _row(shown: Shown) -> tuple[RenderableType, ...]:
    result = shown.result
    verdict_style = VERDICT_STYLES[result.verdict]
    label = result.label or "-"
    score = f"{result.scores[label]:.2f}" if result.label else "-"
    return (
        Text(_short(label), style=label_style(label)),
        score,
        Text(f"{result.latency.total_ms:,.0f}", style=verdict_style),
        Text(result.verdict.replace("_", " "), style=verdict_style),
        str(result.effort.layers),
        Text(shown.text.replace("\n", " ")),
    )


def _short(label: str) -> str:
    return label if len(label) <= LABEL_CELLS else label[: LABEL_CELLS - 1] + "…"


def _heat(value: float, budget: float) -> str:
    if value > budget:
        return "red"
    return "yellow" if value > NEAR * budget else "green"


def _bar(share: float, style: str, cells: int = BAR_CELLS) -> Text:
    """Draw a share of 1; what is more fills the bar."""
    filled = min(cells, round(share * cells))
    return Text("━" * filled, style=style) + Text("━" * (cells - filled), style="bright_black")


def _rate(value: float) -> str:
    return f"{value:,.0f}/s" if value >= 10 else f"{value:.1f}/s"  # noqa: PLR2004 - digits that tell


def _pair_rates(tally: Tally) -> list[tuple[float, float]]:
    """Return rates in and out between neighbouring samples."""
    samples = list(tally.history)
    pairs = []
    for before, after in pairwise(samples):
        seconds = after.at - before.at
        pairs.append(
            ((after.sent - before.sent) / seconds, (after.answered - before.answered) / seconds)
        )
    return pairs


def _curve(values: list[float], cells: int = 48) -> str:
    """Draw values as one line of bars, the newest last."""
    values = values[-cells:]
    top = max(values, default=0.0)
    if top <= 0:
        return ""
    return "".join(BARS[round(value / top * (len(BARS) - 1))] for value in values)


def _grid(*justify: str) -> Table:
    table = Table.grid(padding=(0, 2))
    for side in justify:
        table.add_column(justify="right" if side == "r" else "left", no_wrap=True)
    return table
