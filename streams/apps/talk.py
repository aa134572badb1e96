"""What is known of a session: a pure function of its segments, whatever order they come in.

1. Of answers to one segment, the one to the greatest offset counts, then of the greatest revision:
   final texts replace interim ones, second answers replace first ones. Repetitions change nothing.
2. Segments are in the order of their numbers. Those without one come behind, by event time.
3. Labels that are sentiments make the mood, all others are intents, if the model is sure enough of
   them (``min_confidence``) and who spoke is asked about (``speakers``). The mood is the mean of
   the kept segments' sentiment, half of whose weight is gone ``half_life_s`` before the newest.
4. A question is open until a later segment is not known to be of the same speaker: that one
   answers it, whatever is said in it. If it asks in turn, its own question is the open one. So
   only the newest question can be open. Where speakers are not told apart, whatever comes next
   answers.
5. The newest ``most_segments`` are kept; of older ones, what they add to counts and times. What is
   older than a segment that is no longer kept comes too late, and changes nothing.
6. When nothing new has come for ``keep_s`` by the wall clock, no segment is kept any more, so that
   sessions that are over take next to no memory. If one goes on, it goes on counting.

So any order gives the same state in which no segment is overtaken by ``most_segments`` others. Only
the sequence number depends on the way: it counts the changes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from schemas.encode import result_id
from schemas.results import Classification
from schemas.session_state import IntentCount, OpenQuestion, SessionState
from streams.apps.sentiment import POLARITIES

Position = tuple[bool, float, str]
"""What segments are ordered by."""


@dataclass(frozen=True, slots=True)
class TalkSettings:
    """What is made of a session's segments.

    Attributes:
        half_life_s: Age at which a segment weighs half of a new one in the mood.
        most_segments: Segments that are kept one by one, the newest.
        keep_s: Seconds of silence after which none is.
        min_confidence: Least score of an intent. Models choose among the labels that they know: of
            a greeting they make the one that is least unlikely.
        speakers: Whose intents are told; empty for everybody's.
        polarities: What each label of sentiment says, from -1 to 1.
    """

    half_life_s: float = 120.0
    most_segments: int = 200
    keep_s: float = 86_400.0
    min_confidence: float = 0.5
    speakers: frozenset[str] = frozenset()
    polarities: Mapping[str, float] = field(default_factory=lambda: POLARITIES)


class Said(msgspec.Struct, frozen=True, array_like=True):
    """One segment, by one result."""

    event: str
    """What interim texts and revisions of it share."""
    segment: int | None
    """Its number."""
    at: float
    """When it was said, in seconds since the epoch."""
    rank: tuple[int, int, str]
    """The greatest counts: offset of the event, revision, id of the result."""
    label: str | None
    """Its intent; ``None`` if it has none that counts."""
    mood: float | None
    """Its sentiment, from -1 to 1."""
    speaker: str | None
    is_question: bool | None
    arrived: float
    """When its result was read, in seconds since the epoch."""

    @property
    def position(self) -> Position:
        """Return where it stands in its session."""
        if self.segment is None:
            return True, self.at, self.event
        return False, self.segment, self.event


class Intent(msgspec.Struct, frozen=True, array_like=True):
    """One intent's segments."""

    label: str
    count: int
    first: int | None
    last: int | None


class Settled(msgspec.Struct, frozen=True, array_like=True):
    """What segments that are no longer kept add."""

    count: int
    position: Position
    """Of the newest of them."""
    first_at: float
    last_at: float
    intents: tuple[Intent, ...] = ()
    current: str | None = None
    speaker: str | None = None


_NOTHING = Settled(0, (False, -1.0, ""), math.inf, -math.inf)


