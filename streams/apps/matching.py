"""Which parts belong together, how sure that is, and which others might: a function of the set.

Parts are put into groups of at most one of each stream that span no more than the window. Each way
to do so is as likely as its groups are (:mod:`streams.apps.likeness`); the likeliest is taken, of
all there are. What is left alone by it and could be joined is joined then, for the window says
what belongs together, the likeliest first.

A group is as sure as all ways that have it are likely, of all ways together; its rivals are the
parts of others that are in a group with one of its own in a way that is not negligible. Where there
are too many ways to go through, the likeliest groups are taken one after the other, and none is
sure.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import combinations, pairwise, product
from math import prod
from typing import Generic, NamedTuple, Protocol, TypeVar

from streams.apps.likeness import Told

MOST_STATES = 3_000
"""Sets of parts that are gone through at most, of a crowd."""
MOST_PARTNERS = 4
"""Parts of another stream that a part is tried with at most, the likeliest."""
HOPELESS = 0.002
"""Weight below which a group is not tried, of parts that are left alone."""
NEGLIGIBLE = 0.02
"""Probability below which another group is no rival."""
MEMORY = 4096
"""Clusters whose groups are remembered: most are the same from step to step."""


class Matchable(Told, Protocol):
    """What is known of a part here."""

    @property
    def event(self) -> str:
        """Return its name, which no other part has."""


class Weighing(Protocol):
    """Says how likely groups are, always the same."""

    def __hash__(self) -> int:
        """Return the same for those that weigh alike; may be told by identity."""

    @property
    def window_s(self) -> float:
        """Return the most seconds between two parts of a group."""

    @property
    def streams(self) -> int:
        """Return how many parts a group has at most."""

    def weight(self, group: Sequence[Told]) -> float:
        """Return how likely a group is, to any scale; above 0 for one part."""


_Part = TypeVar("_Part", bound=Matchable)


class Spot(NamedTuple):
    """What a part is told by; times in seconds from the first of its cluster."""

    stream: str
    at: float
    came: float
    is_classified: bool


@dataclass(frozen=True, slots=True)
class Group(Generic[_Part]):
    """Parts that belong together.

    Attributes:
        parts: By time and name.
        confidence: How likely it is that just these do, from 0 to 1.
        rivals: Parts that may belong to some of these.
        is_plain: Whether nothing else came into question.
    """

    parts: Sequence[_Part]
    confidence: float
    rivals: Sequence[_Part] = ()
    is_plain: bool = False


_Indices = tuple[int, ...]
_Found = tuple[list[_Indices], dict[_Indices, float]]
"""The groups that were taken, and how likely each that was tried is."""


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


def groups(cluster: Sequence[_Part], by: Weighing) -> list[Group[_Part]]:
    """Return the groups of one cluster, the earliest first.

    Args:
        cluster: Parts by time and name.
        by: Weighs groups.
    """
    streams = {one.stream for one in cluster}
    if len(streams) == 1:
        return [Group([one], 1.0, is_plain=True) for one in cluster]
    start = cluster[0].at
    spots = tuple(
        Spot(one.stream, one.at - start, one.came - start, one.is_classified) for one in cluster
    )
    is_plain = len(streams) == len(cluster) and cluster[-1].at - start <= by.window_s
    return [
        Group([cluster[at] for at in taken], sure, [cluster[at] for at in rivals], is_plain)
        for taken, sure, rivals in _groups(spots, by)
    ]


@lru_cache(MEMORY)
def _groups(spots: tuple[Spot, ...], by: Weighing) -> list[tuple[_Indices, float, _Indices]]:
    weights = _weights(spots, by)
    taken: list[_Indices] = []
    sure: dict[_Indices, float] = {}
    for component in _components(len(spots), weights):
        found, likely = _likeliest(component) or _one_by_one(component)
        taken += found
        sure |= likely
    joined = _joined(taken, spots, by)
    return [(group, sure.get(group, 0.0), _rivals(group, sure)) for group in joined]


def _weights(spots: Sequence[Spot], by: Weighing) -> dict[_Indices, float]:
    """Weigh the groups that are tried; that of a part alone weighs 1."""
    alone = [by.weight([one]) for one in spots]

    @cache
    def weight(group: _Indices) -> float:
        return by.weight([spots[at] for at in group]) / prod(alone[at] for at in group)

    found: dict[_Indices, float] = {}
    for first in range(len(spots)):
        found[first,] = 1.0
        partners: dict[str, list[tuple[float, int]]] = defaultdict(list)
        for other in _following(spots, first, by.window_s):
            partners[spots[other].stream].append((-weight((first, other)), other))
        nearest = [sorted(each)[:MOST_PARTNERS] for each in partners.values()]
        for choice in product(*([(0.0, -1), *each] for each in nearest)):
            others = sorted(other for _, other in choice if other >= 0)
            group = (first, *others)
            if others and (found_weight := weight(group)) >= HOPELESS:
                found[group] = found_weight
    return found


def _following(spots: Sequence[Spot], first: int, window_s: float) -> Iterator[int]:
    """Yield the later ones of other streams within the window."""
    spot = spots[first]
    for other in range(first + 1, len(spots)):
        if spots[other].at - spot.at > window_s:
            return
        if spots[other].stream != spot.stream:
            yield other


def _components(count: int, weights: Mapping[_Indices, float]) -> Iterator[dict[_Indices, float]]:
    """Split groups where no part is in two of them."""
    root = list(range(count))
    for group in weights:
        ours = {root[at] for at in group}
        if len(ours) > 1:
            root = [group[0] if each in ours else each for each in root]
    split: dict[int, dict[_Indices, float]] = defaultdict(dict)
    for group, weight in weights.items():
        split[root[group[0]]][group] = weight
    yield from split.values()


def _likeliest(weights: Mapping[_Indices, float]) -> _Found | None:
    """Go through all ways, the earliest part first; ``None`` where there are too many."""
    place = {at: bit for bit, at in enumerate(sorted({at for group in weights for at in group}))}
    # Each way has each part once, so this changes no ratio of two ways; products stay in range.
    scale = max(weight ** (1 / len(group)) for group, weight in weights.items())
    starting: dict[int, list[tuple[int, _Indices, float]]] = defaultdict(list)
    for group, weight in weights.items():
        mask = sum(1 << place[at] for at in group)
        starting[place[group[0]]].append((mask, group, weight / scale ** len(group)))
    total, best = {0: 1.0}, {0: 1.0}
    before: dict[int, tuple[int, _Indices]] = {}
    steps: list[tuple[int, int, _Indices, float]] = []
    queue, full, states = [0], (1 << len(place)) - 1, 0
    while (state := heapq.heappop(queue)) != full:
        states += 1
        if states > MOST_STATES:
            return None
        for mask, group, weight in starting[(~state & (state + 1)).bit_length() - 1]:
            if mask & state:
                continue
            following = state | mask
            if following not in total:
                heapq.heappush(queue, following)
                total[following], best[following] = 0.0, -1.0
            total[following] += total[state] * weight
            steps.append((state, following, group, weight))
            likely = best[state] * weight
            # Of equal ones, but for rounding, that which joins the earlier parts.
            if likely >= best[following] * (1 - 1e-9):
                best[following], before[following] = likely, (state, group)
    return _traced(before, full), _shares(steps, total, full)


def _traced(before: Mapping[int, tuple[int, _Indices]], full: int) -> list[_Indices]:
    found, state = [], full
    while state:
        state, group = before[state]
        found.append(group)
    return found


def _shares(
    steps: Sequence[tuple[int, int, _Indices, float]], total: Mapping[int, float], full: int
) -> dict[_Indices, float]:
    """Return the share of each group's ways in all, by what lies before and behind each step."""
    behind: dict[int, float] = defaultdict(float, {full: 1.0})
    share: dict[_Indices, float] = defaultdict(float)
    for state, following, group, weight in reversed(steps):
        behind[state] += weight * behind[following]
        if total[full]:
            share[group] += total[state] * weight * behind[following] / total[full]
    return dict(share)


