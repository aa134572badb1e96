"""Alerts on the share of events of one kind within a window, with hysteresis; pure.

Cameras: the share of defects among a camera's or a line's images. Conversations: the share of
segments of a kind, such as negative ones. Repetitions change nothing; event time is the only clock.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from schemas.derived import Alert, AlertState


@dataclass(frozen=True, slots=True)
class RateSettings:
    """When an alert is raised and cleared.

    Attributes:
        rule: Name of what is watched for; stands on the alert.
        window_s: Seconds of event time that are looked back on.
        minimum_evidence: Fewest events in the window for raising or clearing.
        raise_at: Least share that raises an alert.
        clear_at: Largest share that clears it; below ``raise_at``, so that a share in between
            changes nothing.
        most_evidence: Events kept of one subject, the newest by event time.
    """

    rule: str
    window_s: float = 300.0
    minimum_evidence: int = 10
    raise_at: float = 0.2
    clear_at: float = 0.05
    most_evidence: int = 500

    def __post_init__(self) -> None:
        if not 0 <= self.clear_at < self.raise_at <= 1:
            raise ValueError(
                f"clear_at {self.clear_at:g}, raise_at {self.raise_at:g}: must be shares, and "
                "clear_at the smaller; choose for instance 0.05 and 0.2"
            )


class Sight(msgspec.Struct, frozen=True, array_like=True):
    """One classified event of a subject."""

    event: str
    """What revisions of it share: the record, or a session's segment."""
    at: float
    """When it happened, in seconds since the epoch."""
    hit: bool
    """Whether it is of the kind that is watched for."""
    rank: tuple[int, int]
    """Of answers to the same event the greatest counts: offset of the event, revision."""
    result: str
    """Id of the result."""


class Watch(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of one subject."""

    kept: tuple[Sight, ...] = ()
    """Its events within the window, oldest first."""
    raised: str | None = None
    """Id of the alert that goes on."""


def observe(
    watch: Watch, new: Sight, *, scope: str, subject: str, settings: RateSettings
) -> tuple[Watch, Alert | None] | None:
    """Take in one event.

    Args:
        watch: What is kept of the subject.
        new: The event.
        scope: What the subject is, such as ``camera``.
        subject: Its name.
        settings: Window and thresholds.

    Returns:
        What is kept now, and the alert that was raised or cleared by it; ``None`` where the event
        changes nothing, as a repetition does, and one that is older than the window.
    """
    by_event = {one.event: one for one in watch.kept}
    known = by_event.get(new.event)
    if known is not None and known.rank >= new.rank:
        return None
    by_event[new.event] = new
    horizon = max(one.at for one in by_event.values()) - settings.window_s
    kept = tuple(
        sorted(
            (one for one in by_event.values() if one.at > horizon),
            key=lambda one: (one.at, one.event),
        )[-settings.most_evidence :]
    )
    if new not in kept:
        return None
    hits = [one for one in kept if one.hit]
    rate = len(hits) / len(kept)
    enough = len(kept) >= settings.minimum_evidence
    if watch.raised is None:
        changed = enough and rate >= settings.raise_at
    else:
        changed = enough and rate <= settings.clear_at
    if not changed:
        return Watch(kept, watch.raised), None
    begins = watch.raised is None
    name = watch.raised or f"{settings.rule}:{scope}:{subject}:{new.result}"
    alert = Alert(
        id=name,
        state=AlertState.RAISED if begins else AlertState.CLEARED,
        rule=settings.rule,
        scope=scope,
        subject=subject,
        value=round(rate, 6),
        threshold=settings.raise_at if begins else settings.clear_at,
        evidence=len(kept),
        results=tuple(one.result for one in hits),
        event_time=datetime.fromtimestamp(kept[-1].at, UTC),
    )
    return Watch(kept, name if begins else None), alert
