"""What subscribers can ask of a kind of record, by the names that all ways to subscribe share."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from schemas.errors import ConfigurationError, shown
from schemas.records import Record
from streams.subscription.seen import Seen

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
C = TypeVar("C", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Filter:
    """One thing that can be asked.

    Attributes:
        field: Of the class of what is wanted.
        about: What it does, for the documents that describe the interface.
    """

    field: str
    about: str

    def read(self, given: Sequence[str]) -> Any:
        """Turn the texts of a query into the field's value.

        Raises:
            ConfigurationError: They are none.
        """
        raise NotImplementedError

    def settle(self, value: Any) -> Any:
        """Check the field's value, and return it in its final form.

        Raises:
            ConfigurationError: It is none.
        """
        raise NotImplementedError

    def holds(self, asked: Any, value: Any, record: Record) -> bool:
        """Say whether what a record holds is what was asked for; only if anything was."""
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the field."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class AnyOf(Filter):
    """Several values are alternatives; none ask nothing.

    Attributes:
        of: The values that a record has, of which one must be among those asked for.
        choices: All values that there are, where they are known.
        convert: From a text to a value.
    """

    of: Callable[[Any, Record], Iterable[Any]]
    choices: type[StrEnum] | None = None
    convert: Callable[[str], Any] = str

    def read(self, given: Sequence[str]) -> Any:
        """Read every text."""
        return [self.convert(text) for text in given]

    def settle(self, value: Collection[Any]) -> frozenset[Any]:
        """Make a set.

        Raises:
            ConfigurationError: It is one text, which would be taken as its letters and match
                nothing, or holds a value that there is not.
        """
        if isinstance(value, str | bytes):
            raise ConfigurationError(
                f"{self.field}: {value!r} is one text; give a set, {{{value!r}}}"
            )
        if not isinstance(value, Collection):
            raise ConfigurationError(
                f"{self.field}: {shown(value)} is no set; give one, or leave it out"
            )
        if self.choices is None:
            self._check(value)
            return frozenset(value)
        return frozenset(choice(self.field, self.choices, one) for one in value)

    def _check(self, value: Collection[Any]) -> None:
        """Refuse what could never be found, rather than find nothing."""
        kind, such = (bytes, b"HBR") if self.convert is str.encode else (str, "HBR")
        if (wrong := next((one for one in value if not isinstance(one, kind)), None)) is not None:
            raise ConfigurationError(
                f"{self.field}: {shown(wrong)} is not of {kind.__name__}; give such as {{{such!r}}}"
            )

    def holds(self, asked: frozenset[Any], value: Any, record: Record) -> bool:
        """Look for one that was asked for."""
        return not asked.isdisjoint(self.of(value, record))

    def schema(self) -> dict[str, Any]:
        """Return that of a list."""
        return {"type": "array", "items": _schema(self.choices)}


@dataclass(frozen=True, slots=True)
class Least(Filter):
    """At least a share, from 0 to 1; 0 asks nothing.

    Attributes:
        of: What a record has.
    """

    of: Callable[[Any, Record], float]

    def read(self, given: Sequence[str]) -> float:
        """Read a number."""
        try:
            return float(given[-1])
        except ValueError:
            raise ConfigurationError(
                f"{self.field}: {given[-1][:100]!r} is no number; give 0 to 1"
            ) from None

    def settle(self, value: float) -> float:
        """Check that it can be reached."""
        if not isinstance(value, int | float):
            raise ConfigurationError(f"{self.field}: {shown(value)} is no number; give 0 to 1")
        if not 0 <= value <= 1:
            raise ConfigurationError(f"{self.field}: {value!r} is out of range; give 0 to 1")
        return value

    def holds(self, asked: float, value: Any, record: Record) -> bool:
        """Compare."""
        return self.of(value, record) >= asked

    def schema(self) -> dict[str, Any]:
        """Return that of a share."""
        return {"type": "number", "minimum": 0, "maximum": 1}


@dataclass(frozen=True, slots=True)
class Choice(Filter):
    """One of several ways, which the class that asks heeds itself.

    Attributes:
        choices: All that there are.
    """

    choices: type[StrEnum]

    def read(self, given: Sequence[str]) -> str:
        """Take the last."""
        return given[-1]

    def settle(self, value: str) -> StrEnum:
        """Find it."""
        return choice(self.field, self.choices, value)

    def holds(self, asked: Any, value: Any, record: Record) -> bool:
        """Leave nothing out."""
        del asked, value, record
        return True

    def schema(self) -> dict[str, Any]:
        """Return that of the choices."""
        return _schema(self.choices)


class Wanted(Protocol[T_co]):
    """Reads the records of topics and picks the wanted ones."""

    def pick(self, record: Record, seen: Seen) -> T_co | None:
        """Return what a record holds, or ``None`` if it is not wanted or was there already.

        Raises:
            ContractError: The record is none of the kind.
        """


class Choosing(Generic[T]):
    """What a subscriber wants of one kind of record.

    Decoding, knowing repetitions and choosing are apart, so that many subscribers can share the
    first two. Subclasses are frozen dataclasses with a field for each filter.

    Attributes:
        FILTERS: What can be asked, by its name in a query; the most selective first.
    """

    FILTERS: ClassVar[Mapping[str, Filter]] = {}
    _checks: tuple[tuple[Filter, Any], ...]

    def __post_init__(self) -> None:
        """Bring what was given into its final form.

        Raises:
            ConfigurationError: A value is none of those that there are.
        """
        checks: list[tuple[Filter, Any]] = []
        for one in self.FILTERS.values():
            asked = one.settle(getattr(self, one.field))
            object.__setattr__(self, one.field, asked)
            if asked and not isinstance(one, Choice):
                checks.append((one, asked))
        object.__setattr__(self, "_checks", tuple(checks))

    @classmethod
    def plain(cls) -> tuple[Self, ...]:
        """Return what asks for everything: one for each way to judge repetitions."""
        return (cls(),)

    @property
    def memory(self) -> Hashable:
        """Which of the ways to judge repetitions it is; those of equal ones can be shared."""
        return None

    @property
    def key(self) -> tuple[AnyOf, frozenset[Any]] | None:
        """The first filter of alternatives that is asked, by which subscribers can be found."""
        for one, asked in self._checks:
            if isinstance(one, AnyOf):
                return one, asked
        return None

    @staticmethod
    def decode(record: Record) -> T:
        """Read a record, wanted or not.

        Raises:
            ContractError: The record is none of the kind.
        """
        raise NotImplementedError

    @staticmethod
    def identity(value: T) -> tuple[str, int]:
        """Return what names a value, and the rank by which a later one replaces it."""
        raise NotImplementedError

    def is_new(self, value: T, seen: Seen) -> bool:
        """Remember a value; say whether it is no repetition."""
        return seen.is_new(*self.identity(value))

    def holds(self, value: T, record: Record) -> bool:
        """Say whether all that is asked holds."""
        return all(one.holds(asked, value, record) for one, asked in self._checks)

    def is_chosen(self, value: T, record: Record, seen: Seen) -> bool:
        """Say whether a value is new and wanted.

        Repetitions are judged first: the first counts, though a repetition may be what was asked
        for.
        """
        return self.is_new(value, seen) and self.holds(value, record)

    def pick(self, record: Record, seen: Seen) -> T | None:
        """Return what a record holds, or ``None`` if it is not wanted or was there already.

        Raises:
            ContractError: The record is none of the kind.
        """
        value = self.decode(record)
        return value if self.is_chosen(value, record, seen) else None


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


def _schema(choices: type[StrEnum] | None) -> dict[str, Any]:
    if choices is None:
        return {"type": "string"}
    return {"type": "string", "enum": [one.value for one in choices]}
