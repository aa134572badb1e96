"""What was said before: the context that a segment of speech is read in.

The context of a segment are the final segments of its session with smaller numbers. Whether it is
there depends on the order in which records come, never on the clock or on what the model has
answered: a replay of the same records in the same order gives each segment the same context.
What the order leaves open is the session whose segments come from several partitions, and which
sessions are the longest silent where there are more than are remembered. A worker that starts, or
whose partitions were handed out anew, begins without context.
"""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from inference.engine import Encoded, Engine
from schemas.events import Event, TranscriptEvent
from schemas.kafka import Inbound
from streams.lane.sources import Transcripts

REORDERED = 8
"""Segments beyond the context that are kept, since segments may come out of order."""
MOST_CHARACTERS = 4_000
"""Longer segments are not remembered: few models would have room for another text beside them."""

Context = tuple[str, ...]


class _Segment(NamedTuple):
    text: str
    said_at: datetime


class Sessions:
    """Remembers the last final segments of sessions.

    Args:
        settings: How many of how many sessions, and for how long.
    """

    def __init__(self, settings: Transcripts) -> None:
        self._most = settings.context_segments
        self._most_sessions = settings.max_sessions
        self._age = timedelta(milliseconds=settings.context_for_ms)
        self._sessions: OrderedDict[str, dict[int, _Segment]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def take(self, inbound: Inbound) -> Context:
        """Return a segment's context, oldest first, and remember the segment if it is final.

        Events without session or number have no context and are none.
        """
        event = inbound.event
        if not isinstance(event, TranscriptEvent) or event.segment is None:
            return ()
        if event.session_id is None or not self._most:
            return ()
        said_at = inbound.event_time
        segments = self._sessions.get(event.session_id, {})
        before = sorted(
            number
            for number, segment in segments.items()
            if number < event.segment and said_at - segment.said_at <= self._age
        )
        context = tuple(segments[number].text for number in before[-self._most :])
        if event.is_final:
            self._remember(event.session_id, event.segment, _Segment(event.text, said_at))
        return context

    def clear(self) -> None:
        """Forget everything."""
        self._sessions.clear()

    def _remember(self, session: str, number: int, segment: _Segment) -> None:
        segments = self._sessions.setdefault(session, {})
        self._sessions.move_to_end(session)
        segments.pop(number, None)  # said anew: it is the last to come again
        if len(segment.text) <= MOST_CHARACTERS:
            segments[number] = segment
        if len(segments) > self._most + REORDERED:
            del segments[next(iter(segments))]
        if len(self._sessions) > self._most_sessions:
            self._sessions.popitem(last=False)


def encode_in_context(
    engine: Engine, events: Sequence[Event], contexts: Sequence[Context]
) -> list[Encoded]:
    """Encode events, each behind as many of the texts before it as there is room for.

    A segment's own text has the first claim: where not all fits, whole texts go, the oldest first.

    Raises:
        InvalidEventError: An event holds nothing that the engine can read.
    """
    encoded = engine.encode(
        [_behind(event, context) for event, context in zip(events, contexts, strict=True)]
    )
    return [
        _fitted(engine, event, context) if context and one.tokens >= engine.max_tokens else one
        for event, context, one in zip(events, contexts, encoded, strict=True)
    ]


def _fitted(engine: Engine, event: Event, context: Context) -> Encoded:
    """Encode with the most texts that leave the event whole; all of them are known to be more."""
    (fitted,) = engine.encode([event])
    fewest, most = 0, len(context) - 1
    if fitted.tokens >= engine.max_tokens:
        return fitted
    while fewest < most:
        tried = (fewest + most + 1) // 2
        (one,) = engine.encode([_behind(event, context[-tried:])])
        if one.tokens < engine.max_tokens:
            fitted, fewest = one, tried
        else:
            most = tried - 1
    return fitted


def _behind(event: Event, context: Context) -> Event:
    if not context or not isinstance(event, TranscriptEvent):
        return event
    return msgspec.structs.replace(event, text="\n".join((*context, event.text)))
