"""Results beside the events that they answer, by the broker's clock: who was right?"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from harness import Loaded
from reader import VERDICTS
from rich.console import Console
from rich.table import Table

SETTLE_MS = 1_000.0
"""Latencies of what was due so long after the first are counted; verdicts of all."""
WIDTH = 150
IN_TIME = tuple(VERDICTS.index(name) for name in ("on_time", "degraded"))
LATE = VERDICTS.index("late")


class Audit(msgspec.Struct, kw_only=True):
    """One load of one worker; times in milliseconds.

    Attributes:
        load: Offered events as a multiple of capacity.
        missing: Events without a result.
        duplicates: Results beyond the first of an event.
        lies: Results that say ``on_time`` or ``degraded`` and were appended after the deadline.
        worst_lie_ms: How long after it, at most.
        received_late: Results that say so and reached the subscriber after the deadline.
        modest: Results that say ``late`` and were appended before it.
        p50_ms: From the event's timestamp to the result's, of those in time.
        p99_ms: Likewise.
        receipt_p99_ms: From the event's timestamp to the subscriber, likewise.
        slip_p99_ms: How late the load itself left; it counts in all of the above.
        cores: Used, by role.
    """

    policy: str
    load: float
    arrivals: str
    offered: int
    offered_per_s: float
    missing: int
    duplicates: int
    verdicts: dict[str, int]
    lies: int
    worst_lie_ms: float
    received_late: int
    modest: int
    p50_ms: float
    p99_ms: float
    receipt_p99_ms: float
    slip_p99_ms: float
    cores: dict[str, float]


def audit(loaded: Loaded, *, policy: str, load: float, arrivals: str, budget_ms: float) -> Audit:
    """Compare what results say with when the broker had them.

    Timestamps are whole milliseconds, rounded down: what counts as after the deadline certainly is.

    Args:
        loaded: What went in and came out.
        policy: ``on_overload``.
        load: Multiple of capacity.
        arrivals: How events came.
        budget_ms: From an event's timestamp to its deadline.
    """
    rows, due_ms = loaded.rows, loaded.due_ms
    numbers = rows[:, 0].astype(np.int64)
    _, first = np.unique(numbers, return_index=True)
    answered = rows[first]
    due = due_ms[answered[:, 0].astype(np.int64)]
    verdicts = answered[:, 3].astype(np.int64)
    in_time = np.isin(verdicts, IN_TIME)
    over_ms = answered[:, 1] - due - budget_ms
    lies = in_time & (over_ms > 0)
    counted = in_time & (due >= due_ms[0] + SETTLE_MS)
    counts = np.bincount(verdicts, minlength=len(VERDICTS))
    return Audit(
        policy=policy,
        load=load,
        arrivals=arrivals,
        offered=len(due_ms),
        offered_per_s=float(loaded.sent["sent"] / loaded.sent["seconds"]),
        missing=len(due_ms) - len(first),
        duplicates=len(rows) - len(first),
        verdicts={name: int(n) for name, n in zip(VERDICTS, counts, strict=True) if n},
        lies=int(lies.sum()),
        worst_lie_ms=float(over_ms[lies].max(initial=0.0)),
        received_late=int((in_time & (answered[:, 2] - due > budget_ms)).sum()),
        modest=int(((verdicts == LATE) & (over_ms <= 0)).sum()),
        p50_ms=_percentile((answered[:, 1] - due)[counted], 50),
        p99_ms=_percentile((answered[:, 1] - due)[counted], 99),
        receipt_p99_ms=_percentile((answered[:, 2] - due)[counted], 99),
        slip_p99_ms=loaded.sent["slip_p99_ms"],
        cores=loaded.cores,
    )


def _percentile(values: Any, share: float) -> float:
    return float(np.percentile(values, share)) if len(values) else float("nan")


def show(audits: Sequence[Audit], *, header: bool = True) -> None:
    """Print a row for each."""
    table = Table(box=None, show_header=header, padding=(0, 1, 0, 0))
    for name, width in COLUMNS:
        table.add_column(name, width=width, justify="left" if name == "policy" else "right")
    for one in audits:
        told = one.verdicts
        table.add_row(
            one.policy, f"{one.load:g}x {one.arrivals}", f"{one.offered_per_s:,.0f}",
            *(f"{told.get(name, 0):,}" for name in VERDICTS[1:]),
            f"{one.missing}/{one.duplicates}",
            f"{one.lies}" + (f" ({one.worst_lie_ms:.0f} ms)" if one.lies else ""),
            f"{one.received_late}", f"{one.modest}",
            f"{one.p50_ms:.1f}", f"{one.p99_ms:.1f}", f"{one.receipt_p99_ms:.1f}",
            f"{one.slip_p99_ms:.0f}",
            " ".join(f"{used:.2f}" for used in one.cores.values()),
        )  # fmt: skip
    Console(width=WIDTH).print(table)


COLUMNS = (
    ("policy", 7), ("load", 12), ("offered/s", 9), ("on_time", 7), ("late", 6), ("degraded", 8),
    ("shed", 7), ("none/2x", 7), ("lies", 11), ("got late", 8), ("modest", 6),
    ("p50", 5), ("p99", 5), ("got p99", 7), ("slip", 4), ("cores", 24),
)  # fmt: skip
