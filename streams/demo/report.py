"""The demo's figures at its end."""

from dataclasses import asdict, dataclass
from typing import Any

from schemas.results import Verdict
from streams.demo.audit import Audit
from streams.demo.tally import percentile


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of every event; counted from the broker's topics after the last answer.

    Attributes:
        events_in: Events of served modalities that the broker acknowledged.
        results: Events with a result.
        dead_letters: Events with a dead letter instead.
        lost: Events with neither.
        duplicates: Answers beyond an event's first.
        strangers: Answers that belong to no event of this demo.
        on_time: Results with this verdict; likewise the next three.
        events_per_s: Answers per second, from the first event sent to the last answer read.
        p50_ms: Median of the results' ``latency.total_ms``; ``None`` without results.
        p99_ms: Their 99th percentile.
        wall_s: Seconds from the first event sent to the last answer read.
        unserved: Events on topics that no model here reads.
        skipped: Lines of the log that could not be sent.
        mean_active_share: Share of the encoder's parameters that an event met, averaged.
        interrupted: Stopped before the log's end.
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
    events_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    wall_s: float
    unserved: int
    skipped: int
    mean_active_share: float
    interrupted: bool
    speed: str
    workers: int
    broker: str
    model: str | None
    cpu: str

    @classmethod
    def of(cls, found: Audit, *, wall_s: float, **others: Any) -> "Report":
        """Make a report of an audit and what only the demo itself knows."""
        answered = found.results + found.dead_letters
        p50, p99 = (percentile(found.latencies_ms, share) for share in (0.5, 0.99))
        return cls(
            events_in=found.events_in,
            results=found.results,
            dead_letters=found.dead_letters,
            lost=found.lost,
            duplicates=found.duplicates,
            strangers=found.strangers,
            on_time=found.verdicts[Verdict.ON_TIME],
            late=found.verdicts[Verdict.LATE],
            degraded=found.verdicts[Verdict.DEGRADED],
            shed=found.verdicts[Verdict.SHED],
            events_per_s=round(answered / wall_s, 1) if wall_s > 0 else 0.0,
            p50_ms=None if p50 is None else round(p50, 1),
            p99_ms=None if p99 is None else round(p99, 1),
            wall_s=round(wall_s, 3),
            **others,
        )

    @property
    def is_clean(self) -> bool:
        """Whether every event was answered exactly once, with its own answer."""
        return not (self.lost or self.duplicates or self.strangers)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as one flat JSON object."""
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
