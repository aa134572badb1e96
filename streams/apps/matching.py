"""Which parts belong together: a pure function of the set of parts.

Pairs of different streams within the window are gone through once: pairs of which both are
classified first, then the nearest in event time, then by name. A pair joins the groups that its
two parts are in, unless the joined group had two parts of one stream or spanned more than the
window. So every part is in one group, with at most one part of every other stream.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Protocol, TypeVar


class Matchable(Protocol):
    """What is known of a part here."""

    @property
    def stream(self) -> str:
        """Return which stream it is of."""

    @property
    def event(self) -> str:
        """Return its name, which no other part has."""

    @property
    def at(self) -> float:
        """Return its event time in seconds since the epoch."""

    @property
    def is_classified(self) -> bool:
        """Return whether it says anything."""


_Part = TypeVar("_Part", bound=Matchable)


def clusters(parts: Iterable[_Part], window_s: float) -> Iterator[list[_Part]]:
    """Split parts where nothing lies within the window; no group reaches over such a gap."""
    ordered = sorted(parts, key=lambda one: (one.at, one.event))
    start = 0
    for index, (one, following) in enumerate(pairwise(ordered), 1):
        if following.at - one.at > window_s:
            yield ordered[start:index]
            start = index
    if ordered:
        yield ordered[start:]


def groups(cluster: Sequence[_Part], window_s: float) -> list[list[_Part]]:
    """Return the groups of one cluster, the earliest first, each ordered by time.

    Args:
        cluster: Parts by time and name.
        window_s: Most seconds between two parts of a group.
    """
    group_of = {one.event: [one] for one in cluster}
    for one, other in _pairs(cluster, window_s):
        ours, theirs = group_of[one.event], group_of[other.event]
        if ours is theirs or not {each.stream for each in ours}.isdisjoint(
            each.stream for each in theirs
        ):
            continue
        joined = sorted([*ours, *theirs], key=lambda each: (each.at, each.event))
        if joined[-1].at - joined[0].at <= window_s:
            group_of.update((each.event, joined) for each in joined)
    return [group for one in cluster if (group := group_of[one.event])[0] is one]


def _pairs(cluster: Sequence[_Part], window_s: float) -> list[tuple[_Part, _Part]]:
    found = []
    for index, one in enumerate(cluster):
        for other in cluster[index + 1 :]:
            if other.at - one.at > window_s:
                break
            if other.stream != one.stream:
                names = min(one.event, other.event), max(one.event, other.event)
                is_vague = not (one.is_classified and other.is_classified)
                found.append(((is_vague, other.at - one.at, names), one, other))
    found.sort(key=lambda pair: pair[0])
    return [(one, other) for _, one, other in found]
