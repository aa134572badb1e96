"""What was seen of a group within a span of time, added up: no Kafka, no terminal, no clock."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from schemas.results import Classification, Verdict
from streams.demo.tally import percentile
from streams.routes import Route
from streams.top.group import Look
from streams.top.scrape import Scraped
from streams.top.snapshot import (
    InstanceRow,
    Label,
    PartitionRow,
    Snapshot,
    TopicRow,
    Verdicts,
    WorkerRow,
)

MOST_LABELS = 8
LEAST_SPAN_S = 0.5
"""What has to be seen before it is said how much comes in a second."""


T = TypeVar("T")


class _Window(Generic[T]):
    """What came within so many seconds, each with its moment."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.kept: deque[tuple[float, T]] = deque()

    def add(self, one: T, now: float) -> None:
        self.kept.append((now, one))

    def forget(self, now: float, *, before: int = 0) -> None:
        """Forget what is over, but for so many of the latest of it."""
        while len(self.kept) > before and self.kept[before][0] <= now - self._seconds:
            self.kept.popleft()

    @property
    def values(self) -> Iterator[T]:
        return (one for _, one in self.kept)


@dataclass(frozen=True, slots=True)
class _Result:
    topic: str
    member: str | None
    verdict: str
    label: str | None
    latency_ms: float
    budget_ms: float


class Board:
    """Takes in what is seen, and says what it comes to.

    Args:
        group: By name.
        routes: What the group is thought to serve.
        window_s: How far back figures look.
        started: Monotonic seconds of the beginning.
    """

    def __init__(
        self, group: str, routes: Sequence[Route], *, window_s: float, started: float
    ) -> None:
        self._group = group
        self._routes = {route.topic: route for route in routes}
        self._window_s = window_s
        self._started = started
        self._results: _Window[_Result] = _Window(window_s)
        self._looks: _Window[Look] = _Window(window_s)
        self._scrapes: _Window[tuple[Scraped, ...]] = _Window(window_s)
        self._owners: dict[tuple[str, int], str | None] = {}
        self.problem: str | None = None
        """What the broker does not tell at the moment, and why."""

    def take(self, result: Classification, now: float) -> None:
        """Take in a result; second answers are none of the group's first."""
        if result.revision:
            return
        source = result.source
        self._results.add(
            _Result(
                topic=source.topic,
                member=self._owners.get((source.topic, source.partition)),
                verdict=result.verdict.value,
                label=result.label,
                latency_ms=result.latency.total_ms,
                budget_ms=result.latency.budget_ms,
            ),
            now,
        )

    def looked(self, look: Look, now: float) -> None:
        """Take in what the broker says of the group."""
        self._looks.add(look, now)
        self._owners = {
            (one.topic, one.partition): standing.member for one, standing in look.standings.items()
        }
        self.problem = None

    def scraped(self, found: Iterable[Scraped], now: float) -> None:
        """Take in what workers say of themselves."""
        self._scrapes.add(tuple(found), now)

    def snapshot(self, now: float) -> Snapshot:
        """Return what is seen now; the group has to have been looked at once."""
        self._results.forget(now)
        # A rate needs a look from before the span.
        self._looks.forget(now, before=1)
        self._scrapes.forget(now, before=1)
        look = self._looks.kept[-1][1]
        span_s = min(self._window_s, now - self._started)
        workers = self._workers(look, span_s)
        return Snapshot(
            group=self._group,
            state=look.state,
            window_s=round(span_s, 3),
            topics=tuple(self._topic(topic, look, span_s) for topic in self._topics(look)),
            partitions=_partitions(look),
            workers=workers,
            instances=self._instances(),
            notes=tuple(self._notes(look)),
        )

    def _topics(self, look: Look) -> list[str]:
        """Return the input topics that the group reads, or would read, in order."""
        return sorted({one.topic for one in look.standings})

    def _topic(self, topic: str, look: Look, span_s: float) -> TopicRow:
        results = [one for one in self._results.values if one.topic == topic]
        answered = sorted(one.latency_ms for one in results if one.verdict != Verdict.SHED)
        budgets = Counter(one.budget_ms for one in results)
        labels = Counter(one.label for one in results if one.label is not None)
        verdicts = _verdicts(one.verdict for one in results)
        route = self._routes.get(topic)
        return TopicRow(
            topic=topic,
            rate_in=self._rate(lambda one: _end(one, topic)),
            rate_out=_per_second(len(results), span_s),
            lag=sum(one.lag for at, one in look.standings.items() if at.topic == topic),
            verdicts=verdicts,
            share_in_budget=verdicts.share_in_budget,
            p50_ms=percentile(answered, 0.5),
            p99_ms=percentile(answered, 0.99),
            budget_ms=budgets.most_common(1)[0][0] if budgets else None,
            labels=tuple(
                Label(label=label, share=round(count / labels.total(), 4))
                for label, count in labels.most_common(MOST_LABELS)
            ),
            dead_letters_per_s=None
            if route is None
            else self._rate(lambda one: one.letters.get(route.dead_letters, 0)),
        )

    def _rate(self, count: Callable[[Look], int]) -> float | None:
        """Return how fast something grew, a second, between the first look and the last."""
        (began, first), (ended, last) = self._looks.kept[0], self._looks.kept[-1]
        return _per_second(max(0, count(last) - count(first)), ended - began)

    def _workers(self, look: Look, span_s: float) -> tuple[WorkerRow, ...]:
        of_member: dict[str | None, list[_Result]] = {}
        for one in self._results.values:
            of_member.setdefault(one.member, []).append(one)
        rows = [
            WorkerRow(
                member=member.id,
                client=member.client,
                host=member.host,
                partitions=sum(map(len, member.partitions.values())),
                lag=sum(one.lag for one in look.standings.values() if one.member == member.id),
                rate_out=_per_second(len(of_member.get(member.id, ())), span_s),
                verdicts=_verdicts(one.verdict for one in of_member.get(member.id, ())),
            )
            for member in look.members
        ]
        return tuple(sorted(rows, key=lambda row: (row.host, row.client, row.member)))

    def _instances(self) -> tuple[InstanceRow, ...]:
        if not self._scrapes.kept:
            return ()
        (began, first), (ended, last) = self._scrapes.kept[0], self._scrapes.kept[-1]
        before = {one.url: one for one in first if one.problem is None}
        return tuple(_instance(one, before.get(one.url), ended - began) for one in last)

    def _notes(self, look: Look) -> Iterable[str]:
        if self.problem is not None:
            yield self.problem
        for one in self._scrapes.kept[-1][1] if self._scrapes.kept else ():
            if one.problem is not None:
                yield f"{one.url}: {one.problem}"
        if not look.members:
            yield (
                f"group {self._group!r} has no worker: start one with `headrace run --group "
                f"{self._group}`, or name another group with --group"
            )
        elif idle := sum(not sum(map(len, one.partitions.values())) for one in look.members):
            yield f"{idle} of {len(look.members)} workers have no partition"
        unowned = sum(one.member is None for one in look.standings.values())
        if look.members and unowned:
            yield f"{unowned} of {len(look.standings)} partitions are nobody's at the moment"
        unknown = sorted({one.topic for one in look.standings} - self._routes.keys())
        if unknown:
            yield (
                f"where the results of {', '.join(unknown)} go is not known: name the workers' "
                "settings with --config"
            )


