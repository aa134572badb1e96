"""Results as a worker would publish them."""

from datetime import UTC, datetime

from schemas.events import Modality
from schemas.results import Classification, Effort, Latency, Model, Source, Verdict

MOMENT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def result(
    *,
    total_ms: float = 30.0,
    verdict: Verdict = Verdict.ON_TIME,
    label: str | None = "positive",
    modality: Modality = Modality.NEWS,
    budget_ms: float = 150,
) -> Classification:
    """Make one result."""
    return Classification(
        event_id="n-1",
        modality=modality,
        label=label,
        scores={label: 0.9} if label else {},
        verdict=verdict,
        model=Model(name="m", version="1", digest="sha256:00"),
        effort=Effort(active_share=0.2, layers=2, experts=2),
        latency=Latency(budget_ms=budget_ms, queue_ms=1, model_ms=2, total_ms=total_ms),
        source=Source(topic="events.news", partition=0, offset=0),
        event_time=MOMENT,
        result_time=MOMENT,
    )
