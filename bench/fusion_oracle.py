"""How many pairs one could get right who knows how a log was drawn.

The oracle has the true distributions of dates and delays, sees all results at once, and takes the
likeliest way to join them: what any method misses that it misses too is not in the data. One that
looks at dates alone says what is lost without the times at which events came in.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import exp

from fusion_log import TOTAL_MS, USUAL_S, Load, Log, id_of, written

from schemas.events import Modality
from schemas.results import Classification
from streams.apps.likeness import Told
from streams.apps.matching import clusters, groups


@dataclass(frozen=True, slots=True)
class Seen:
    """The first result of an event."""

    stream: Modality
    event: str
    at: float
    came: float
    incident: int
    is_classified: bool = True


@dataclass(frozen=True, slots=True)
class Truth:
    """Weighs groups by the distributions that a log was drawn from.

    Attributes:
        load: What was drawn.
        arrivals: Whether the times at which events came in are looked at.
    """

    load: Load
    arrivals: bool = True
    streams: int = len(Modality)

    @property
    def window_s(self) -> float:
        """Return how far apart two dates of an incident can be."""
        return 2 * self.load.jitter_s + max(self.load.off_s) - min(self.load.off_s)

    def weight(self, group: Sequence[Told]) -> float:
        """Return the likelihood of a group: over all times at which it may have happened."""
        load, off = self.load, dict(zip(Modality, self.load.off_s, strict=True))
        dated = [one.at - off[Modality(one.stream)] for one in group]
        begin, end = max(dated) - load.jitter_s, min(dated) + load.jitter_s
        # A hair's breadth more: sums of seconds are rounded.
        likely = (
            max(0.0, end - begin + 1e-6)
            if not self.arrivals
            else self._came(group, begin - 1e-6, end + 1e-6)
        )
        missing = self.streams - len(group)
        likely *= (1 - load.dropped) ** len(group) * load.dropped**missing
        return likely / load.interval_s / (2 * load.jitter_s) ** len(group)

    def _came(self, group: Sequence[Told], begin: float, end: float) -> float:
        """Integrate over the time between, for each way in which parts were slow or not."""
        load, likely = self.load, 0.0
        for slow in product((False, True), repeat=len(group)):
            first, last, factor, rate = begin, end, 1.0, 0.0
            came = [one.came + TOTAL_MS / 1e3 - load.jitter_s - max(load.off_s) for one in group]
            # Of those that were not slow, the likelihood rises up to the first that came in.
            latest = min(
                [at for at, is_slow in zip(came, slow, strict=True) if not is_slow] or [end]
            )
            last = min(last, latest)
            for one, at, is_slow in zip(group, came, slow, strict=True):
                if is_slow:
                    factor *= load.slow / (load.slow_s[1] - load.slow_s[0])
                    first, last = max(first, at - load.slow_s[1]), min(last, at - load.slow_s[0])
                else:
                    usual = load.pace * USUAL_S[Modality(one.stream)]
                    factor *= (1 - load.slow) / usual * exp((latest - at) / usual)
                    rate += 1 / usual
            if first < last:
                likely += factor * _integral(rate, first - latest, last - latest)
        return max(likely, 1e-300 if len(group) == 1 else 0.0)


def _integral(rate: float, begin: float, end: float) -> float:
    return end - begin if rate == 0 else (exp(rate * end) - exp(rate * begin)) / rate


def best(log: Log, load: Load, *, arrivals: bool = True) -> tuple[int, int]:
    """Return how many pairs are right, and how many wrong, of the likeliest way to join all."""
    by = Truth(load, arrivals)
    right = wrong = 0
    for parts in _parts(log):
        for cluster in clusters(parts, by.window_s):
            for group in groups(cluster, by):
                for one, other in combinations(group.parts, 2):
                    right += one.incident == other.incident
                    wrong += one.incident != other.incident
    return right, wrong


def _parts(log: Log) -> Iterable[list[Seen]]:
    by_entity: dict[str, dict[tuple[int, Modality], Seen]] = defaultdict(dict)
    for one, incident in _first(log):
        seen = Seen(
            one.modality,
            f"{one.modality}:{one.source.offset}",
            one.event_time.timestamp(),
            written(one),
            incident,
        )
        by_entity[log.entity_of[incident]].setdefault((incident, one.modality), seen)
    return [list(each.values()) for each in by_entity.values()]


def _first(log: Log) -> Iterator[tuple[Classification, int]]:
    for delivery in log.deliveries:
        yield delivery.result, log.incident_of[id_of(delivery.result)]
