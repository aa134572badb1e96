"""How likely it is that parts tell of one thing: by their dates, and by when they came in.

Each stream has its ways: it dates things a little too early or too late, and its events reach the
topic some time after that. Both are learned from what belongs together without doubt, as medians
of the last few, so that neither an outlier nor the order of arrival moves them; an event that took
much longer than usual says nothing by when it came in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, pi, sqrt
from statistics import median
from typing import Protocol

REMEMBERED = 15
"""Times of a stream that its ways are told from."""
PRIOR = 6
"""As many times as the spread that is assumed before any is known counts for."""
SPREADS = 8.0
"""Of dates, in the window, as is assumed."""
NARROWEST = 100.0
"""Spreads in the window that are told apart at most."""
STRAY = 0.01
"""Share of dates that may be anything."""
SLOW = 0.05
"""Share of events that may come in at any time, and of those that never come."""
RARITY = 12.0
"""Windows from one thing to the next, as is assumed."""
VAGUE = 0.02
"""What a group with a part that says nothing counts as, against one without."""
ROOT = sqrt(2 * pi)
MEMORY = 4096
"""Streams whose ways are remembered: most are the same from step to step."""
STEPS = 8
"""Of a spread, to which offsets are rounded: ways that hardly change are the same ways."""


class Told(Protocol):
    """What is known of a part here."""

    @property
    def stream(self) -> str:
        """Return which stream it is of."""

    @property
    def at(self) -> float:
        """Return its event time in seconds since the epoch."""

    @property
    def came(self) -> float:
        """Return when its event reached the topic, in seconds since the epoch."""

    @property
    def is_classified(self) -> bool:
        """Return whether it says anything."""


Times = tuple[tuple[int, int], ...]
"""Of the last parts of a stream: how many milliseconds after the thing happened they were dated,
and came in."""
Memory = Mapping[str, Times]
"""Times of each stream."""


@dataclass(frozen=True, slots=True)
class Usual:
    """How far times of one kind are from when the thing happened, in seconds."""

    off: float
    spread: float


@dataclass(frozen=True, slots=True)
class Ways:
    """What is usual for a stream.

    Attributes:
        date: Of its dates.
        came: Of when its events reach the topic; unset where that is not known.
    """

    date: Usual
    came: Usual | None


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """Weighs groups of parts.

    Attributes:
        window_s: Most seconds between two dates of a group.
        tail_s: Seconds within which slow events come in.
        streams: As many parts a group has at most.
        ways: Of each stream.
    """

    window_s: float
    tail_s: float
    streams: int
    ways: Mapping[str, Ways]

    def weight(self, group: Sequence[Told]) -> float:
        """Return how likely a group is, to the scale of all that this weighs."""
        return self.moment(group)[0]

    def moment(self, group: Sequence[Told]) -> tuple[float, float]:
        """Return a group's weight, and when what it tells of is likely to have happened."""
        dates, comings = [], []
        for one in group:
            ways = self.ways[one.stream]
            dates.append((one.at - ways.date.off, ways.date.spread))
            if ways.came is not None:
                comings.append((one.came - ways.came.off, ways.came.spread))
        tries = [sum(at for at, _ in dates) / len(dates), *(at for at, _ in comings)]
        best, best_at = max((self._density(dates, comings, at), -at) for at in tries)
        if len(group) > 1 and not all(one.is_classified for one in group):
            best *= VAGUE
        missing = self.streams - len(group)
        return best * SLOW**missing / (RARITY * self.window_s), -best_at

    def _density(
        self,
        dates: Iterable[tuple[float, float]],
        comings: Iterable[tuple[float, float]],
        moment: float,
    ) -> float:
        found = 1.0
        for at, spread in dates:
            off = (at - moment) / spread
            found *= (1 - STRAY) / ROOT / spread * exp(-off * off / 2) + STRAY / 2 / self.window_s
        for at, spread in comings:
            off = abs(at - moment) / spread
            found *= (1 - SLOW) / 2 / spread * exp(-off) + SLOW / self.tail_s
        return found


def likeness(memory: Memory, streams: Sequence[str], *, window_s: float, tail_s: float) -> Likeness:
    """Return how groups are weighed, by what is remembered.

    Args:
        memory: What was learned.
        streams: All that there are.
        window_s: Most seconds between two dates of a group.
        tail_s: Seconds within which slow events come in.
    """
    ways = tuple(_ways(memory.get(each, ()), window_s) for each in streams)
    return _likeness(ways, tuple(streams), window_s, tail_s)


@lru_cache(MEMORY)
def _likeness(
    ways: tuple[Ways, ...], streams: tuple[str, ...], window_s: float, tail_s: float
) -> Likeness:
    """Return the same for the same, so that it can be told by its identity."""
    return Likeness(window_s, tail_s, len(streams), dict(zip(streams, ways, strict=True)))


def learned(memory: Memory, group: Sequence[Told], by: Likeness) -> Memory:
    """Return what is remembered after a group that belongs together without doubt."""
    _, at = by.moment(group)
    new = {
        one.stream: (
            *memory.get(one.stream, ())[1 - REMEMBERED :],
            (round(1e3 * (one.at - at)), round(1e3 * (one.came - at))),
        )
        for one in group
    }
    return {**memory, **new}


@lru_cache(MEMORY)
def _ways(times: Times, window_s: float) -> Ways:
    date = _usual([date for date, _ in times], window_s)
    return Ways(date, _usual([came for _, came in times], window_s) if times else None)


def _usual(times_ms: Sequence[int], window_s: float) -> Usual:
    """Return the median, and how far from it the times are, both rounded."""
    spread = window_s / SPREADS
    if not times_ms:
        return Usual(0.0, spread)
    middle = median(times_ms)
    # Of a normal distribution, the median distance is two thirds of the deviation.
    found = 1.5e-3 * median(abs(one - middle) for one in times_ms)
    spread = (PRIOR * spread + len(times_ms) * found) / (PRIOR + len(times_ms))
    step = window_s / NARROWEST
    spread = max(step, round(spread / step) * step)
    grain = spread / STEPS
    return Usual(round(1e-3 * middle / grain) * grain, spread)
