"""When a topic's events become dead letters rather than answers, something is wrong with it all."""

from collections import Counter, deque
from collections.abc import Callable
from enum import Enum
from typing import Annotated

import msgspec

PROBES = 10
"""Events that are let in to see whether it is well again."""
OURS = frozenset({"poison", "crashed"})
"""Kinds of dead letters that the model is to blame for; the producers are for others."""


class BreakerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a worker stops taking in a topic whose events become dead letters."""

    enabled: bool = True
    """Stop taking in such a topic until it is well again."""
    share: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5
    """More than this share of its events have become dead letters."""
    events: Annotated[int, msgspec.Meta(ge=1)] = 100
    """Of at least so many events."""
    window_ms: Annotated[float, msgspec.Meta(ge=1_000, le=3_600_000)] = 60_000.0
    """Within this time."""
    retry_ms: Annotated[float, msgspec.Meta(gt=0, le=86_400_000)] = 30_000.0
    """After so long a few events are let in, to see."""


class State(Enum):
    """Whether events are let in."""

    CLOSED = "closed"
    """All are."""
    OPEN = "open"
    """None is."""
    PROBING = "probing"
    """A few are, and decide."""


class Side(Enum):
    """Who has a part in what is counted."""

    READ = "what is sent"
    """Records: events that could be read, and letters of those that could not."""
    RUN = "the model"
    """Events that the model was asked about: answers, and letters of those that it failed on.

    Shed events are none: under overload they would hide a model that fails on all that it runs."""


def side_of(error: str) -> Side:
    """Say on which side a kind of dead letter counts."""
    return Side.RUN if error in OURS else Side.READ


class Breaker:
    """Counts how the events of one topic fare, and decides whether more are to be let in.

    Args:
        settings: What is too many.
        monotonic: The clock, in seconds.
    """

    def __init__(self, settings: BreakerSettings, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._windows = {side: _Window(settings.window_ms / 1e3) for side in Side}
        self._probed: Counter[str | None] = Counter()
        self._opened_at = 0.0
        self.state = State.CLOSED
        self.side = Side.READ
        """On which side it was too much."""
        self.counts: Counter[str | None] = Counter()
        """What it was opened for: events by error, and under ``None`` those without."""

    def count(self, side: Side, error: str | None, events: int = 1) -> None:
        """Count events that went well, or became dead letters."""
        if self.state is State.PROBING and side is self.side:
            self._probed[error] += events
        elif self.state is not State.OPEN:
            self._windows[side].count(error, events, self._monotonic())

    def judge(self) -> None:
        """Decide, once all that ended together was counted; may change the state."""
        if self.state is State.OPEN:
            return
        for side, window in self._windows.items():
            counts = window.fresh_counts(self._monotonic())
            if counts.total() >= self._settings.events and self._is_too_much(counts):
                self._open(side, counts)
                return
        if self.state is State.PROBING and self._probed.total() >= PROBES:
            if self._is_too_much(self._probed):
                self._open(self.side, Counter(self._probed))
            else:
                self.state = State.CLOSED

    def look(self) -> None:
        """Begin to probe if it is time for that."""
        since_s = self._monotonic() - self._opened_at
        if self.state is State.OPEN and since_s >= self._settings.retry_ms / 1e3:
            self.state = State.PROBING
            self._probed.clear()

    @property
    def reason(self) -> str:
        """What it was opened for, for people."""
        letters = self.counts.total() - self.counts[None]
        kinds = ", ".join(
            f"{count} {error}" for error, count in self.counts.most_common() if error is not None
        )
        return f"{letters} of {self.counts.total()} events became dead letters ({kinds})"

    def _open(self, side: Side, counts: Counter[str | None]) -> None:
        self.state = State.OPEN
        self.side = side
        self.counts = counts
        self._opened_at = self._monotonic()
        for window in self._windows.values():
            window.clear()

    def _is_too_much(self, counts: Counter[str | None]) -> bool:
        return counts.total() - counts[None] > self._settings.share * counts.total()


class _Window:
    """Counts by second, as far back as a window reaches."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._seconds: deque[tuple[int, Counter[str | None]]] = deque()
        self._has_news = False

    def count(self, error: str | None, events: int, now: float) -> None:
        """Count events of this second."""
        if not self._seconds or self._seconds[-1][0] != int(now):
            self._seconds.append((int(now), Counter()))
        self._seconds[-1][1][error] += events
        self._has_news |= error is not None

    def fresh_counts(self, now: float) -> Counter[str | None]:
        """Return what was counted within the window, if there is a new dead letter among it."""
        counts: Counter[str | None] = Counter()
        while self._seconds and self._seconds[0][0] < now - self._window_s:
            self._seconds.popleft()
        if self._has_news:
            self._has_news = False
            for _, each in self._seconds:
                counts.update(each)
        return counts

    def clear(self) -> None:
        """Begin anew."""
        self._seconds.clear()
        self._has_news = False
