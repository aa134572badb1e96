"""What results of several modalities say together of one thing at one time."""

from datetime import datetime
from enum import StrEnum

import msgspec

from schemas.derived_codec import decode_derived, encode_derived
from schemas.events import Modality
from schemas.records import Outbound
from schemas.results import Verdict

FUSED_TYPE = "headrace.fused.v1"


class Incomplete(StrEnum):
    """Why an answer lacks parts."""

    WAIT_OVER = "wait_over"
    """They did not come within the wait."""
    WAITING = "waiting"
    """A part that was in an earlier revision went to where it fits better; the wait for another
    goes on."""
    GIVEN_UP = "given_up"
    """The wait was cut short: event time had gone on too far, or too many parts were kept."""
    LATE = "late"
    """The one part came so late that what it belongs to was no longer looked for."""
    SUPERSEDED = "superseded"
    """Its parts are in the answer that ``superseded_by`` names."""


class FusedPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one modality says."""

    label: str | None
    """The result's label; null when shed."""
    score: float | None
    """Its probability; null when shed."""
    verdict: Verdict
    """How the result was reached."""
    result: str
    """Id of the result."""
    event_time: datetime
    """When the event happened."""


class Fused(msgspec.Struct, frozen=True, kw_only=True):
    """Results of different modalities that belong together, as far as they are known."""

    id: str
    """The key, and the event that the answer is named after; revisions have the same."""
    revision: int = 0
    """0 for the first; the greatest holds."""
    key: str
    """What the results have in common, such as a ticker or an entity."""
    parts: dict[Modality, FusedPart]
    """What each modality says; none when superseded."""
    complete: bool
    """Whether every expected modality is among the parts."""
    missing: tuple[Modality, ...] = ()
    """Expected modalities that are not among the parts."""
    reason: Incomplete | None = None
    """Why it is not complete; null when it is."""
    superseded_by: str | None = None
    """Id of the answer that has its parts now."""
    ambiguous: bool = False
    """Whether another way to join the results is not unlikely."""
    confidence: float | None = None
    """How likely it is that just these parts belong together, rounded down to tenths; null when it
    is not ambiguous."""
    rivals: tuple[str, ...] = ()
    """Ids of other results that some of the parts may belong to."""
    event_time: datetime
    """When the earliest of the events happened."""
    window_s: float
    """Most seconds of event time between two parts."""


def encode_fused(fused: Fused) -> Outbound:
    """Write an answer as a CloudEvent in binary mode, keyed by its key."""
    return encode_derived(
        fused,
        FUSED_TYPE,
        name=f"{fused.id}:{fused.revision}",
        source="/headrace/fusion",
        subject=fused.key,
        time=fused.event_time,
    )


def decode_fused(value: bytes) -> Fused:
    """Read an answer's value; fields that this version does not know are ignored.

    Raises:
        UndecodableError: The value is not JSON.
        InvalidEventError: A field is missing or has the wrong type.
    """
    return decode_derived(value, Fused, "fused event")
