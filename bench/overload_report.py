"""Figures of loads through policies: one row each, a table, a plot, and what was asked of them."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import msgspec
from overload_loads import Arrival
from overload_runs import Ending, Texts
from rich.console import Console
from rich.table import Table

SETTLE_S = 0.5
"""Events of so long from the start are not counted: a queue takes its time to fill."""
WIDTH = 150
WORST = 1e9
"""Latency in ms of what was never answered; stands above any that was."""


class Row(msgspec.Struct, kw_only=True):
    """One load through one policy once; all shares are of the events that were counted.

    Attributes:
        scenario: ``poisson``, ``bursts``, ``log`` or ``flood``.
        load: Offered events as a multiple of capacity.
        on_time: Answered within their deadlines, at whatever effort.
        degraded: Of all events: on time, below full effort.
        late: Answered too late, or not at all by the end of the run.
        p50_ms: Over the answered and the late.
        agreement: Share of answers that are those of full effort; ``None`` without answers.
        macro_f1: Of the answers on time, where texts are labelled.
        macro_f1_full: Of full effort's answers to the same events.
        gap_s: Longest time without an answer on time.
    """

    scenario: str
    policy: str
    load: float
    repeat: int
    events: int
    offered_per_s: float
    on_time_per_s: float
    on_time: float
    degraded: float
    late: float
    shed: float
    p50_ms: float
    p99_ms: float
    agreement: float | None
    macro_f1: float | None
    macro_f1_full: float | None
    gap_s: float


def row(
    endings: Iterable[Ending],
    texts: Texts,
    classes: int,
    *,
    scenario: str,
    policy: str,
    load: float,
    repeat: int,
    counts: Callable[[Arrival], bool] = lambda _: True,
) -> Row:
    """Sum up what became of a load.

    Args:
        endings: One for each event.
        texts: What they said.
        classes: How many there are.
        scenario: See :class:`Row`.
        policy: Name.
        load: Multiple of capacity.
        repeat: Number.
        counts: Which events to sum up, apart from those that settle.
    """
    counted = [one for one in endings if one.arrival.at_s >= SETTLE_S and counts(one.arrival)]
    if not counted:
        raise SystemExit(f"{policy} at {load:g}: no event to count; give a longer --seconds")
    times = [one.arrival.at_s for one in counted]
    seconds = max(max(times) - SETTLE_S, 1e-3)
    good = [one for one in counted if one.on_time]
    answered = [one for one in good if one.answer is not None]
    full = texts.answers[next(iter(texts.answers))] if texts.answers else []
    latencies = sorted(one.latency_s * 1e3 for one in counted if one.latency_s is not None)
    of_all = 1.0 / len(counted)
    ends = sorted(one.arrival.at_s + (one.latency_s or 0.0) for one in good)
    scored = answered if texts.labels and full else []
    targets = [texts.labels[one.arrival.text] for one in scored] if texts.labels else []
    return Row(
        scenario=scenario,
        policy=policy,
        load=load,
        repeat=repeat,
        events=len(counted),
        offered_per_s=len(counted) / seconds,
        on_time_per_s=len(good) / seconds,
        on_time=len(good) * of_all,
        degraded=sum(one.degraded for one in good) * of_all,
        late=sum(not one.on_time and one.latency_s is not None for one in counted) * of_all,
        shed=sum(one.latency_s is None for one in counted) * of_all,
        p50_ms=percentile(latencies, 0.50),
        p99_ms=percentile(latencies, 0.99),
        agreement=_share(one.answer == full[one.arrival.text] for one in answered)
        if full
        else None,
        macro_f1=macro_f1([one.answer or 0 for one in scored], targets, classes),
        macro_f1_full=macro_f1([full[one.arrival.text] for one in scored], targets, classes),
        gap_s=max((b - a for a, b in pairwise([SETTLE_S, *ends, max(times)])), default=seconds),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the least value that no more than the rest exceeds; :data:`WORST` of none."""
    if not ordered:
        return WORST
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


def macro_f1(answers: Sequence[int], targets: Sequence[int], classes: int) -> float | None:
    """Return the mean of the classes' F1; ``None`` without answers."""
    if not answers:
        return None
    scores = []
    for each in range(classes):
        hits = sum(a == t == each for a, t in zip(answers, targets, strict=True))
        named = sum(answer == each for answer in answers)
        there = sum(target == each for target in targets)
        scores.append(2 * hits / (named + there) if named + there else 0.0)
    return sum(scores) / classes


def _share(values: Iterable[bool]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None


def pooled(rows: Sequence[Row]) -> Row:
    """Return the mean of the repeats of one row; the worst of them for the times."""

    def mean(take: Callable[[Row], float]) -> float:
        return sum(take(one) for one in rows) / len(rows)

    def mean_known(take: Callable[[Row], float | None]) -> float | None:
        known = [value for one in rows if (value := take(one)) is not None]
        return sum(known) / len(known) if known else None

    return msgspec.structs.replace(
        rows[0],
        events=sum(one.events for one in rows),
        **{
            name: mean(lambda one, name=name: getattr(one, name))
            for name in (
                "offered_per_s", "on_time_per_s", "on_time", "degraded", "late", "shed",
                "p50_ms", "p99_ms",
            )
        },
        **{
            name: mean_known(lambda one, name=name: getattr(one, name))
            for name in ("agreement", "macro_f1", "macro_f1_full")
        },
        gap_s=max(one.gap_s for one in rows),
    )  # fmt: skip


def by_step(rows: Iterable[Row]) -> dict[tuple[str, str, float], Row]:
    """Return the repeats' means by scenario, policy and load."""
    found: dict[tuple[str, str, float], list[Row]] = {}
    for one in rows:
        found.setdefault((one.scenario, one.policy, one.load), []).append(one)
    return {step: pooled(repeats) for step, repeats in found.items()}


def show(rows: Iterable[Row], console: Console | None = None) -> None:
    """Print a table per scenario."""
    console = console or Console(width=WIDTH)
    steps = by_step(rows)
    for scenario in dict.fromkeys(scenario for scenario, _, _ in steps):
        console.print(_table(scenario, [one for one in steps.values() if one.scenario == scenario]))


def _table(scenario: str, rows: Sequence[Row]) -> Table:
    table = Table(title=scenario, title_justify="left")
    table.add_column("load", justify="right")
    table.add_column("policy", no_wrap=True)
    for name in ("offered/s", "on time/s", "on time", "degraded", "late", "shed"):
        table.add_column(name, justify="right")
    for name in ("p50 ms", "p99 ms", "agree", "macro-F1", "at full"):
        table.add_column(name, justify="right")
    loads = list(dict.fromkeys(one.load for one in sorted(rows, key=lambda one: one.load)))
    for load in loads:
        for number, one in enumerate(each for each in rows if each.load == load):
            table.add_row(
                "" if number else f"{load:g}x",
                one.policy,
                f"{one.offered_per_s:,.0f}",
                f"{one.on_time_per_s:,.0f}",
                *(f"{share:.2%}" for share in (one.on_time, one.degraded, one.late, one.shed)),
                *("-" if ms >= WORST else f"{ms:,.0f}" for ms in (one.p50_ms, one.p99_ms)),
                *(
                    "-" if share is None else f"{share:.4f}"
                    for share in (one.agreement, one.macro_f1, one.macro_f1_full)
                ),
            )
        table.add_section()
    return table
