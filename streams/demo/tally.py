"""What the demo has seen so far: counts, rates, latencies, the newest results."""

from array import array
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

from schemas.events import Modality
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


class ModalityTally:
    """Counts what comes back of one modality."""

    def __init__(self) -> None:
        self.results = 0
        self.dead_letters = 0
        self.labels: Counter[str] = Counter()
        self.budget_ms: float | None = None
        self.within_budget = 0
        self.latencies_ms = array("f")
        """Of every result, in the order in which they came."""
        self._recent: deque[tuple[float, float]] = deque()

    def count(self, result: Classification, now: float) -> None:
        """Take in one result."""
        latency_ms = result.latency.total_ms
        self.results += 1
        if result.label is not None:
            self.labels[result.label] += 1
        self.within_budget += result.verdict in (Verdict.ON_TIME, Verdict.DEGRADED)
        self.budget_ms = result.latency.budget_ms
        self.latencies_ms.append(latency_ms)
        self._recent.append((now, latency_ms))

    def recent_ms(self, now: float) -> list[float]:
        """Return the latencies of the last seconds, sorted."""
        while self._recent and now - self._recent[0][0] > RECENT_S:
            self._recent.popleft()
        return sorted(latency for _, latency in self._recent)


class Tally:
    """Counts what comes back; what went in is told at each sample.

    Args:
        modalities: Those that are shown, in this order.
    """

    def __init__(self, modalities: Iterable[Modality]) -> None:
        self.of = {modality: ModalityTally() for modality in modalities}
        self.results = 0
        self.dead_letters = 0
        self.verdicts: Counter[Verdict] = Counter()
        self.newest: deque[Shown] = deque(maxlen=NEWEST)
        self.last_answer: float | None = None
        """Monotonic seconds of the last answer."""
        self.history: deque[Sample] = deque(maxlen=HISTORY)

    @property
    def answered(self) -> int:
        """Results and dead letters."""
        return self.results + self.dead_letters

    def count_result(self, result: Classification, text: str, now: float) -> None:
        """Take in one result."""
        self.results += 1
        self.verdicts[result.verdict] += 1
        self.of[result.modality].count(result, now)
        self.newest.append(Shown(text, result))
        self.last_answer = now

    def count_dead_letter(self, modality: Modality, now: float) -> None:
        """Take in one dead letter."""
        self.dead_letters += 1
        self.of[modality].dead_letters += 1
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


def percentile(ordered: list[float], share: float) -> float | None:
    """Return the nearest-rank percentile of sorted numbers; ``None`` of none."""
    if not ordered:
        return None
    rank = -(-len(ordered) * share // 1)  # rounded up
    return ordered[max(0, int(rank) - 1)]
