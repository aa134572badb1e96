"""Results of several streams become answers about one thing: a function of parts and due times.

1. *Parts.* Each result of an expected stream is a part of every key that it concerns. Of results
   of one event, or of one segment of speech, that of the greatest offset counts, then of the
   greatest revision. Repetitions change nothing.
2. *Groups.* Which parts belong together (:mod:`streams.apps.matching`) is a function of the kept
   parts and of what the key's earlier ones taught: at most one of each stream, none further apart
   than ``window_s`` of event time, as likely as can be. A part that comes later may take another's
   place. Where another way to join them is not unlikely, the answer is ambiguous, and names the
   parts that its own may belong to instead.
3. *Complete.* A group with a part of every expected stream is answered at once.
4. *Wait.* Every other group is answered when ``wait_ms`` have gone by since the first of its
   parts arrived, by the wall clock, with what it has, and says what is missing. What comes to it
   later is answered at once. When a part arrived stands on it, so that steps that are repeated
   after a crash do the same.
5. *Names.* An answer is named after one of its parts: after one that an answer was named after
   before, if there is one, else after that of the stream that is named first in ``streams``. A
   change in what it says is its next revision.
6. *Superseded.* Where two answers become one, the other gets a last revision, which names the one
   that has its parts now. If its part is set free again, it goes on with the next revision.
7. *Lateness.* The key's event time is the greatest of its parts', that of a part which is dated
   after its publication counting as published. A part that is more than ``lateness_s`` behind it,
   of an event that is not kept, is late: it gets an answer of its own that says so, whose id ends
   with ``:late``, and joins nothing.
8. *Forgetting.* Parts are given up once nothing that is not late can reach them or anything
   connected with them; what has not been answered then is answered first. So within ``lateness_s``
   the order of arrival changes nothing but names and revisions. Of more than ``most_parts`` the
   oldest groups are given up early. So many events that were given up are known again when they
   are repeated.
9. *Learning.* How a stream dates things, and how long its events take, is learned
   (:mod:`streams.apps.likeness`) when groups are given up because nothing can change them any more,
   in the order of event time. So it depends on the parts that are not late alone, as groups do.
10. *Required.* Groups without a part of each stream in ``required`` are not answered, if they
   were not before: cameras that see nothing new all day need not say that there is no news.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec

from schemas.events import Modality
from schemas.fused import Fused, FusedPart, Incomplete
from schemas.results import Verdict
from streams.apps.likeness import Memory, Times, learned, likeness
from streams.apps.matching import Group, clusters, groups

SURE = 0.98
"""Probability below which an answer is ambiguous."""


@dataclass(frozen=True, slots=True)
class FusionSettings:
    """What is joined, and how long it is waited for.

    Attributes:
        streams: Modalities that are expected of each answer, at least two.
        window_s: Most seconds of event time between two parts of an answer.
        wait_ms: Milliseconds after the first part's arrival that what is missing is waited for.
        lateness_s: Seconds of event time that a part may be behind the newest of its key.
        most_parts: Parts of one key that are kept.
        required: Streams without which there is no answer.
        repeat_s: Seconds of event time in which images of one key that have the same label are one
            part; 0 for none.
    """

    streams: tuple[Modality, ...] = (Modality.NEWS, Modality.CAMERA)
    window_s: float = 10.0
    wait_ms: float = 2_000.0
    lateness_s: float = 120.0
    most_parts: int = 200
    required: tuple[Modality, ...] = ()
    repeat_s: float = 0.0


class Part(msgspec.Struct, frozen=True, array_like=True):
    """One stream's result."""

    stream: Modality
    event: str
    """What revisions of it share."""
    at: float
    """When it happened, in seconds since the epoch."""
    published: float
    """When its result was published, in seconds since the epoch."""
    arrived: float
    """When its first result arrived here, in seconds since the epoch."""
    rank: tuple[int, int, str]
    """The greatest counts: offset of the event (of images that are one part, the earlier one),
    revision, id of the result."""
    label: str | None
    score: float | None
    verdict: Verdict
    revision: int = -1
    """Of the answer that is named after it; -1 for none."""
    told: str = ""
    """What that one said last."""
    written: float | None = None
    """When the record of its event was written, in seconds since the epoch."""

    @property
    def came(self) -> float:
        """Return when its event reached the topic, as far as is known."""
        return self.published if self.written is None else self.written

    @property
    def is_classified(self) -> bool:
        """Return whether it says anything."""
        return self.label is not None


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a key."""

    parts: tuple[Part, ...] = ()
    gone: tuple[tuple[str, tuple[int, int]], ...] = ()
    """Events that were given up last, with offset and revision."""
    newest: float = 0.0
    """The key's event time."""
    due: float = 0.0
    """Up to when waits are over, as far as is known."""
    wake_at: float | None = None
    """When the next wait is over."""
    memory: dict[str, Times] = {}
    """How each stream dates things, and how long its events take."""


