"""How long something takes at worst, but for a few times in a hundred."""

from collections import deque

SHARE = 0.95
KEPT = 128
RENEWED = 8
"""Observations after which the estimate is taken anew: sorting at each would be waste."""


class Tail:
    """The 95th percentile of what was observed last.

    Attributes:
        seconds: The estimate.
    """

    def __init__(self, initial_s: float) -> None:
        self._observed: deque[float] = deque(maxlen=KEPT)
        self._since = 0
        self.seconds = initial_s

    def observe(self, seconds: float) -> None:
        """Take one more into account."""
        self._observed.append(seconds)
        self._since += 1
        if self._since >= RENEWED:
            self._since = 0
            in_order = sorted(self._observed)
            self.seconds = in_order[int(SHARE * (len(in_order) - 1))]
