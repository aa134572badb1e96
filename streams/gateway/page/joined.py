"""Conversations and fused answers as the page shows them."""

import msgspec

from schemas.events import Modality
from schemas.fused import Fused, FusedPart
from schemas.session_state import SessionState

MOST_SESSIONS = 500
MOST_FUSED = 200
SILENT_MS = 3_600_000
"""How long they are shown after their last news."""


class Conversation(msgspec.Struct, kw_only=True):
    """What is known of a session."""

    session: str
    sequence: int
    segments: int
    intent: str | None
    """Of the newest segment that has one."""
    intents: list[tuple[str, int]]
    """All so far, and how many segments have each."""
    mood: float | None
    speaker: str | None
    asked_by: str | None
    asked_ms: int | None
    """When its open question was asked; ``None`` without one."""
    event_ms: int
    """When its newest segment was said."""
    at_ms: int


class Answer(msgspec.Struct, kw_only=True):
    """What several streams say together of one thing."""

    id: str
    key: str
    revision: int
    parts: dict[Modality, FusedPart]
    missing: tuple[Modality, ...]
    reason: str | None
    is_ambiguous: bool
    event_ms: int
    at_ms: int


def conversation(state: SessionState, at_ms: int) -> Conversation:
    """Pick what is shown of a session's state."""
    question = state.open_question
    return Conversation(
        session=state.session_id,
        sequence=state.sequence,
        segments=state.segments,
        intent=state.current_intent,
        intents=[(one.label, one.count) for one in state.intents],
        mood=state.mood,
        speaker=state.last_speaker,
        asked_by=question.speaker if question else None,
        asked_ms=int(question.event_time.timestamp() * 1e3) if question else None,
        event_ms=int(state.event_time.timestamp() * 1e3),
        at_ms=at_ms,
    )


def answer(fused: Fused, at_ms: int) -> Answer:
    """Pick what is shown of a fused answer."""
    return Answer(
        id=fused.id,
        key=fused.key,
        revision=fused.revision,
        parts=fused.parts,
        missing=fused.missing,
        reason=fused.reason.value if fused.reason else None,
        is_ambiguous=fused.ambiguous,
        event_ms=int(fused.event_time.timestamp() * 1e3),
        at_ms=at_ms,
    )
