"""What a subscriber wants of a topic: which answers, and which repetitions are none."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from schemas.errors import ConfigurationError
from schemas.kafka import decode_dead_letter, decode_result, result_id
from schemas.records import Record
from schemas.results import Classification, DeadLetter, Verdict
from streams.subscription.seen import Seen

T_co = TypeVar("T_co", covariant=True)


class Wanted(Protocol[T_co]):
    """Reads the records of topics and picks the wanted ones."""

    def pick(self, record: Record, seen: Seen) -> T_co | None:
        """Return what a record holds, or ``None`` if it is not wanted or was there already.

        Raises:
            ContractError: The record is none of the kind.
        """


class Answers(StrEnum):
    """Which of an event's answers a subscriber gets."""

    FIRST = "first"
    """The first alone: act once, at once."""
    BEST = "best"
    """The first, and a later one where it replaces what came before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedResults:
    """Results that a subscriber asks for; what is empty is not asked.

    Attributes:
        labels: One of them is the result's label.
        verdicts: One of them is its verdict.
        min_confidence: Least probability of its label, 0 to 1; a shed event has none.
        source_topics: Its event came from one of them.
        keys: Its record's key is one of them: a ticker, a camera, whatever producers choose.
        answers: Which of an event's answers.
    """

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
        given: dict[str, Any] = {
            "labels": _texts("labels", self.labels),
            "source_topics": _texts("source_topics", self.source_topics),
            "verdicts": frozenset(_choice("verdicts", Verdict, one) for one in self.verdicts),
            "keys": frozenset(self.keys),
            "answers": _choice("answers", Answers, self.answers),
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)
        if not 0 <= self.min_confidence <= 1:
            raise ConfigurationError(
                f"min_confidence: {self.min_confidence!r} is no probability; give 0 to 1"
            )

    def pick(self, record: Record, seen: Seen) -> Classification | None:
        """Return the record's result, if it is wanted and new.

        Repetitions are judged before anything else: the first answer counts, though a repetition
        may have another verdict.

        Raises:
            ContractError: It holds no result.
        """
        result = self.decode(record)
        return result if self.is_chosen(result, record, seen) else None

    @staticmethod
    def decode(record: Record) -> Classification:
        """Read a record's result, wanted or not; raises as :meth:`pick`."""
        return decode_result(record.value or b"")

    def is_chosen(self, result: Classification, record: Record, seen: Seen) -> bool:
        """Say whether a result is wanted and new."""
        if self.answers is Answers.FIRST and result.revision > 0:
            return False
        name = result_id(result.source, result.model.digest)
        return seen.is_new(name, result.revision) and self._holds(result, record.key)

    def _holds(self, result: Classification, key: bytes | None) -> bool:
        return (
            (not self.labels or result.label in self.labels)
            and (not self.verdicts or result.verdict in self.verdicts)
            and (not self.source_topics or result.source.topic in self.source_topics)
            and (not self.keys or key in self.keys)
            and result.scores.get(result.label or "", 0.0) >= self.min_confidence
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLetters:
    """Dead letters that a subscriber asks for; what is empty is not asked.

    Attributes:
        errors: Its kind of failure is one of them: ``invalid``, ``poison`` and so on.
        source_topics: Its event came from one of them.
    """

    errors: Collection[str] = ()
    source_topics: Collection[str] = ()

    def __post_init__(self) -> None:
        """Make sets of what was given."""
        for name in ("errors", "source_topics"):
            object.__setattr__(self, name, _texts(name, getattr(self, name)))

    def pick(self, record: Record, seen: Seen) -> DeadLetter | None:
        """Return the record's letter, if it is wanted and new.

        Raises:
            ContractError: It is no dead letter.
        """
        letter = self.decode(record)
        return letter if self.is_chosen(letter, record, seen) else None

    @staticmethod
    def decode(record: Record) -> DeadLetter:
        """Read a record's letter, wanted or not; raises as :meth:`pick`."""
        return decode_dead_letter(record)

    def is_chosen(self, letter: DeadLetter, record: Record, seen: Seen) -> bool:
        """Say whether a letter is wanted and new."""
        del record
        source = letter.source
        if not seen.is_new(f"{source.topic}:{source.partition}:{source.offset}"):
            return False
        return (not self.errors or letter.error in self.errors) and (
            not self.source_topics or source.topic in self.source_topics
        )


C = TypeVar("C", bound=StrEnum)


def _choice(field: str, kind: Callable[[str], C], value: str) -> C:
    try:
        return kind(value)
    except ValueError:
        choices: Iterable[C] = kind  # type: ignore[assignment]
        raise ConfigurationError(
            f"{field}: {value!r} is unknown; choose {', '.join(choices)}"
        ) from None


def _texts(field: str, values: Collection[str]) -> frozenset[str]:
    if isinstance(values, str):
        # It would be taken as its letters, and match nothing.
        raise ConfigurationError(f"{field}: {values!r} is one text; give a set, {{{values!r}}}")
    return frozenset(values)
