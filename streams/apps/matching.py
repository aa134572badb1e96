"""Which parts belong together: a pure function of the set of parts.

Parts are put into groups of at most one of each stream that span no more than the window, each
stream's in its order. Of all ways to do so, the cheapest is taken: a pair of parts in one group
costs as many seconds as lie between them, or as the window is long if one of them was shed; each
pair that a group lacks, because it is of fewer streams, costs half the window. Of equal ones that
with the most pairs is taken, then that in which pairs are nearer, then that which joins the
earlier ones. So two things that happen shortly after each other are told apart as well as their
times allow: to take the nearest pair first leaves what remains far apart.

What can still be joined then, because the order of a stream no longer counts, is: first by pairs of
which both are classified, then by the nearest, then by name. Where there are too many ways to look
at, all groups are made like that.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations, pairwise, product
from math import prod
from operator import add
from typing import Protocol, TypeVar

MOST_PLACES = 512
"""Places of a cluster's table: of each stream one more than it has parts, multiplied."""
MEMORY = 4096
"""Clusters whose groups are remembered: most are the same from step to step."""


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
_Spot = tuple[str, float, bool]
"""Stream, event time and whether it is classified."""
_Cost = tuple[float, int, float]
"""Seconds, pairs that are lacking, seconds between those that are not."""


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
    """Return the groups of one cluster, the earliest first.

    Args:
        cluster: Parts by time and name.
        window_s: Most seconds between two parts of a group.
    """
    if len({one.stream for one in cluster}) == 1:
        return [[one] for one in cluster]
    # Of a camera's many images most have nothing of another stream near them.
    near = {one.event for pair in _pairs(cluster, window_s) for one in pair}
    found = [[one] for one in cluster if one.event not in near]
    for inner in clusters((one for one in cluster if one.event in near), window_s):
        found += _inner_groups(inner, window_s)
    return sorted(found, key=lambda group: (group[0].at, group[0].event))


def _inner_groups(cluster: Sequence[_Part], window_s: float) -> list[list[_Part]]:
    counts = Counter(one.stream for one in cluster)
    if len(counts) == len(cluster) and cluster[-1].at - cluster[0].at <= window_s:
        return [list(cluster)]
    found = [[one] for one in cluster]
    if prod(count + 1 for count in counts.values()) <= MOST_PLACES:
        spots = tuple((one.stream, one.at, one.is_classified) for one in cluster)
        found = [[cluster[at] for at in group] for group in _cheapest(spots, window_s)]
    return _joined(found, cluster, window_s)


@lru_cache(MEMORY)
def _cheapest(spots: tuple[_Spot, ...], window_s: float) -> tuple[tuple[int, ...], ...]:
    """Try all ways that keep each stream's order, from the end on; return groups of indices."""
    streams = sorted({stream for stream, *_ in spots})
    rows = [[at for at, spot in enumerate(spots) if spot[0] == stream] for stream in streams]
    ends = tuple(len(row) for row in rows)
    moves = [move for move in product((1, 0), repeat=len(rows)) if any(move)]
    moves.sort(key=sum, reverse=True)
    best: dict[tuple[int, ...], tuple[_Cost, tuple[int, ...], tuple[int, ...]]] = {}
    best[ends] = (0.0, 0, 0.0), (), ends
    for place in product(*(range(end, -1, -1) for end in ends)):
        for move in moves:
            following = tuple(map(add, place, move))
            if following not in best:
                continue
            group = tuple(
                row[at] for row, at, taken in zip(rows, place, move, strict=True) if taken
            )
            cost = _cost([spots[at] for at in group], best[following][0], len(rows), window_s)
            if cost is not None and (place not in best or cost < best[place][0]):
                best[place] = cost, group, following
    found, place = [], (0,) * len(rows)
    while place != ends:
        _, group, place = best[place]
        found.append(tuple(sorted(group)))
    return tuple(found)


def _cost(group: Sequence[_Spot], rest: _Cost, streams: int, window_s: float) -> _Cost | None:
    """Add a group to what the rest costs; ``None`` if it spans too much."""
    cost, lacking, apart = rest
    missing = (streams * (streams - 1) - len(group) * (len(group) - 1)) // 2
    cost += missing * window_s / 2
    for (_, at, is_classified), (_, other_at, other_is) in combinations(group, 2):
        distance = abs(at - other_at)
        if distance > window_s:
            return None
        apart += distance
        cost += distance if is_classified and other_is else window_s
    return cost, lacking + missing, apart


def _joined(
    found: Sequence[list[_Part]], cluster: Sequence[_Part], window_s: float
) -> list[list[_Part]]:
    """Join groups that can be, those with the nearest parts first."""
    group_of = {one.event: group for group in found for one in group}
    for one, other in sorted(_pairs(cluster, window_s), key=_nearness):
        ours, theirs = group_of[one.event], group_of[other.event]
        if ours is theirs or not {each.stream for each in ours}.isdisjoint(
            each.stream for each in theirs
        ):
            continue
        joined = sorted([*ours, *theirs], key=lambda each: (each.at, each.event))
        if joined[-1].at - joined[0].at <= window_s:
            group_of.update((each.event, joined) for each in joined)
    return [group for one in cluster if (group := group_of[one.event])[0] is one]


def _nearness(pair: tuple[Matchable, Matchable]) -> tuple[bool, float, list[str]]:
    one, other = pair
    is_vague = not (one.is_classified and other.is_classified)
    return is_vague, abs(one.at - other.at), sorted((one.event, other.event))


def _pairs(cluster: Sequence[_Part], window_s: float) -> Iterator[tuple[_Part, _Part]]:
    """Yield the pairs of different streams within the window."""
    for index, one in enumerate(cluster):
        for other in cluster[index + 1 :]:
            if other.at - one.at > window_s:
                break
            if other.stream != one.stream:
                yield one, other
