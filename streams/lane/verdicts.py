"""From what became of the work to what the subscriber reads."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from inference.work import Completion
from schemas.events import Event, NewsEvent, TranscriptEvent
from schemas.kafka import Inbound
from schemas.results import AnsweredFrom, Classification, Effort, Latency, Model, Verdict
from streams.entities.linker import Linked
from streams.lane.frames import UNSEEN, Seen
from streams.lane.questions import asks
from streams.offsets import OffsetTracker
from streams.tracing.traced import EventTrace

IN_TIME = frozenset({Verdict.ON_TIME.value, Verdict.DEGRADED.value})
"""What a result says that is to be published before its deadline."""
_NO_EFFORT = Effort(active_share=0.0, layers=0, experts=0)


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """An event between the broker and its result.

    Attributes:
        inbound: The decoded event with its source.
        record: The Kafka record as it was read, for its key and, if need be, its bytes.
        timestamp_ms: When the event entered Kafka; its budget runs from here.
        budget_ms: The event's own budget, or its topic's.
        tracker: Follows the partition that the event came from.
        seen: What is known of an image by those that its camera sent before.
        content: Equal for events that the model reads the same of; ``None`` where nobody asks.
        revises: The verdict of the first answer, where this is to be the second.
        refused: Why it was not even encoded: it came too late to be in time.
        trace: Follows it, if it is one of the events that are followed.
    """

    inbound: Inbound
    record: Any
    timestamp_ms: float
    budget_ms: float
    tracker: OffsetTracker
    seen: Seen = UNSEEN
    content: bytes | None = None
    revises: Verdict | None = None
    refused: str | None = None
    trace: EventTrace | None = None


def to_classification(
    completion: Completion,
    *,
    model: Model,
    labels: tuple[str, ...],
    now_ms: float,
    margin_ms: float = 0.0,
    link: Callable[[NewsEvent], Linked] | None = None,
) -> Classification:
    """Build the result of one completed, not failed, work.

    Args:
        completion: Shed or classified; its handle is an :class:`Admitted`.
        model: Who answered.
        labels: Names of the prediction's scores, in their order.
        now_ms: Wall clock in milliseconds since the epoch, read as close to sending as can be.
        margin_ms: What the way from there to the broker hardly exceeds. What might be published
            after its deadline is late: a verdict cannot be taken back.
        link: Finds the companies that classified news is about; none are looked for if it is unset.
    """
    admitted: Admitted = completion.work.handle
    # A clock that runs behind the producer's must not show a negative latency.
    total_ms = max(0.0, now_ms - admitted.timestamp_ms)
    verdict, reason = _judge(completion, total_ms, admitted.budget_ms, margin_ms)
    if admitted.revises is not None:
        reason = f"classified in full after a first answer with the verdict {admitted.revises}"
    prediction = completion.prediction
    scores: dict[str, float] = {}
    label = None
    effort = _NO_EFFORT
    if prediction is not None:
        scores = {
            name: round(score, 6) for name, score in zip(labels, prediction.scores, strict=True)
        }
        label = max(scores, key=scores.__getitem__)
        effort = Effort(
            active_share=round(prediction.active_share, 4),
            layers=prediction.layers,
            experts=prediction.experts,
        )
    inbound = admitted.inbound
    return Classification(
        event_id=inbound.event.id,
        modality=inbound.modality,
        label=label,
        scores=scores,
        verdict=verdict,
        reason=reason,
        revision=int(admitted.revises is not None),
        answered_from=AnsweredFrom.NONE if prediction is None else completion.answered_from,
        model=model,
        effort=effort,
        latency=Latency(
            budget_ms=admitted.budget_ms,
            queue_ms=round(completion.queue_s * 1e3, 3),
            model_ms=round(completion.model_s * 1e3, 3),
            total_ms=round(total_ms, 3),
        ),
        source=inbound.source,
        event_time=inbound.event_time,
        result_time=datetime.fromtimestamp(now_ms / 1e3, UTC),
        **_about(inbound.event, None if prediction is None else link),
    )


def _about(event: Event, link: Callable[[NewsEvent], Linked] | None) -> dict[str, Any]:
    """Pass on, or find, what those who aggregate results group them by."""
    if isinstance(event, NewsEvent):
        return {"tickers": event.tickers} if link is None else link(event)._asdict()
    if isinstance(event, TranscriptEvent):
        return {
            "session_id": event.session_id,
            "segment": event.segment,
            "speaker": event.speaker,
            "is_question": asks(event.text),
        }
    return {"camera_id": event.camera_id}


def _judge(
    completion: Completion, total_ms: float, budget_ms: float, margin_ms: float
) -> tuple[Verdict, str | None]:
    if completion.prediction is None:
        return Verdict.SHED, completion.reason
    if total_ms > budget_ms:
        return Verdict.LATE, _why_late(completion, total_ms, budget_ms)
    if total_ms + margin_ms > budget_ms:
        return Verdict.LATE, (
            f"handed over {budget_ms - total_ms:.1f} ms before the end of its budget of "
            f"{budget_ms:g} ms, and the way to the broker takes up to {margin_ms:.1f} ms now"
        )
    if completion.degraded:
        return Verdict.DEGRADED, completion.reason
    return Verdict.ON_TIME, None


def _why_late(completion: Completion, total_ms: float, budget_ms: float) -> str:
    """Say which part of the way took the longest; that is where a remedy would help."""
    queue_ms, model_ms = completion.queue_s * 1e3, completion.model_s * 1e3
    parts = {
        "before it reached the worker": total_ms - queue_ms - model_ms,
        "in the queue": queue_ms,
        "in the model": model_ms,
    }
    where = max(parts, key=parts.__getitem__)
    return (
        f"{total_ms - budget_ms:.0f} ms over its budget of {budget_ms:g} ms: "
        f"{parts[where]:.0f} ms went by {where}"
    )
