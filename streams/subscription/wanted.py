"""What a subscriber wants of results and dead letters, and which repetitions are none."""

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self

from schemas.kafka import decode_dead_letter, decode_result, result_id
from schemas.records import Record
from schemas.results import Classification, DeadLetter, Verdict
from streams.subscription.filters import AnyOf, Choice, Choosing, Filter, Least
from streams.subscription.seen import Seen


class Answers(StrEnum):
    """Which of an event's answers a subscriber gets."""

    FIRST = "first"
    """The first alone: act once, at once."""
    BEST = "best"
    """The first, and a later one where it replaces what came before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedResults(Choosing[Classification]):
    """Results that a subscriber asks for; what is empty is not asked.

    Attributes:
        labels: One of them is the result's label.
        verdicts: One of them is its verdict.
        min_confidence: Least probability of its label, 0 to 1; a shed event has none.
        tickers: Its event names one of these instruments.
        cameras: Its event came from one of these cameras.
        sessions: Its event was said in one of these sessions.
        source_topics: Its event came from one of them.
        keys: Its record's key is one of them: what producers choose.
        answers: Which of an event's answers.
    """

    FILTERS: ClassVar[Mapping[str, Filter]] = {
        "key": AnyOf(
            "keys",
            "Only results whose record has one of these keys.",
            of=lambda _, record: (record.key,),
            convert=str.encode,
        ),
        "ticker": AnyOf(
            "tickers",
            "Only results of events that name one of these instruments.",
            of=lambda result, _: result.tickers,
        ),
        "camera": AnyOf(
            "cameras",
            "Only results of events from one of these cameras.",
            of=lambda result, _: (result.camera_id,),
        ),
        "session": AnyOf(
            "sessions",
            "Only results of events of one of these sessions.",
            of=lambda result, _: (result.session_id,),
        ),
        "label": AnyOf(
            "labels",
            "Only results with one of these labels.",
            of=lambda result, _: (result.label,),
        ),
        "verdict": AnyOf(
            "verdicts",
            "Only results with one of these verdicts.",
            of=lambda result, _: (result.verdict,),
            choices=Verdict,
        ),
        "source_topic": AnyOf(
            "source_topics",
            "Only results of events from one of these topics.",
            of=lambda result, _: (result.source.topic,),
        ),
        "min_confidence": Least(
            "min_confidence",
            "Least probability of the result's label.",
            of=lambda result, _: result.scores.get(result.label or "", 0.0),
        ),
        "answers": Choice(
            "answers",
            "Each event's first answer alone, or later and better ones as well.",
            choices=Answers,
        ),
    }

    labels: Collection[str] = ()
    verdicts: Collection[Verdict] = ()
    min_confidence: float = 0.0
    tickers: Collection[str] = ()
    cameras: Collection[str] = ()
    sessions: Collection[str] = ()
    source_topics: Collection[str] = ()
    keys: Collection[bytes] = ()
    answers: Answers = Answers.FIRST

    @classmethod
    def plain(cls) -> tuple[Self, ...]:
        """Return one for each choice of answers."""
        return tuple(cls(answers=answers) for answers in Answers)

    @property
    def memory(self) -> Hashable:
        """Which answers count."""
        return self.answers

    @staticmethod
    def decode(record: Record) -> Classification:
        """Read a record's result."""
        return decode_result(record.value or b"")

    @staticmethod
    def identity(value: Classification) -> tuple[str, int]:
        """Return the event and model, and which answer it is."""
        return result_id(value.source, value.model.digest), value.revision

    def is_new(self, value: Classification, seen: Seen) -> bool:
        """Say whether a result is the first, or better than those before it."""
        # Of results without a key the second may come first: it must not hide the first.
        if self.answers is Answers.FIRST and value.revision > 0:
            return False
        return seen.is_new(*self.identity(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLetters(Choosing[DeadLetter]):
    """Dead letters that a subscriber asks for; what is empty is not asked.

    Attributes:
        errors: Its kind of failure is one of them: ``invalid``, ``poison`` and so on.
        source_topics: Its event came from one of them.
    """

    FILTERS: ClassVar[Mapping[str, Filter]] = {
        "error": AnyOf(
            "errors",
            "Only letters of one of these kinds of failure, such as poison.",
            of=lambda letter, _: (letter.error,),
        ),
        "source_topic": AnyOf(
            "source_topics",
            "Only letters of events from one of these topics.",
            of=lambda letter, _: (letter.source.topic,),
        ),
    }

    errors: Collection[str] = ()
    source_topics: Collection[str] = ()

    @staticmethod
    def decode(record: Record) -> DeadLetter:
        """Read a record's letter."""
        return decode_dead_letter(record)

    @staticmethod
    def identity(value: DeadLetter) -> tuple[str, int]:
        """Return where the event lies."""
        source = value.source
        return f"{source.topic}:{source.partition}:{source.offset}", 0
