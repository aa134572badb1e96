"""Reading results and dead letters from Python: typed, filtered, each once, resumable.

::

    async for result in subscribe("results.news", labels={"negative"}, min_confidence=0.8):
        print(result.label, result.event_id)

Needs neither torch nor a model.
"""

from streams.subscription.positions import Positions, Start, to_token
from streams.subscription.seen import Seen
from streams.subscription.subscribe import subscribe, subscribe_dead_letters
from streams.subscription.subscription import Reading, Received, Subscription
from streams.subscription.wanted import Answers, WantedLetters, WantedResults

__all__ = [
    "Answers",
    "Positions",
    "Reading",
    "Received",
    "Seen",
    "Start",
    "Subscription",
    "WantedLetters",
    "WantedResults",
    "subscribe",
    "subscribe_dead_letters",
    "to_token",
]