Taken = tuple[Kept, list[Fused]]
"""What is kept now, and what is to be published."""


class Fuser:
    """Takes what comes for one key.

    Args:
        key: What the results have in common.
        settings: What is joined.
    """

    def __init__(self, key: str, settings: FusionSettings) -> None:
        self._key = key
        self._settings = settings
        self._order = {stream: place for place, stream in enumerate(settings.streams)}

    def take(self, kept: Kept, new: Part) -> Taken | None:
        """Take in a part; return ``None`` where it changes nothing."""
        parts = {one.event: one for one in kept.parts}
        known = parts.get(new.event)
        if known is None:
            rank = dict(kept.gone).get(new.event)
            if rank is not None and rank >= new.rank[:2]:
                return None
            if new.at < kept.newest - self._settings.lateness_s:
                gone = self._gone(kept.gone, [new])
                answers = [self._late(new)] if self._is_told([new]) else []
                return msgspec.structs.replace(kept, gone=gone), answers
        elif known.rank >= new.rank:
            return None
        else:
            new = msgspec.structs.replace(
                new,
                arrived=min(known.arrived, new.arrived),
                revision=known.revision,
                told=known.told,
            )
        parts[new.event] = new
        newest = max(kept.newest, min(new.at, new.published))
        return self._settle(kept, parts.values(), newest, kept.due)

    def elapse(self, kept: Kept, due: float) -> Taken | None:
        """Take notice that waits up to a time are over; ``None`` where that was known."""
        if due <= kept.due:
            return None
        return self._settle(kept, kept.parts, kept.newest, due)

    def _settle(self, kept: Kept, parts: Iterable[Part], newest: float, due: float) -> Taken:
        found, memory = self._groups(parts, kept.memory, newest)
        staying: list[Part] = []
        leaving: list[Part] = []
        answers: list[Fused] = []
        wake_at: float | None = None
        for group, is_ending in self._ending(found):
            deadline = self._deadline(group.parts)
            is_complete = len(group.parts) == len(self._order)
            reason = None
            if not is_complete:
                reason = Incomplete.WAITING
                if deadline <= due:
                    reason = Incomplete.WAIT_OVER
                elif is_ending:
                    reason = Incomplete.GIVEN_UP
                elif self._is_told(group.parts):
                    wake_at = deadline if wake_at is None else min(wake_at, deadline)
            told = self._tell(group, reason, answers)
            (leaving if is_ending else staying).extend(told)
        gone = self._gone(kept.gone, leaving)
        return Kept(tuple(staying), gone, newest, due, wake_at, dict(memory)), answers

    def _groups(
        self, parts: Iterable[Part], memory: Memory, newest: float
    ) -> tuple[list[tuple[Group[Part], bool]], Memory]:
        """Return the groups by time, each with whether nothing can change it any more.

        Those that nothing can change teach how to find the ones after them.
        """
        window_s, lateness_s = self._settings.window_s, self._settings.lateness_s
        found = []
        for cluster in clusters(parts, window_s):
            is_settled = cluster[-1].at < newest - lateness_s - window_s
            by = likeness(memory, tuple(self._order), window_s=window_s, tail_s=lateness_s)
            for group in groups(cluster, by):
                if is_settled and len(group.parts) > 1 and (group.is_plain or _is_sure(group)):
                    memory = learned(memory, group.parts, by)
                ordered = sorted(group.parts, key=lambda one: self._order[one.stream])
                found.append((replace(group, parts=ordered), is_settled))
        return found, memory

    def _ending(self, found: Sequence[tuple[Group[Part], bool]]) -> list[tuple[Group[Part], bool]]:
        """Let the oldest groups end as well where too many parts would stay."""
        excess = sum(len(group.parts) for group, is_settled in found if not is_settled)
        excess -= self._settings.most_parts
        ending = []
        for group, is_settled in found:
            is_over = excess > 0 and not is_settled
            excess -= len(group.parts) if is_over else 0
            ending.append((group, is_settled or is_over))
        return ending

    def _tell(
        self, group: Group[Part], reason: Incomplete | None, answers: list[Fused]
    ) -> list[Part]:
        """Publish what is new of a group; return its parts with what was said of them."""
        parts = group.parts
        is_known = any(one.revision >= 0 for one in parts)
        if not self._is_told(parts) or (reason is Incomplete.WAITING and not is_known):
            return list(parts)
        lead = min(parts, key=lambda one: (one.revision < 0, self._order[one.stream]))
        saying = " ".join([reason or "complete", *(one.rank[-1] for one in parts)])
        if not _is_sure(group):
            saying = " ".join([saying, "or", str(_tenths(group)), *_rivals(group)])
        told = []
        for part in parts:
            says, name = part, self._name(lead)
            if part is lead and part.told != saying:
                says = _saying(part, saying)
                answers.append(self._answer(group, reason, name, says.revision))
            elif part is not lead and part.revision >= 0 and part.told != name:
                says = _saying(part, name)
                answers.append(self._superseded(part, name, says.revision))
            told.append(says)
        return told

    def _answer(
        self, group: Group[Part], reason: Incomplete | None, name: str, revision: int
    ) -> Fused:
        present = {one.stream: _public(one) for one in group.parts}
        missing = tuple(stream for stream in self._order if stream not in present)
        is_sure = _is_sure(group)
        return Fused(
            id=name,
            revision=revision,
            key=self._key,
            parts=present,
            complete=not missing,
            missing=missing,
            reason=reason,
            ambiguous=not is_sure,
            confidence=None if is_sure else _tenths(group),
            rivals=() if is_sure else _rivals(group),
            event_time=_moment(min(one.at for one in group.parts)),
            window_s=self._settings.window_s,
        )

    def _late(self, part: Part) -> Fused:
        return self._answer(
            Group([part], 1.0), Incomplete.LATE, f"{self._name(part)}:late", part.rank[1]
        )

    def _superseded(self, part: Part, by: str, revision: int) -> Fused:
        return Fused(
            id=self._name(part),
            revision=revision,
            key=self._key,
            parts={},
            complete=False,
            missing=self._settings.streams,
            reason=Incomplete.SUPERSEDED,
            superseded_by=by,
            event_time=_moment(part.at),
            window_s=self._settings.window_s,
        )

    def _name(self, part: Part) -> str:
        return f"{self._key}:{part.event}"

    def _deadline(self, group: Sequence[Part]) -> float:
        return min(one.arrived for one in group) + self._settings.wait_ms / 1e3

    def _is_told(self, group: Sequence[Part]) -> bool:
        """Whether subscribers hear of a group, be it later."""
        if any(one.revision >= 0 for one in group):
            return True
        return {one.stream for one in group}.issuperset(self._settings.required)

    def _gone(
        self, gone: tuple[tuple[str, tuple[int, int]], ...], more: Sequence[Part]
    ) -> tuple[tuple[str, tuple[int, int]], ...]:
        known = dict(gone)
        for one in more:
            known.pop(one.event, None)  # given up anew: it is the last to be forgotten
            known[one.event] = one.rank[:2]
        return tuple(deque(known.items(), self._settings.most_parts))


def _is_sure(group: Group[Part]) -> bool:
    return group.confidence >= SURE


def _tenths(group: Group[Part]) -> float:
    return int(10 * group.confidence) / 10


def _rivals(group: Group[Part]) -> tuple[str, ...]:
    return tuple(one.rank[-1] for one in group.rivals)


def _saying(part: Part, saying: str) -> Part:
    return msgspec.structs.replace(part, revision=part.revision + 1, told=saying)


def _public(part: Part) -> FusedPart:
    return FusedPart(
        label=part.label,
        score=part.score,
        verdict=part.verdict,
        result=part.rank[-1],
        event_time=_moment(part.at),
    )


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
