"""The demo's figures at its end."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from heapq import merge
from typing import Any

from schemas.events import Modality
from schemas.results import Verdict
from streams.demo.audit import Audit
from streams.demo.tally import percentile


@dataclass(frozen=True, kw_only=True)
class Account:
    """What became of events; counted from the broker's topics after the last answer.

    Attributes:
        events_in: Events that the broker acknowledged.
        results: Events with a result.
        dead_letters: Events with a dead letter instead.
        lost: Events with neither.
        duplicates: Answers beyond an event's first.
        strangers: Answers that belong to no event of this demo.
        on_time: Results with this verdict; likewise the next three.
        within_budget: Share of the results that were published within their budget, at whatever
            effort; ``None`` without results.
        p50_ms: Median of the results' ``latency.total_ms``; ``None`` without results.
        p99_ms: Their 99th percentile.
        mean_active_share: Share of the encoder's parameters that an event met, averaged.
    """

    events_in: int
    results: int
    dead_letters: int
    lost: int
    duplicates: int
    strangers: int
    on_time: int
    late: int
    degraded: int
    shed: int
    within_budget: float | None
    p50_ms: float | None
    p99_ms: float | None
    mean_active_share: float

    @property
    def is_clean(self) -> bool:
        """Whether every event was answered exactly once, with its own answer."""
        return not (self.lost or self.duplicates or self.strangers)


@dataclass(frozen=True, kw_only=True)
class ModalityReport(Account):
    """One modality's account.

    Attributes:
        model: Name and version of who answered; ``None`` without results.
        budget_ms: That most events had; ``None`` without results.
        label: The most frequent one; ``None`` without any.
        labels: How many different ones were given.
    """

    model: str | None
    budget_ms: float | None
    label: str | None
    labels: int


@dataclass(frozen=True, kw_only=True)
class Report(Account):
    """All modalities' account together, and what only the demo itself knows.

    Attributes:
        events_per_s: Answers per second, from the first event sent to the last answer read.
        wall_s: Seconds from the first event sent to the last answer read.
        unserved: Events on topics that no model here reads.
        skipped: Lines of the log that could not be sent.
        interrupted: Stopped before the log's end.
        modalities: One account each, by name.
    """

    events_per_s: float
    wall_s: float
    unserved: int
    skipped: int
    interrupted: bool
    speed: str
    workers: int
    broker: str
    cpu: str
    modalities: Mapping[str, ModalityReport]

    @classmethod
    def of(cls, found: Mapping[Modality, Audit], *, wall_s: float, **others: Any) -> "Report":
        """Make a report of audits and what only the demo itself knows."""
        parts = list(found.values())
        answered = sum(part.results + part.dead_letters for part in parts)
        return cls(
            **_account(parts),
            events_per_s=round(answered / wall_s, 1) if wall_s > 0 else 0.0,
            wall_s=round(wall_s, 3),
            modalities={modality.value: _of_one(part) for modality, part in found.items()},
            **others,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the report as one JSON object."""
        return asdict(self)

    def in_words(self) -> str:
        """Say in a sentence or two what came of it."""
        if not self.is_clean:
            return (
                f"{self.events_in:,} in: {self.lost:,} lost, {self.duplicates:,} answered again, "
                f"{self.strangers:,} answers that belong to none"
            )
        fate = f"{self.results:,} results"
        if self.dead_letters:
            fate += f", {self.dead_letters:,} dead letters"
        return f"{self.events_in:,} in, {fate}: each event answered once, none lost."


def _of_one(part: Audit) -> ModalityReport:
    return ModalityReport(
        **_account([part]),
        model=_commonest(part.models),
        budget_ms=_commonest(part.budgets_ms),
        label=_commonest(part.labels),
        labels=len(part.labels),
    )


def _account(parts: list[Audit]) -> dict[str, Any]:
    """Return the fields of an account of several audits together."""
    results = sum(part.results for part in parts)
    verdicts = {each: sum(part.verdicts[each] for part in parts) for each in Verdict}
    in_time = verdicts[Verdict.ON_TIME] + verdicts[Verdict.DEGRADED]
    latencies_ms = list(merge(*(part.latencies_ms for part in parts)))
    p50, p99 = (percentile(latencies_ms, share) for share in (0.5, 0.99))
    active = sum(part.active_share for part in parts)
    sums = ("events_in", "dead_letters", "lost", "duplicates", "strangers")
    return {
        **{name: sum(getattr(part, name) for part in parts) for name in sums},
        **{verdict.value: count for verdict, count in verdicts.items()},
        "results": results,
        "within_budget": round(in_time / results, 4) if results else None,
        "p50_ms": None if p50 is None else round(p50, 1),
        "p99_ms": None if p99 is None else round(p99, 1),
        "mean_active_share": round(active / max(1, results), 4),
    }


def _commonest(counts: Mapping[Any, int]) -> Any:
    return max(counts, key=lambda each: counts[each], default=None)
