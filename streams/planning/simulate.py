"""A load on so many workers, simulated; and how many workers it needs."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from aiokafka.partitioner import murmur2

from inference.capacity import Answer, Memory, SimulatedWorker, WorkerTrace
from inference.settings import SchedulerSettings
from inference.simulation import Simulation
from inference.work import OverloadPolicy, Work
from streams.planning.costs import WorkerCosts
from streams.planning.events import PlannedEvent

PARTITIONS_PER_WORKER = 4
"""Where their number is not given: room to grow, and an even share for each."""
RUN = 16
"""Events without a key go to one partition so long, as a producer's batches do."""
LEAST_SPAN_S = 1.0
"""Shares of time are taken over the load's length, which counts as this at least."""


@dataclass(frozen=True, slots=True)
class ClassPlan:
    """What becomes of the events of one priority and policy.

    Attributes:
        missed: Late or shed.
        p50_ms: Latency of what was answered, from timestamp to publication; likewise ``p99_ms``.
    """

    priority: int
    policy: OverloadPolicy
    events: int
    on_time: int
    degraded: int
    late: int
    shed: int
    known: int
    superseded: int
    p50_ms: float
    p99_ms: float

    @property
    def missed(self) -> float:
        """Share of the events that were late or shed."""
        return (self.late + self.shed) / self.events


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """A load on so many workers.

    Attributes:
        span_s: From the first event to the last.
        busiest_s: Most events within a second.
        device_cores: Cores that the workers' devices keep busy on average; likewise
            ``loop_cores``, idling included.
        busiest_share: Share of its time for which the busiest worker's busier thread is busy.
        hottest_key: Share of the events that have the commonest key, and so one partition.
    """

    workers: int
    partitions: int
    events: int
    span_s: float
    busiest_s: int
    classes: tuple[ClassPlan, ...]
    device_cores: float
    loop_cores: float
    busiest_share: float
    hottest_key: float
    mean_batch: float

    @property
    def cores(self) -> float:
        """Cores kept busy on average."""
        return self.device_cores + self.loop_cores

    @property
    def worst_missed(self) -> float:
        """Missed share of the class that fares worst."""
        return max(each.missed for each in self.classes)


class Planner:
    """Puts loads on simulated workers.

    Args:
        costs: What a worker takes.
        settings: Of its scheduler.
        cache_age_s: How long its cache gives answers again; ``None`` without one.
        seed: Of all chance.
    """

    def __init__(
        self,
        costs: WorkerCosts,
        settings: SchedulerSettings,
        *,
        cache_age_s: float | None = None,
        seed: int = 1,
    ) -> None:
        self._costs = costs
        self._settings = settings
        self._cache_age_s = cache_age_s
        self._seed = seed

    def plan(
        self, events: Sequence[PlannedEvent], workers: int, partitions: int | None = None
    ) -> LoadPlan:
        """Return what a load would do to so many workers.

        Args:
            events: In order of time.
            workers: 1 or more.
            partitions: Of the topic; some for each worker if not given.
        """
        partitions = partitions or workers * PARTITIONS_PER_WORKER
        shares = _shared_out(events, workers, partitions)
        traces = [self._run(share, number) for number, share in enumerate(shares)]
        span_s = events[-1].at_s - events[0].at_s
        length_s = max(LEAST_SPAN_S, span_s)
        idle_s = self._costs.loop.idle * length_s
        busy = [max(trace.device_s, trace.loop_s) / length_s for trace in traces]
        answers = [answer for trace in traces for answer in trace.answers]
        batches = sum(trace.batches for trace in traces)
        run = sum(answer.effort is not None for answer in answers)
        return LoadPlan(
            workers=workers,
            partitions=partitions,
            events=len(events),
            span_s=span_s,
            busiest_s=max(Counter(int(one.at_s) for one in events).values()),
            classes=_classes(answers),
            device_cores=self._costs.device_cpu
            * sum(trace.device_s for trace in traces)
            / length_s,
            loop_cores=sum(trace.loop_s + idle_s for trace in traces) / length_s,
            busiest_share=max(busy),
            hottest_key=_hottest(events),
            mean_batch=run / max(1, batches),
        )

    def needed(
        self,
        events: Sequence[PlannedEvent],
        most_missed: float,
        *,
        partitions: int | None = None,
        most_workers: int = 64,
    ) -> LoadPlan | None:
        """Return the plan with the fewest workers that misses little enough; ``None`` for none.

        Looked for by halving: more workers have never been found to miss more than by chance.

        Args:
            events: In order of time.
            most_missed: Share of each class that may be late or shed.
            partitions: Of the topic, which bound the workers; some for each if not given.
            most_workers: Where to give up.
        """
        most = min(most_workers, partitions or most_workers)
        enough, too_few = 1, 0
        found = self.plan(events, 1, partitions)
        while found.worst_missed > most_missed:
            if enough == most:
                return None
            too_few, enough = enough, min(most, 2 * enough)
            found = self.plan(events, enough, partitions)
        while enough - too_few > 1:
            middle = (enough + too_few) // 2
            plan = self.plan(events, middle, partitions)
            if plan.worst_missed > most_missed:
                too_few = middle
            else:
                enough, found = middle, plan
        return found

    def _run(self, events: Sequence[PlannedEvent], number: int) -> WorkerTrace:
        works = [
            replace(one.work, arrival=one.at_s, deadline=one.at_s + one.work.deadline)
            for one in events
        ]
        tokens = [work.tokens for work in works if work.tokens]
        mean_tokens = sum(tokens) / len(tokens) if tokens else 1.0
        curve = self._costs.curve
        simulation = Simulation(
            self._settings,
            self._costs.efforts,
            curve.learned(self._settings.cost_quantile, mean_tokens),
            curve.run_times(self._seed + number),
        )
        memory = None
        if self._cache_age_s is not None:
            memory = Memory(self._cache_age_s, _content)
        return SimulatedWorker(
            simulation, self._costs.loop, memory, transit_s=self._costs.transit_s
        ).run(works)