class Talk(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a session."""

    kept: tuple[Said, ...] = ()
    """Its newest segments, in their order."""
    settled: Settled | None = None
    sequence: int = 0
    """Changes so far."""
    heard: float = 0.0
    """When something new arrived last, in seconds since the epoch."""


def said_in(result: Classification, settings: TalkSettings, arrived: float) -> Said:
    """Return what a result says of its session.

    Args:
        result: Of a segment.
        settings: Which of its labels count, and for what.
        arrived: When it was read, in seconds since the epoch.
    """
    source, polarities = result.source, settings.polarities
    event = f"{source.topic}:{source.partition}:{source.offset}"
    known = [
        polarities[label] * score for label, score in result.scores.items() if label in polarities
    ]
    return Said(
        event=event if result.segment is None else f"segment:{result.segment}",
        segment=result.segment,
        at=result.event_time.timestamp(),
        rank=(
            source.offset,
            result.revision,
            result_id(source, result.model.digest, result.revision),
        ),
        label=result.label if _is_intent(result, settings) else None,
        mood=max(-1.0, min(1.0, math.fsum(known))) if known else None,
        speaker=result.speaker,
        is_question=result.is_question,
        arrived=arrived,
    )


def _is_intent(result: Classification, settings: TalkSettings) -> bool:
    label = result.label
    return (
        label is not None
        and label not in settings.polarities
        and result.scores.get(label, 0.0) >= settings.min_confidence
        and (not settings.speakers or result.speaker in settings.speakers)
    )


def hear(talk: Talk, new: Said, settings: TalkSettings) -> Talk | None:
    """Take in one segment; return what is kept now, ``None`` where it changes nothing."""
    by_event = {one.event: one for one in talk.kept}
    known = by_event.get(new.event)
    if known is not None and known.rank >= new.rank:
        return None
    settled = talk.settled
    if settled is not None and new.position <= settled.position:
        return None
    by_event[new.event] = new
    kept = sorted(by_event.values(), key=lambda one: one.position)
    while len(kept) > settings.most_segments:
        settled = _settle(settled or _NOTHING, kept.pop(0))
    return Talk(tuple(kept), settled, talk.sequence + 1, max(talk.heard, new.arrived))


def fall_silent(talk: Talk, at: float, settings: TalkSettings) -> Talk | None:
    """Keep no segments of a session that was silent for long; ``None`` if it was not.

    Args:
        talk: What is kept of it.
        at: Up to when nothing new came, in seconds since the epoch.
        settings: For how long it must be silent.
    """
    if not talk.kept or at < talk.heard + settings.keep_s:
        return None
    settled = talk.settled or _NOTHING
    for one in talk.kept:
        settled = _settle(settled, one)
    return Talk((), settled, talk.sequence, talk.heard)


def state_of(session: str, talk: Talk, settings: TalkSettings) -> SessionState:
    """Return what is published of a session that at least one segment was heard of."""
    settled, kept = talk.settled or _NOTHING, talk.kept
    times = [one.at for one in kept]
    labels = [settled.current, *(one.label for one in kept)]
    speakers = [settled.speaker, *(one.speaker for one in kept)]
    intents = settled.intents
    for one in kept:
        intents = _counted(intents, one)
    return SessionState(
        session_id=session,
        sequence=talk.sequence,
        segments=settled.count + len(kept),
        intents=tuple(
            IntentCount(
                label=one.label, count=one.count, first_segment=one.first, last_segment=one.last
            )
            for one in intents
        ),
        current_intent=_last(labels),
        mood=_mood(kept, settings.half_life_s),
        last_speaker=_last(speakers),
        open_question=_open_question(kept),
        results=tuple(one.rank[-1] for one in kept),
        first_event_time=datetime.fromtimestamp(min(settled.first_at, *times), UTC),
        event_time=datetime.fromtimestamp(max(settled.last_at, *times), UTC),
    )


def _settle(before: Settled, oldest: Said) -> Settled:
    return Settled(
        count=before.count + 1,
        position=oldest.position,
        first_at=min(before.first_at, oldest.at),
        last_at=max(before.last_at, oldest.at),
        intents=_counted(before.intents, oldest),
        current=_last((before.current, oldest.label)),
        speaker=_last((before.speaker, oldest.speaker)),
    )


def _last(found: Sequence[str | None]) -> str | None:
    return next((one for one in reversed(found) if one is not None), None)


def _counted(intents: tuple[Intent, ...], one: Said) -> tuple[Intent, ...]:
    """Add a segment, later than all before it, to the counts."""
    label = one.label
    if label is None:
        return intents
    if all(known.label != label for known in intents):
        return (*intents, Intent(label, 1, one.segment, one.segment))
    return tuple(
        Intent(label, known.count + 1, known.first, one.segment) if known.label == label else known
        for known in intents
    )


def _mood(kept: tuple[Said, ...], half_life_s: float) -> float | None:
    newest = max(one.at for one in kept)
    felt = [
        (math.exp2((one.at - newest) / half_life_s), one.mood)
        for one in kept
        if one.mood is not None
    ]
    total = math.fsum(weight for weight, _ in felt)
    if not total:
        return None
    return round(math.fsum(weight * mood for weight, mood in felt) / total, 6)


def _open_question(kept: tuple[Said, ...]) -> OpenQuestion | None:
    # From the newest back: whoever spoke later than the question must be its speaker.
    later: list[str | None] = []
    for one in reversed(kept):
        if one.is_question:
            is_answered = bool(later) and (one.speaker is None or set(later) != {one.speaker})
            return None if is_answered else _as_question(one)
        later.append(one.speaker)
    return None


def _as_question(one: Said) -> OpenQuestion:
    return OpenQuestion(
        result=one.rank[-1],
        segment=one.segment,
        speaker=one.speaker,
        event_time=datetime.fromtimestamp(one.at, UTC),
    )
