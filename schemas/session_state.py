"""What is known of a session, derived from the results of its segments."""

from datetime import datetime

import msgspec

from schemas.derived_codec import decode_derived, encode_derived
from schemas.records import Outbound

SESSION_TYPE = "headrace.session.v1"


class IntentCount(msgspec.Struct, frozen=True, kw_only=True):
    """How often a session has had one intent."""

    label: str
    """The intent."""
    count: int
    """Segments that have it."""
    first_segment: int | None = None
    """Number of the first of them; null where segments have no numbers."""
    last_segment: int | None = None
    """Number of the last of them; null where segments have no numbers."""


class OpenQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A segment with a question that nobody of the other side has spoken after."""

    result: str
    """Id of the segment's result."""
    segment: int | None = None
    """Number of the segment."""
    speaker: str | None = None
    """Who asked."""
    event_time: datetime
    """When the segment was said."""


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a session by the segments that were seen of it."""

    session_id: str
    """Of which session."""
    sequence: int
    """Counts the session's states, from 1; of two, the greater holds."""
    segments: int
    """Segments seen."""
    intents: tuple[IntentCount, ...] = ()
    """Intents so far, in the order in which they first came; sentiments are none."""
    current_intent: str | None = None
    """That of the newest segment that has one."""
    mood: float | None = None
    """Mean sentiment of the newest segments, from -1 to 1, newer ones weighing more; null where
    the model tells no sentiment."""
    last_speaker: str | None = None
    """Of the newest segment whose speaker is known."""
    open_question: OpenQuestion | None = None
    """The newest segment with a question, unless a later one is not known to be of the same
    speaker."""
    results: tuple[str, ...]
    """Ids of the results of the newest segments, oldest segment first."""
    first_event_time: datetime
    """Of the earliest segment."""
    event_time: datetime
    """Of the latest segment."""


def encode_session(state: SessionState) -> Outbound:
    """Write a session's state as a CloudEvent in binary mode, keyed by the session."""
    return encode_derived(
        state,
        SESSION_TYPE,
        name=f"{state.session_id}:{state.sequence}",
        source="/headrace/sessions",
        subject=state.session_id,
        time=state.event_time,
    )


def decode_session(value: bytes) -> SessionState:
    """Read a session state's value; fields that this version does not know are ignored.

    Raises:
        UndecodableError: The value is not JSON.
        InvalidEventError: A field is missing or has the wrong type.
    """
    return decode_derived(value, SessionState, "session state")
