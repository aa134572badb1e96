"""What a subscriber wants of results and dead letters, and which repetitions are none."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from schemas.errors import ConfigurationError
from schemas.kafka import decode_dead_letter, decode_result, result_id
from schemas.records import Record
from schemas.results import Classification, DeadLetter, Verdict
from streams.subscription.filters import Choosing, Filter, choice, choices, one_of, share, texts
from streams.subscription.seen import Seen

SOURCE_TOPIC = Filter("source_topics", "Only those of events from one of these topics.")


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
        source_topics: Its event came from one of them.
        keys: Its record's key is one of them: a ticker, a camera, whatever producers choose.
        answers: Which of an event's answers.
    """

    FILTERS: ClassVar[Mapping[str, Filter]] = {
        "label": Filter("labels", "Only results with one of these labels."),
        "verdict": Filter(
            "verdicts", "Only results with one of these verdicts.", schema=one_of(Verdict)
        ),
        "source_topic": SOURCE_TOPIC,
        "key": Filter("keys", "Only results whose record has one of these keys.", read=str.encode),
        "min_confidence": share("min_confidence", "Least probability of the result's label."),
        "answers": Filter(
            "answers",
            "Each event's first answer alone, or later and better ones as well.",
            many=False,
            schema=one_of(Answers),
        ),
    }

    labels: Collection[str] = ()
    verdicts: Collection[Verdict] = ()
    min_confidence: float = 0.0
    source_topics: Collection[str] = ()
    keys: Collection[bytes] = ()
    answers: Answers = Answers.FIRST

    def __post_init__(self) -> None:
        """Make sets of what was given.

        Raises:
            ConfigurationError: A value is none of those that there are.
        """
        self._settle(
            labels=texts("labels", self.labels),
            source_topics=texts("source_topics", self.source_topics),
            verdicts=choices("verdicts", Verdict, self.verdicts),
            keys=frozenset(self.keys),
            answers=choice("answers", Answers, self.answers),
        )
        if not 0 <= self.min_confidence <= 1:
            raise ConfigurationError(
                f"min_confidence: {self.min_confidence!r} is no probability; give 0 to 1"
            )

    @staticmethod
    def decode(record: Record) -> Classification:
        """Read a record's result."""
        return decode_result(record.value or b"")

    def is_chosen(self, value: Classification, record: Record, seen: Seen) -> bool:
        """Say whether a result is wanted and new."""
        if self.answers is Answers.FIRST and value.revision > 0:
            return False
        name = result_id(value.source, value.model.digest)
        return seen.is_new(name, value.revision) and self._holds(value, record.key)

    def _holds(self, result: Classification, key: bytes | None) -> bool:
        return (
            (not self.labels or result.label in self.labels)
            and (not self.verdicts or result.verdict in self.verdicts)
            and (not self.source_topics or result.source.topic in self.source_topics)
            and (not self.keys or key in self.keys)
            and result.scores.get(result.label or "", 0.0) >= self.min_confidence
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLetters(Choosing[DeadLetter]):
    """Dead letters that a subscriber asks for; what is empty is not asked.

    Attributes:
        errors: Its kind of failure is one of them: ``invalid``, ``poison`` and so on.
        source_topics: Its event came from one of them.
    """

    FILTERS: ClassVar[Mapping[str, Filter]] = {
        "error": Filter("errors", "Only letters of one of these kinds of failure, such as poison."),
        "source_topic": SOURCE_TOPIC,
    }

    errors: Collection[str] = ()
    source_topics: Collection[str] = ()

    def __post_init__(self) -> None:
        """Make sets of what was given."""
        self._settle(
            errors=texts("errors", self.errors),
            source_topics=texts("source_topics", self.source_topics),
        )

    @staticmethod
    def decode(record: Record) -> DeadLetter:
        """Read a record's letter."""
        return decode_dead_letter(record)

    def is_chosen(self, value: DeadLetter, record: Record, seen: Seen) -> bool:
        """Say whether a letter is wanted and new."""
        del record
        source = value.source
        if not seen.is_new(f"{source.topic}:{source.partition}:{source.offset}"):
            return False
        return (not self.errors or value.error in self.errors) and (
            not self.source_topics or source.topic in self.source_topics
        )