def _content(work: Work) -> bytes | None:
    content: bytes | None = work.handle.content
    return content


def _shared_out(
    events: Sequence[PlannedEvent], workers: int, partitions: int
) -> list[list[PlannedEvent]]:
    """Share events out as keys, partitions and a group do: by ranges of partitions."""
    keyless = itertools.count()
    shares: list[list[PlannedEvent]] = [[] for _ in range(workers)]
    for event in events:
        if event.key is None:
            partition = next(keyless) // RUN % partitions
        else:
            partition = (murmur2(event.key) & 0x7FFFFFFF) % partitions
        shares[partition * workers // partitions].append(event)
    return shares


def _hottest(events: Sequence[PlannedEvent]) -> float:
    keys = Counter(one.key for one in events if one.key is not None)
    return max(keys.values()) / len(events) if keys else 0.0


def _classes(answers: Sequence[Answer]) -> tuple[ClassPlan, ...]:
    """Sum up by priority, the highest first, and policy."""
    parts: dict[tuple[int, OverloadPolicy], list[Answer]] = {}
    for answer in answers:
        work = answer.work
        parts.setdefault((-work.priority, work.on_overload), []).append(answer)
    return tuple(_class(-key[0], key[1], parts[key]) for key in sorted(parts))


def _class(priority: int, policy: OverloadPolicy, answers: Sequence[Answer]) -> ClassPlan:
    def count(holds: Callable[[Answer], bool]) -> int:
        return sum(map(holds, answers))

    shed = count(lambda one: one.shed and not one.superseded)
    superseded = count(lambda one: one.superseded)
    late = count(lambda one: one.missed) - shed
    degraded = count(lambda one: one.degraded and not one.missed)
    latencies = sorted((one.published - one.work.arrival) * 1e3 for one in answers if not one.shed)
    return ClassPlan(
        priority=priority,
        policy=policy,
        events=len(answers),
        on_time=len(answers) - late - shed - degraded - superseded,
        degraded=degraded,
        late=late,
        shed=shed,
        known=count(lambda one: one.known),
        superseded=superseded,
        p50_ms=_quantile(latencies, 0.5),
        p99_ms=_quantile(latencies, 0.99),
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
