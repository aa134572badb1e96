"""What a subscriber wants of session states and fused answers, and which repetitions are none."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from schemas.events import Modality
from schemas.fused import Fused, decode_fused
from schemas.records import Record
from schemas.session_state import SessionState, decode_session
from streams.subscription.filters import AnyOf, Choosing, Filter


class Certainty(StrEnum):
    """Whether an answer's parts may belong elsewhere."""

    CLEAR = "clear"
    """Nothing else is likely."""
    AMBIGUOUS = "ambiguous"
    """It names its rivals."""


class FusedState(StrEnum):
    """How far an answer is known."""

    COMPLETE = "complete"
    """Every expected modality is among its parts."""
    INCOMPLETE = "incomplete"
    """It lacks some."""
    SUPERSEDED = "superseded"
    """Another answer has its parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSessions(Choosing[SessionState]):
    """Session states that a subscriber asks for; what is empty is not asked.

    Attributes:
        sessions: They are of one of these sessions.
        intents: Their newest intent is one of these.
    """

    FILTERS: ClassVar[Mapping[str, Filter]] = {
        "session": AnyOf(
            "sessions",
            "Only states of one of these sessions.",
            of=lambda state, _: (state.session_id,),
        ),
        "intent": AnyOf(
            "intents",
            "Only states whose newest intent is one of these.",
            of=lambda state, _: (state.current_intent,),
        ),
    }

    sessions: Collection[str] = ()
    intents: Collection[str] = ()

    @staticmethod
    def decode(record: Record) -> SessionState:
        """Read a record's state."""
        return decode_session(record.value or b"")

    @staticmethod
    def identity(value: SessionState) -> tuple[str, int]:
        """Return the session, and which of its states it is."""
        return value.session_id, value.sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFused(Choosing[Fused]):
    """Fused answers that a subscriber asks for; what is empty is not asked.

    Attributes:
        keys: They are about one of these entities, tickers, sessions or cameras.
        labels: One of their parts has one of these labels.
        states: They are known so far.
        missing: They lack one of these modalities.
        certainties: They are clear, or ambiguous.
    """

    FILTERS: ClassVar[Mapping[str, Filter]] = {
        "about": AnyOf(
            "keys",
            "Only answers about one of these entities, tickers, sessions or cameras.",
            of=lambda answer, _: (answer.key,),
        ),
        "label": AnyOf(
            "labels",
            "Only answers of which a part has one of these labels.",
            of=lambda answer, _: (part.label for part in answer.parts.values()),
        ),
        "state": AnyOf(
            "states",
            "Only answers that are known so far.",
            of=lambda answer, _: (_state_of(answer),),
            choices=FusedState,
        ),
        "missing": AnyOf(
            "missing",
            "Only answers that lack one of these modalities.",
            of=lambda answer, _: answer.missing,
            choices=Modality,
        ),
        "certainty": AnyOf(
            "certainties",
            "Only answers whose parts belong together clearly, or that are ambiguous.",
            of=lambda answer, _: (Certainty.AMBIGUOUS if answer.ambiguous else Certainty.CLEAR,),
            choices=Certainty,
        ),
    }

    keys: Collection[str] = ()
    labels: Collection[str] = ()
    states: Collection[FusedState] = ()
    missing: Collection[Modality] = ()
    certainties: Collection[Certainty] = ()

    @staticmethod
    def decode(record: Record) -> Fused:
        """Read a record's answer."""
        return decode_fused(record.value or b"")

    @staticmethod
    def identity(value: Fused) -> tuple[str, int]:
        """Return the answer, and how often it was revised."""
        return value.id, value.revision


def _state_of(answer: Fused) -> FusedState:
    if answer.superseded_by is not None:
        return FusedState.SUPERSEDED
    return FusedState.COMPLETE if answer.complete else FusedState.INCOMPLETE
