"""What the page shows, added up as results come: rates, verdicts, latencies, effort."""

import math
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from schemas.derived import Alert, Signal
from schemas.events import Modality
from schemas.fused import Fused
from schemas.results import Classification, Verdict
from schemas.session_state import SessionState
from streams.gateway.page.boards import Boards
from streams.gateway.page.rows import Row, row_of
from streams.gateway.page.windows import PerSecond, Sliding, bucket, percentile

HISTORY_S = 300
"""How far the verdicts look back."""
WINDOW_S = 60
"""How far latencies, effort and shares look back."""
RATE_S = 5
"""Full seconds that a rate is the mean of."""
NEWEST = 2_000
"""Rows that are kept, so that a new filter finds some at once."""
MOST_TOPICS = 100
SHARES = 10
"""Bars of the distribution of the active share."""

Trait = tuple[str, str, Any]
"""Modality, name and value of what is counted of a result."""

VERDICTS = tuple(Verdict)
_COLUMN = {verdict: number for number, verdict in enumerate(VERDICTS)}


class Tally:
    """Takes in what is read; seconds are those of the records' timestamps.

    Args:
        clock: The wall clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.boards = Boards()
        self.newest: deque[Row] = deque(maxlen=NEWEST)
        self.results = 0
        """Taken in since the beginning, second answers and all."""
        self.newest_ms = 0
        """When the newest of them was published; 0 without any."""
        self._topics: dict[str, PerSecond] = {}
        self._recent: Sliding[Trait] = Sliding(WINDOW_S)

    @property
    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return int(self._clock() * 1e3)

    def take_result(
        self, result: Classification, topic: str, at_ms: int, place: tuple[int, int] = (0, 0)
    ) -> Row:
        """Take in a result; a second answer is a row, and counts as nothing else.

        Args:
            result: The result.
            topic: Where it was read.
            at_ms: Its record's timestamp, in milliseconds since the epoch.
            place: Partition and offset of that record.
        """
        at_ms = min(at_ms, self.now_ms)  # a producer's clock may be ahead
        self.newest_ms = max(self.newest_ms, at_ms)
        row = row_of(result, topic, at_ms, place)
        self.newest.append(row)
        self.results += 1
        if result.camera_id is not None:
            self.boards.saw(result.camera_id, result, at_ms)
        if result.revision == 0:
            self._count(result, topic, at_ms // 1000)
        return row

    def take_signal(self, signal: Signal, at_ms: int) -> None:
        """Take in a signal."""
        self.boards.signalled(signal, min(at_ms, self.now_ms))

    def take_alert(self, alert: Alert, at_ms: int) -> None:
        """Take in an alert."""
        self.boards.alerted(alert, min(at_ms, self.now_ms))

    def take_session(self, state: SessionState, at_ms: int) -> None:
        """Take in a session's state."""
        self.boards.said(state, min(at_ms, self.now_ms))

    def take_fused(self, fused: Fused, at_ms: int) -> None:
        """Take in a fused answer."""
        self.boards.fused_as(fused, min(at_ms, self.now_ms))

    def _count(self, result: Classification, topic: str, second: int) -> None:
        now = self.now_ms // 1000
        if second < now - HISTORY_S:
            return
        seconds = self._topics.get(topic)
        if seconds is None:
            if len(self._topics) >= MOST_TOPICS:
                return
            seconds = self._topics[topic] = PerSecond(HISTORY_S, len(VERDICTS))
        seconds.add(second, _COLUMN[result.verdict])
        if second >= now - WINDOW_S:
            self._recent.add(second, _traits(result))

    def totals(self) -> dict[str, Any]:
        """Return all that is added up, and forget the seconds that are over."""
        now = self.now_ms // 1000
        self._recent.forget(now)
        for seconds in self._topics.values():
            seconds.forget(now)
        self.boards.forget(self.now_ms)
        return {
            "topics": [
                _topic(name, seconds, now) for name, seconds in sorted(self._topics.items())
            ],
            "verdicts": self._verdicts(now),
            "modalities": self._modalities(),
            "results": self.results,
            "newest_ms": self.newest_ms,
        }

    def _verdicts(self, now: int) -> list[list[int]]:
        """Return each verdict's counts of the last seconds, oldest first."""
        of_topics = [seconds.rows(now) for seconds in self._topics.values()]
        return [
            [sum(rows[second][column] for rows in of_topics) for second in range(HISTORY_S)]
            for column in range(len(VERDICTS))
        ]

    def _modalities(self) -> dict[str, dict[str, Any]]:
        by_modality: dict[str, dict[str, Counter[Any]]] = {}
        for (modality, trait, value), count in self._recent.totals.items():
            traits = by_modality.setdefault(modality, {})
            traits.setdefault(trait, Counter())[value] += count
        return {
            modality.value: _modality(by_modality[modality.value])
            for modality in Modality
            if modality.value in by_modality
        }


def _traits(result: Classification) -> list[Trait]:
    """Return what is counted of a result; of shed ones no latency and no effort."""
    modality = result.modality.value
    traits: list[Trait] = [
        (modality, "from", result.answered_from.value),
        (modality, "budget", result.latency.budget_ms),
    ]
    if result.verdict is not Verdict.SHED:
        effort = result.effort
        share = min(int(effort.active_share * SHARES), SHARES - 1)
        traits += [
            (modality, "latency", bucket(result.latency.total_ms)),
            (modality, "over", result.latency.total_ms > result.latency.budget_ms),
            (modality, "layers", effort.layers),
            (modality, "experts", effort.experts),
            (modality, "share", share),
        ]
    return traits


def _topic(name: str, seconds: PerSecond, now: int) -> dict[str, Any]:
    recent = seconds.rows(now, WINDOW_S)
    return {
        "topic": name,
        "rate": round(sum(map(sum, recent[-RATE_S:])) / RATE_S, 1),
        "curve": [sum(row) for row in recent],
        "verdicts": seconds.sums(now, WINDOW_S),
    }


def _modality(traits: dict[str, Counter[Any]]) -> dict[str, Any]:
    latency = traits.get("latency", Counter())
    budgets = traits.get("budget", Counter())
    return {
        "budget_ms": max(budgets, key=lambda one: (budgets[one], one), default=None),
        "budgets": len(budgets),
        "latency": sorted(latency.items()),
        "over": traits.get("over", Counter())[True],
        "percentiles": [_rounded(percentile(latency, share)) for share in (0.5, 0.95, 0.99)],
        **{name: sorted(traits.get(name, Counter()).items()) for name in _EFFORT},
    }


_EFFORT = ("layers", "experts", "share", "from")


def _rounded(value: float | None) -> float | None:
    if value is None or value <= 0:
        return value
    return round(value, max(0, 2 - math.floor(math.log10(value))))