def _one_by_one(weights: Mapping[_Indices, float]) -> _Found:
    """Take the likeliest groups first."""
    found, taken = [], set[int]()
    for group in sorted(weights, key=lambda each: (-weights[each], each)):
        if taken.isdisjoint(group):
            taken.update(group)
            found.append(group)
    return found, {}


def _joined(found: Sequence[_Indices], spots: Sequence[Spot], by: Weighing) -> list[_Indices]:
    """Join groups that can be, the likeliest first; return all, the earliest first."""
    whole = [group for group in found if len(group) == by.streams]
    loose = sorted(group for group in found if len(group) < by.streams)
    if len({spots[at].stream for group in loose for at in group}) < 2:  # noqa: PLR2004 - a pair
        return sorted(found)
    pairs = [
        (-_gain(ours, theirs, spots, by), ours, theirs)
        for ours, theirs in combinations(loose, 2)
        if _can_join(ours, theirs, spots, by.window_s)
    ]
    group_of = {group: group for group in loose}
    for _, one, other in sorted(pairs):
        ours, theirs = group_of[one], group_of[other]
        if ours != theirs and _can_join(ours, theirs, spots, by.window_s):
            both = tuple(sorted((*ours, *theirs)))
            group_of = {
                each: both if held in (ours, theirs) else held for each, held in group_of.items()
            }
    return sorted({*whole, *group_of.values()})


def _can_join(ours: _Indices, theirs: _Indices, spots: Sequence[Spot], window_s: float) -> bool:
    both = sorted((*ours, *theirs))
    if spots[both[-1]].at - spots[both[0]].at > window_s:
        return False
    return len({spots[at].stream for at in both}) == len(both)


def _gain(ours: _Indices, theirs: _Indices, spots: Sequence[Spot], by: Weighing) -> float:
    weights = [by.weight([spots[at] for at in group]) for group in (ours, theirs)]
    return by.weight([spots[at] for at in sorted((*ours, *theirs))]) / prod(weights)


def _rivals(group: _Indices, sure: Mapping[_Indices, float]) -> _Indices:
    if sure.get(group, 0.0) > 1 - NEGLIGIBLE:
        return ()
    own = set(group)
    likely = (each for each, share in sure.items() if share >= NEGLIGIBLE)
    return tuple(sorted({at for each in likely if own.intersection(each) for at in each} - own))
