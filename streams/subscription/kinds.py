"""The kinds of topics that can be subscribed to. One entry here, and all ways to subscribe have it.

A new kind needs its prefix in :mod:`streams.topics`, a class of what can be wanted, and an entry.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec

from schemas.derived import Alert, Signal
from schemas.fused import Fused
from schemas.results import Classification, DeadLetter
from schemas.session_state import SessionState
from streams.subscription.derived import WantedAlerts, WantedSignals
from streams.subscription.filters import Choosing
from streams.subscription.joined import WantedFused, WantedSessions
from streams.subscription.wanted import WantedLetters, WantedResults
from streams.topics import TopicKind, kind_of


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be subscribed to.

    Attributes:
        event: What one is called among other events, such as ``result``.
        named: How their topics are named, for people.
        value: Its type.
        wanted: Reads them and chooses among them.
    """

    event: str
    named: str
    value: type[msgspec.Struct]
    wanted: type[Choosing[Any]]


RESULT = Kind("result", "results.…", Classification, WantedResults)
KINDS: Mapping[TopicKind, Kind] = MappingProxyType(
    {
        TopicKind.RESULTS: RESULT,
        TopicKind.DEAD_LETTERS: Kind("dead_letter", "….dlq", DeadLetter, WantedLetters),
        TopicKind.SIGNALS: Kind("signal", "signals.…", Signal, WantedSignals),
        TopicKind.ALERTS: Kind("alert", "alerts.…", Alert, WantedAlerts),
        TopicKind.SESSIONS: Kind("session", "sessions.…", SessionState, WantedSessions),
        TopicKind.FUSED: Kind("fused", "fused.…", Fused, WantedFused),
    }
)


def subscribed_kind(topic: str) -> Kind:
    """Return what a topic's records are taken as: results where its name does not tell."""
    return KINDS.get(kind_of(topic), RESULT)
