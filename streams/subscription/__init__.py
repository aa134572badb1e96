"""Reading what headrace publishes from Python: typed, filtered, each once, resumable.

::

    async for result in subscribe("results.news", labels={"negative"}, min_confidence=0.8):
        print(result.label, result.event_id)

Needs neither torch nor a model.
"""

from streams.subscription.derived import WantedAlerts, WantedSignals
from streams.subscription.filters import AnyOf, Choice, Choosing, Filter, Least
from streams.subscription.joined import Certainty, FusedState, WantedFused, WantedSessions
from streams.subscription.kinds import KINDS, Kind, subscribed_kind
from streams.subscription.positions import Positions, Start, to_token
from streams.subscription.reading import Reading, Received
from streams.subscription.seen import Seen
from streams.subscription.subscribe import (
    subscribe,
    subscribe_alerts,
    subscribe_dead_letters,
    subscribe_fused,
    subscribe_sessions,
    subscribe_signals,
)
from streams.subscription.subscription import Subscription
from streams.subscription.wanted import Answers, WantedLetters, WantedResults

__all__ = [
    "KINDS",
    "Answers",
    "AnyOf",
    "Certainty",
    "Choice",
    "Choosing",
    "Filter",
    "FusedState",
    "Kind",
    "Least",
    "Positions",
    "Reading",
    "Received",
    "Seen",
    "Start",
    "Subscription",
    "WantedAlerts",
    "WantedFused",
    "WantedLetters",
    "WantedResults",
    "WantedSessions",
    "WantedSignals",
    "subscribe",
    "subscribe_alerts",
    "subscribe_dead_letters",
    "subscribe_fused",
    "subscribe_sessions",
    "subscribe_signals",
    "subscribed_kind",
    "to_token",
]
