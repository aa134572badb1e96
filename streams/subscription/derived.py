"""What a subscriber wants of signals and alerts, and which repetitions are none."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

from schemas.derived import Alert, AlertState, Direction, Signal, decode_alert, decode_signal
from schemas.records import Record
from streams.subscription.filters import AnyOf, Choosing, Filter, Least


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
        "ticker": AnyOf(
            "tickers",
            "Only signals of one of these instruments.",
            of=lambda signal, _: (signal.ticker,),
        ),
        "direction": AnyOf(
            "directions",
            "Only signals that point one of these ways.",
            of=lambda signal, _: (signal.direction,),
            choices=Direction,
        ),
        "min_strength": Least(
            "min_strength", "Least strength.", of=lambda signal, _: signal.strength
        ),
        "min_confidence": Least(
            "min_confidence", "Least confidence.", of=lambda signal, _: signal.confidence
        ),
    }

    tickers: Collection[str] = ()
    directions: Collection[Direction] = ()
    min_strength: float = 0.0
    min_confidence: float = 0.0

    @staticmethod
    def decode(record: Record) -> Signal:
        """Read a record's signal."""
        return decode_signal(record.value or b"")

    @staticmethod
    def identity(value: Signal) -> tuple[str, int]:
        """Return what the signal is as of, and how often it was corrected."""
        return value.id, value.revision


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
        "subject": AnyOf(
            "subjects",
            "Only alerts about one of these cameras, lines or sessions.",
            of=lambda alert, _: (alert.subject,),
        ),
        "rule": AnyOf(
            "rules",
            "Only alerts of one of these rules, such as defect_rate.",
            of=lambda alert, _: (alert.rule,),
        ),
        "scope": AnyOf(
            "scopes",
            "Only alerts about one of these kinds of things, such as camera.",
            of=lambda alert, _: (alert.scope,),
        ),
        "state": AnyOf(
            "states",
            "Only alerts in one of these states.",
            of=lambda alert, _: (alert.state,),
            choices=AlertState,
        ),
    }

    states: Collection[AlertState] = ()
    rules: Collection[str] = ()
    scopes: Collection[str] = ()
    subjects: Collection[str] = ()

    @staticmethod
    def decode(record: Record) -> Alert:
        """Read a record's alert."""
        return decode_alert(record.value or b"")

    @staticmethod
    def identity(value: Alert) -> tuple[str, int]:
        """Return the alert, and whether it is over: then that it was raised is no news any more."""
        return value.id, int(value.state is AlertState.CLEARED)
