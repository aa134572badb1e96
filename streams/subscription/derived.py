"""What a subscriber wants of signals and alerts, and which repetitions are none."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

from schemas.derived import Alert, AlertState, Direction, Signal, decode_alert, decode_signal
from schemas.records import Record
from streams.subscription.filters import (
    Choosing,
    Filter,
    at_least,
    choices,
    one_of,
    share,
    texts,
)
from streams.subscription.seen import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSignals(Choosing[Signal]):
    """Signals that a subscriber asks for; what is empty is not asked.

    A corrected signal comes as a later revision of the one that it replaces.

    Attributes:
        tickers: It is of one of these instruments.
        directions: It points one of these ways.
        min_strength: Least strength, 0 to 1.
        min_confidence: Least confidence, 0 to 1.
    """

    FILTERS: ClassVar[Mapping[str, Filter]] = {
        "ticker": Filter("tickers", "Only signals of one of these instruments."),
        "direction": Filter(
            "directions", "Only signals that point one of these ways.", schema=one_of(Direction)
        ),
        "min_strength": share("min_strength", "Least strength."),
        "min_confidence": share("min_confidence", "Least confidence."),
    }

    tickers: Collection[str] = ()
    directions: Collection[Direction] = ()
    min_strength: float = 0.0
    min_confidence: float = 0.0

    def __post_init__(self) -> None:
        """Make sets of what was given.

        Raises:
            ConfigurationError: A value is none of those that there are.
        """
        self._settle(
            tickers=texts("tickers", self.tickers),
            directions=choices("directions", Direction, self.directions),
        )
        at_least("min_strength", self.min_strength)
        at_least("min_confidence", self.min_confidence)

    @staticmethod
    def decode(record: Record) -> Signal:
        """Read a record's signal."""
        return decode_signal(record.value or b"")

    def is_chosen(self, value: Signal, record: Record, seen: Seen) -> bool:
        """Say whether a signal is wanted and newer than what there was of it."""
        del record
        return (
            seen.is_new(value.id, value.revision)
            and (not self.tickers or value.ticker in self.tickers)
            and (not self.directions or value.direction in self.directions)
            and value.strength >= self.min_strength
            and value.confidence >= self.min_confidence
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedAlerts(Choosing[Alert]):
    """Alerts that a subscriber asks for; what is empty is not asked.

    An alert comes once when it is raised, and once more, under the same id, when it is cleared.

    Attributes:
        states: It is in one of them.
        rules: It is of one of these rules, such as ``defect_rate``.
        scopes: It is about one of these kinds of things, such as ``camera``.
        subjects: It is about one of these things: a camera's id, a line's name, a session's id.
    """

    FILTERS: ClassVar[Mapping[str, Filter]] = {
        "state": Filter("states", "Only alerts in one of these states.", schema=one_of(AlertState)),
        "rule": Filter("rules", "Only alerts of one of these rules, such as defect_rate."),
        "scope": Filter("scopes", "Only alerts about one of these kinds of things."),
        "subject": Filter("subjects", "Only alerts about one of these cameras, lines, sessions."),
    }

    states: Collection[AlertState] = ()
    rules: Collection[str] = ()
    scopes: Collection[str] = ()
    subjects: Collection[str] = ()

    def __post_init__(self) -> None:
        """Make sets of what was given.

        Raises:
            ConfigurationError: A state is none of those that there are.
        """
        self._settle(
            states=choices("states", AlertState, self.states),
            rules=texts("rules", self.rules),
            scopes=texts("scopes", self.scopes),
            subjects=texts("subjects", self.subjects),
        )

    @staticmethod
    def decode(record: Record) -> Alert:
        """Read a record's alert."""
        return decode_alert(record.value or b"")

    def is_chosen(self, value: Alert, record: Record, seen: Seen) -> bool:
        """Say whether an alert is wanted and its state is new."""
        del record
        # That it was raised is no news any more once it is cleared.
        return (
            seen.is_new(value.id, int(value.state is AlertState.CLEARED))
            and (not self.states or value.state in self.states)
            and (not self.rules or value.rule in self.rules)
            and (not self.scopes or value.scope in self.scopes)
            and (not self.subjects or value.subject in self.subjects)
        )
