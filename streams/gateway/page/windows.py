"""Counts over the last seconds, in memory that depends on the span and not on what is counted."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

STEPS_PER_DOUBLING = 4
BUCKETS = 56
"""From 1 ms to 16 s in steps of 19 %; the last takes all that is longer."""

K = TypeVar("K", bound=Hashable)


class PerSecond:
    """A row of counts for each of the last seconds.

    Args:
        seconds: How many are kept.
        width: Counts of a row.
    """

    def __init__(self, seconds: int, width: int) -> None:
        self._seconds = seconds
        self._width = width
        self._rows: dict[int, list[int]] = {}

    def add(self, second: int, column: int) -> None:
        """Count one in a second."""
        row = self._rows.get(second)
        if row is None:
            row = self._rows[second] = [0] * self._width
        row[column] += 1

    def rows(self, until: int, seconds: int | None = None) -> list[list[int]]:
        """Return the rows of the seconds before ``until``, oldest first; those without any too."""
        first = until - (self._seconds if seconds is None else seconds)
        nothing = [0] * self._width
        return [self._rows.get(second, nothing) for second in range(first, until)]

    def sums(self, until: int, seconds: int) -> list[int]:
        """Return the sum of each column over the seconds before ``until``."""
        return [sum(column) for column in zip(*self.rows(until, seconds), strict=True)]

    def forget(self, now: int) -> None:
        """Drop the seconds that are over."""
        for second in [one for one in self._rows if one < now - self._seconds]:
            del self._rows[second]


class Sliding(Generic[K]):
    """How often each of a few things came within the last seconds.

    Args:
        seconds: How far it looks back.
    """

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self.totals: Counter[K] = Counter()
        self._parts: dict[int, Counter[K]] = {}

    def add(self, second: int, things: Iterable[K]) -> None:
        """Count things in a second."""
        part = self._parts.get(second)
        if part is None:
            part = self._parts[second] = Counter()
        for thing in things:
            part[thing] += 1
            self.totals[thing] += 1

    def forget(self, now: int) -> None:
        """Take out the seconds that are over."""
        for second in [one for one in self._parts if one < now - self.seconds]:
            self.totals -= self._parts.pop(second)  # what falls to zero is dropped


def bucket(milliseconds: float) -> int:
    """Return the number of the bucket that a latency falls into."""
    if milliseconds <= 1:
        return 0
    return min(int(math.log2(milliseconds) * STEPS_PER_DOUBLING), BUCKETS - 1)


def edge(number: int) -> float:
    """Return where a bucket begins, in milliseconds."""
    return float(2 ** (number / STEPS_PER_DOUBLING))


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """Return a percentile of bucketed latencies in milliseconds; ``None`` of none.

    Within its bucket it is placed by proportion, so it is right to half a bucket: 10 %.
    """
    wanted = sum(counts.values()) * share
    passed = 0
    for number in sorted(counts):
        count = counts[number]
        if passed + count >= wanted and count:
            inside = (wanted - passed) / count
            return float(2 ** ((number + inside) / STEPS_PER_DOUBLING))
        passed += count
    return None
