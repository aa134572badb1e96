"""What subscribers can ask of a kind of record, by the names that all ways to subscribe share."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as field_of
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from schemas.errors import ConfigurationError
from schemas.records import Record
from streams.subscription.seen import Seen

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
C = TypeVar("C", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Filter:
    """One thing that can be asked, as gateways take it from a query or a message.

    Attributes:
        field: Of the class of what is wanted.
        about: What it does, for the documents that describe the interface.
        many: Whether several values are alternatives; else there is one.
        read: From a text to the field's value.
        schema: JSON Schema of one value.
    """

    field: str
    about: str
    many: bool = True
    read: Callable[[str], Any] = str
    schema: Mapping[str, Any] = field_of(default_factory=lambda: {"type": "string"})


class Wanted(Protocol[T_co]):
    """Reads the records of topics and picks the wanted ones."""

    def pick(self, record: Record, seen: Seen) -> T_co | None:
        """Return what a record holds, or ``None`` if it is not wanted or was there already.

        Raises:
            ContractError: The record is none of the kind.
        """


class Choosing(Generic[T]):
    """What a subscriber wants of one kind: decoding and choosing apart, so that many can share the
    decoding.

    Subclasses are frozen dataclasses, whose fields left empty ask nothing.

    Attributes:
        FILTERS: What can be asked, by its name in a query.
    """  # noqa: D205 - one sentence

    FILTERS: ClassVar[Mapping[str, Filter]] = {}

    def pick(self, record: Record, seen: Seen) -> T | None:
        """Return what a record holds, or ``None`` if it is not wanted or was there already.

        Repetitions are judged before anything else: the first counts, though a repetition may be
        one that was asked for.

        Raises:
            ContractError: The record is none of the kind.
        """
        value = self.decode(record)
        return value if self.is_chosen(value, record, seen) else None

    @staticmethod
    def decode(record: Record) -> T:
        """Read a record, wanted or not.

        Raises:
            ContractError: The record is none of the kind.
        """
        raise NotImplementedError

    def is_chosen(self, value: T, record: Record, seen: Seen) -> bool:
        """Say whether what a record holds is wanted and new."""
        raise NotImplementedError

    def _settle(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)


def one_of(kind: type[StrEnum]) -> Mapping[str, Any]:
    """Return the JSON Schema of a choice."""
    return {"type": "string", "enum": [one.value for one in kind]}


def share(field: str, about: str) -> Filter:
    """Return a filter of a least share, 0 to 1."""
    schema = {"type": "number", "minimum": 0, "maximum": 1}
    return Filter(field, about, many=False, read=lambda text: number(field, text), schema=schema)


def number(field: str, text: str) -> float:
    """Read a number.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"{field}: {text[:100]!r} is no number; give 0 to 1") from None


def choice(field: str, kind: type[C], value: str) -> C:
    """Return one of the values that there are.

    Raises:
        ConfigurationError: It is none of them.
    """
    try:
        return kind(value)
    except ValueError:
        choices: Iterable[C] = kind
        raise ConfigurationError(
            f"{field}: {str(value)[:100]!r} is unknown; choose {', '.join(choices)}"
        ) from None


def choices(field: str, kind: type[C], values: Collection[str]) -> frozenset[C]:
    """Return several of the values that there are; raises as :func:`choice`."""
    return frozenset(choice(field, kind, value) for value in texts(field, values))


def texts(field: str, values: Collection[str]) -> frozenset[str]:
    """Return a set of texts.

    Raises:
        ConfigurationError: It is one text, which would be taken as its letters and match nothing.
    """
    if isinstance(values, str):
        raise ConfigurationError(f"{field}: {values!r} is one text; give a set, {{{values!r}}}")
    return frozenset(values)


def at_least(field: str, value: float) -> None:
    """Check a least share.

    Raises:
        ConfigurationError: It is not between 0 and 1.
    """
    if not 0 <= value <= 1:
        raise ConfigurationError(f"{field}: {value!r} is no share; give 0 to 1")
