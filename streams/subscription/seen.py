"""Which results were there already, remembered within bounds of number and age."""

import time
from collections import OrderedDict
from collections.abc import Callable

REMEMBERED = 100_000
"""Repetitions come within the time that a group needs to recover; this covers minutes of it."""
REMEMBERED_S = 900.0


class Seen:
    """The names of the newest results, each with the highest rank that came.

    Args:
        most: How many are remembered.
        seconds: How long each is.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self,
        most: int = REMEMBERED,
        seconds: float = REMEMBERED_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._monotonic = monotonic
        self._ranks: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ranks)

    def is_new(self, name: str, rank: int = 0) -> bool:
        """Remember a name; say whether it, or anything of its rank or above, was unknown."""
        now = self._monotonic()
        known = self._ranks.get(name)
        if known is not None and known[0] >= rank and now - known[1] <= self._seconds:
            return False
        self._ranks[name] = (rank, now)
        self._ranks.move_to_end(name)
        self._forget(now)
        return True

    def clear(self) -> None:
        """Know nothing any more."""
        self._ranks.clear()

    def knows(self, name: str, rank: int = 0) -> bool:
        """Say whether a name of its rank or above is remembered; remember nothing."""
        self._forget(self._monotonic())
        known = self._ranks.get(name)
        return known is not None and known[0] >= rank

    def _forget(self, now: float) -> None:
        while self._ranks:
            _, at = next(iter(self._ranks.values()))
            if len(self._ranks) <= self._most and now - at <= self._seconds:
                return
            self._ranks.popitem(last=False)
