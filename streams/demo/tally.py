"""What the demo has seen so far: counts, rates, latencies, the newest results."""

from array import array
from collections import Counter, deque
from dataclasses import dataclass

from schemas.results import Classification, Verdict

NEWEST = 30
RECENT_S = 5.0
"""Latencies of this long ago are in the live percentiles."""
RATE_WINDOW_S = 2.0
SAMPLE_S = 0.25
HISTORY = 60
"""Rate samples that are kept for the curve."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One result as the view shows it.

    Attributes:
        text: What was classified.
    """

    text: str
    result: Classification


@dataclass(frozen=True, slots=True)
class Sample:
    """Totals at one moment, in seconds of the monotonic clock."""

    at: float
    sent: int
    answered: int


class Tally:
    """Counts what comes back; what went in is told at each sample."""

    def __init__(self) -> None:
        self.results = 0
        self.dead_letters = 0
        self.verdicts: Counter[Verdict] = Counter()
        self.labels: Counter[str] = Counter()
        self.newest: deque[Shown] = deque(maxlen=NEWEST)
        self.budget_ms: float | None = None
        self.model: str | None = None
        self.active_share = 0.0
        self.last_answer: float | None = None
        """Monotonic seconds of the last answer."""
        self.latencies_ms = array("f")
        """Of every result, in the order in which they came."""
        self.history: deque[Sample] = deque(maxlen=HISTORY)
        self._recent: deque[tuple[float, float]] = deque()

    @property
    def answered(self) -> int:
        """Results and dead letters."""
        return self.results + self.dead_letters

    def count_result(self, result: Classification, text: str, now: float) -> None:
        """Take in one result."""
        self.results += 1
        self.verdicts[result.verdict] += 1
        if result.label is not None:
            self.labels[result.label] += 1
        self.newest.append(Shown(text, result))
        self.budget_ms = result.latency.budget_ms
        self.model = f"{result.model.name} {result.model.version}"
        self.active_share += result.effort.active_share
        self.latencies_ms.append(result.latency.total_ms)
        self._recent.append((now, result.latency.total_ms))
        self.last_answer = now

    def count_dead_letter(self, now: float) -> None:
        """Take in one dead letter."""
        self.dead_letters += 1
        self.last_answer = now

    def sample(self, now: float, sent: int) -> None:
        """Note the totals, for rates; calls closer together than a sample are passed over."""
        if not self.history or now - self.history[-1].at >= SAMPLE_S:
            self.history.append(Sample(now, sent, self.answered))

    def rates(self) -> tuple[float, float]:
        """Return events per second, in and out, over the last moments."""
        if len(self.history) < 2:  # noqa: PLR2004 - a rate needs two moments
            return 0.0, 0.0
        last = self.history[-1]
        first = next(one for one in self.history if last.at - one.at <= RATE_WINDOW_S)
        if first is last:
            first = self.history[-2]
        seconds = last.at - first.at
        return (last.sent - first.sent) / seconds, (last.answered - first.answered) / seconds

    def recent_ms(self, now: float) -> list[float]:
        """Return the latencies of the last seconds, sorted."""
        while self._recent and now - self._recent[0][0] > RECENT_S:
            self._recent.popleft()
        return sorted(latency for _, latency in self._recent)


def percentile(ordered: list[float], share: float) -> float | None:
    """Return the nearest-rank percentile of sorted numbers; ``None`` of none."""
    if not ordered:
        return None
    rank = -(-len(ordered) * share // 1)  # rounded up
    return ordered[max(0, int(rank) - 1)]