def _instance(now: Scraped, before: Scraped | None, seconds: float) -> InstanceRow:
    if now.problem is not None:
        return InstanceRow(url=now.url, problem=now.problem)
    row = InstanceRow(
        url=now.url,
        ready=now.sums["ready"],
        partitions=now.sums["partitions"],
        paused=now.sums["paused"],
        in_flight=now.sums["in_flight"],
        queued=now.sums["queued"],
        restarts=now.sums["restarts"],
    )
    if before is None:
        return row
    # Whoever started anew meanwhile counts from nothing.
    events = max(0, now.sums["events"] - before.sums["events"])
    grown = {one.value: max(0, now.verdicts[one] - before.verdicts[one]) for one in Verdict}
    return msgspec.structs.replace(
        row, rate_in=_per_second(events, seconds), verdicts=Verdicts(**grown)
    )


def _per_second(count: int, seconds: float) -> float | None:
    return round(count / seconds, 2) if seconds >= LEAST_SPAN_S else None


def _verdicts(verdicts: Iterable[str]) -> Verdicts:
    return Verdicts(**Counter(verdicts))


def _end(look: Look, topic: str) -> int:
    return sum(one.end for at, one in look.standings.items() if at.topic == topic)


def _partitions(look: Look) -> tuple[PartitionRow, ...]:
    rows = [
        PartitionRow(
            topic=at.topic,
            partition=at.partition,
            lag=one.lag,
            committed=one.committed,
            end=one.end,
            member=one.member,
        )
        for at, one in look.standings.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.lag, row.topic, row.partition)))
