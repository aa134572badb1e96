"""The scheduler's unit of work and what becomes of it."""

from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from inference.engine import EffortLevel, Encoded, Prediction
from schemas.results import AnsweredFrom

PRIORITY_LEVELS = 10
"""Priorities run from 0 to 9; 9 is the most urgent."""
DEFAULT_PRIORITY = 4


class OverloadPolicy(StrEnum):
    """What to do with work that cannot meet its deadline at full effort."""

    DEGRADE = "degrade"
    """Lower the effort; shed what no effort can save."""
    SHED = "shed"
    """Full effort or nothing."""
    LATE = "late"
    """Run it at full effort all the same; the verdict will say late."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a work is about, where of several works about one thing only the newest is worth a run.

    Attributes:
        key: Equal for works about the same thing.
        name: How the work is cited where it supersedes another, such as ``event 'f-7'``.
        is_final: The last word on its subject: it is never superseded, and what comes after it is,
            unless that is final too.
    """

    key: Hashable
    name: str
    is_final: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """One admitted event.

    Attributes:
        handle: The caller's own; comes back untouched on the completion.
        arrival: Monotonic seconds at ingress.
        deadline: Monotonic seconds by which the result must be published.
        subject: What it is about, if a newer work about the same may supersede it.
    """

    handle: Any
    encoded: Encoded
    arrival: float
    deadline: float
    priority: int = DEFAULT_PRIORITY
    on_overload: OverloadPolicy = OverloadPolicy.DEGRADE
    subject: Subject | None = None

    @property
    def tokens(self) -> int:
        """Length in tokens."""
        return self.encoded.tokens


@dataclass(frozen=True, slots=True, eq=False)
class Completion:
    """The end of one piece of work; every admitted work has exactly one.

    Exactly one of ``prediction``, ``error`` and (for shed work) ``reason`` alone is what happened.

    Attributes:
        effort: The rung that was run; ``None`` when shed.
        degraded: The rung was below full.
        reason: Why the work was degraded or shed; ``None`` otherwise.
        answered_from: Where the prediction was taken from, if there is one.
        superseded: It was shed because a newer work about the same subject came.
        queue_s: Seconds from arrival to the start of the batch, or to shedding.
        model_s: Run time in seconds of the batch; 0 when shed.
    """

    work: Work
    prediction: Prediction | None = None
    effort: EffortLevel | None = None
    degraded: bool = False
    reason: str | None = None
    answered_from: AnsweredFrom = AnsweredFrom.MODEL
    superseded: bool = False
    error: Exception | None = None
    queue_s: float = 0.0
    model_s: float = 0.0
