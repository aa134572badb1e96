"""Rolling sentiment of one instrument: a pure function of the set of its classified events.

What is kept is evidence by source event, so that neither the order of arrival nor a repetition
changes anything: the same results, replayed, give the same state and the same signals. The only
clock is event time.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from schemas.derived import Direction, Signal
from schemas.encode import result_id
from schemas.results import Classification

POLARITIES: Mapping[str, float] = {"positive": 1.0, "neutral": 0.0, "negative": -1.0}
"""What each label says, from -1 to 1."""


@dataclass(frozen=True, slots=True)
class SentimentSettings:
    """How signals are made.

    Attributes:
        window_s: Seconds of event time that a signal looks back.
        half_life_s: Age at which an event weighs half of a new one.
        minimum_evidence: Fewest events in the window for a signal.
        direction_at: Least strength of a signal that is not neutral.
        history_s: Seconds that are kept to tell what is usual for the instrument.
        minimum_history: Fewest events before the window for a surprise.
        smallest_deviation: What a deviation counts as at least, so that a quiet history does not
            make everything a surprise.
        most_evidence: Events kept for one instrument, the newest by event time.
        polarities: What each label says, from -1 to 1; events without any of them are passed over.
    """

    window_s: float = 3_600.0
    half_life_s: float = 900.0
    minimum_evidence: int = 2
    direction_at: float = 0.2
    history_s: float = 86_400.0
    minimum_history: int = 5
    smallest_deviation: float = 0.1
    most_evidence: int = 500
    polarities: Mapping[str, float] = field(default_factory=lambda: POLARITIES)


class Evidence(msgspec.Struct, frozen=True, array_like=True):
    """What one classified event says of an instrument."""

    event: str
    """Topic, partition and offset of the event."""
    at: float
    """When it happened, in seconds since the epoch."""
    score: float
    """Its sentiment, from -1 to 1."""
    revision: int
    """Of the result."""
    result: str
    """Id of the result."""


def evidence_of(result: Classification, polarities: Mapping[str, float]) -> Evidence | None:
    """Return what a result says, or ``None`` where it says nothing, as when it was shed."""
    known = [
        polarities[label] * score for label, score in result.scores.items() if label in polarities
    ]
    if not known:
        return None
    source = result.source
    return Evidence(
        event=f"{source.topic}:{source.partition}:{source.offset}",
        at=result.event_time.timestamp(),
        score=max(-1.0, min(1.0, sum(known))),
        revision=result.revision,
        result=result_id(source, result.model.digest, result.revision),
    )


def add(
    kept: tuple[Evidence, ...], new: Evidence, settings: SentimentSettings
) -> tuple[Evidence, ...] | None:
    """Add an event to what is kept of its instrument, oldest first.

    Returns:
        What is kept now, or ``None`` where the event adds nothing: it was counted before in this
        revision or a later one, or is too old.
    """
    by_event = {one.event: one for one in kept}
    known = by_event.get(new.event)
    # Of two models' answers to one event the greater id stays, whichever came first.
    if known is not None and (known.revision, known.result) >= (new.revision, new.result):
        return None
    by_event[new.event] = new
    horizon = max(one.at for one in by_event.values()) - settings.history_s
    newest = sorted(
        (one for one in by_event.values() if one.at >= horizon),
        key=lambda one: (one.at, one.event),
    )[-settings.most_evidence :]
    return tuple(newest) if new in newest else None


def signal_as_of(
    ticker: str, kept: tuple[Evidence, ...], trigger: Evidence, settings: SentimentSettings
) -> Signal | None:
    """Return what an instrument's events up to one of them say, if they are enough to say it.

    Args:
        ticker: The instrument.
        kept: Its events, ``trigger`` among them.
        trigger: The event that the signal is as of; a signal that is made anew for a later
            revision of it has the same id.
        settings: Window, weights and thresholds.
    """
    start = trigger.at - settings.window_s
    window = [one for one in kept if start < one.at <= trigger.at]
    if len(window) < settings.minimum_evidence:
        return None
    weights = [math.exp2(-(trigger.at - one.at) / settings.half_life_s) for one in window]
    total = math.fsum(weights)
    pull = math.fsum(weight * one.score for weight, one in zip(weights, window, strict=True))
    push = math.fsum(weight * abs(one.score) for weight, one in zip(weights, window, strict=True))
    sentiment = pull / total
    strength = abs(sentiment)
    direction = Direction.NEUTRAL
    if strength >= settings.direction_at:
        direction = Direction.POSITIVE if sentiment > 0 else Direction.NEGATIVE
    agreement = abs(pull) / push if push else 1.0
    return Signal(
        id=f"{ticker}:{trigger.event}",
        revision=trigger.revision,
        ticker=ticker,
        direction=direction,
        sentiment=round(sentiment, 6),
        strength=round(strength, 6),
        confidence=round(agreement * total / (1 + total), 6),
        surprise=_surprise(sentiment, [one.score for one in kept if one.at <= start], settings),
        evidence=len(window),
        results=tuple(one.result for one in window),
        event_time=datetime.fromtimestamp(trigger.at, UTC),
        window_s=settings.window_s,
    )


def _surprise(sentiment: float, earlier: list[float], settings: SentimentSettings) -> float | None:
    if len(earlier) < max(1, settings.minimum_history):
        return None
    mean = math.fsum(earlier) / len(earlier)
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in earlier) / len(earlier))
    return round((sentiment - mean) / max(deviation, settings.smallest_deviation), 6)
