"""The scheduler over simulated time: the same queue, batcher and cost model, no engine, no waiting.

It answers what a load would do to a device without running either, as capacity planning needs, and
it is what the scheduler's policies are tested on.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from inference.cost import CostModel
from inference.dispatch import Dispatch, Flight
from inference.engine import EffortLevel
from inference.settings import SchedulerSettings
from inference.shares import Share
from inference.turns import Turn, Turns
from inference.work import Work

RunTime = Callable[[int, int, str], float]
"""What a batch of some tokens, events and effort really takes, in seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of one work.

    Attributes:
        ended: Monotonic seconds at which its batch ended or it was shed or superseded.
        effort: Name of the rung that was run; ``None`` when shed.
        degraded: The rung was below full.
        on_time: It ran, and its result was published before the deadline, granted that publishing
            takes the reserve set aside for it.
        superseded: A newer work about the same made it needless.
    """

    work: Work
    ended: float
    effort: str | None
    degraded: bool
    on_time: bool
    reason: str | None
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class SimulatedBatch:
    """One batch on the simulated device.

    Attributes:
        model: Whose; models are numbered as they were added.
    """

    started: float
    seconds: float
    events: int
    tokens: int
    effort: str
    model: int = 0


@dataclass(slots=True)
class Trace:
    """What happened in a simulation, in order of time."""

    outcomes: list[Outcome] = field(default_factory=list)
    batches: list[SimulatedBatch] = field(default_factory=list)

    @property
    def busy_s(self) -> float:
        """Seconds for which the device was busy."""
        return math.fsum(batch.seconds for batch in self.batches)


class Simulation:
    """One device, one stream of arrivals, one model or several.

    Args:
        run_time: What batches really take; the scheduler sees only what it observes of it.
        cost: What the scheduler believes at first; it learns while the simulation runs.
        latency_s: Passes between the end of a batch and the scheduler's hearing of it.
        share: The first model's claim to the device.
    """

    def __init__(
        self,
        settings: SchedulerSettings,
        efforts: Sequence[EffortLevel],
        cost: CostModel,
        run_time: RunTime,
        *,
        latency_s: float = 0.0,
        share: Share | None = None,
    ) -> None:
        self.turns = Turns()
        self.trace = Trace()
        self.now = -math.inf
        self._settings = settings
        self._reserve_s = settings.publish_reserve_ms / 1e3
        self._models: list[tuple[Dispatch, RunTime]] = []
        self._latency_s = latency_s
        self._ends: list[float] = []
        self._in_slot_since = -math.inf
        self._wake_at: float | None = None
        self.add_model(efforts, cost, run_time, share)

    def add_model(
        self,
        efforts: Sequence[EffortLevel],
        cost: CostModel,
        run_time: RunTime,
        share: Share | None = None,
    ) -> int:
        """Let another model, or another queue for one, share the device; return its number."""
        quotas = share.quotas if share is not None else ()
        dispatch = Dispatch(self._settings, efforts, cost, quotas=quotas)
        self._models.append((dispatch, run_time))
        self.turns.join(dispatch, share)
        return len(self._models) - 1

    def run(self, works: Iterable[Work]) -> Trace:
        """Let works of the first model arrive, in order, and go on until all have an outcome."""
        return self.run_mixed((0, work) for work in works)

    def run_mixed(self, works: Iterable[tuple[int, Work]]) -> Trace:
        """Let works arrive, in order of arrival, each with its model's number."""
        for model, work in works:
            self.offer(work, work.arrival, model)
        self.advance(math.inf)
        return self.trace

    def offer(self, work: Work, at: float, model: int = 0) -> None:
        """Let everything happen that is due before ``at``, then let a work arrive."""
        self.advance(at)
        for superseded in self._models[model][0].admit([work], at):
            self._end_unrun(*superseded, superseded=True)
        self._wake_at = self.now

    @property
    def next_at(self) -> float:
        """When something happens next if nothing arrives; infinity for never."""
        end = self._ends[0] + self._latency_s if self._ends else math.inf
        return min(end, math.inf if self._wake_at is None else self._wake_at)

    def advance(self, until: float) -> None:
        """Let everything happen that is due before ``until``."""
        while (at := self.next_at) < until:
            self.now = max(self.now, at)
            if self._ends and self._ends[0] + self._latency_s <= self.now:
                self._land()
            self._decide()
        self.now = max(self.now, until) if math.isfinite(until) else self.now

    def _decide(self) -> None:
        while True:
            turn = self.turns.step(self.now)
            self._shed(turn)
            if turn.flight is None:
                break
            if turn.flight.started is None:
                self._in_slot_since = self.now
            else:
                self._start(turn.flight)
        self._wake_at = turn.wake_at

    def _start(self, flight: Flight) -> None:
        assert flight.started is not None  # noqa: S101 - for the type checker
        batch = flight.batch
        owners = [dispatch for dispatch, _ in self._models]
        model = owners.index(flight.owner)
        run_time = self._models[model][1]
        seconds = run_time(batch.tokens, len(flight.works), batch.effort.name)
        self._ends.append(flight.started + seconds)
        self.trace.batches.append(
            SimulatedBatch(
                flight.started,
                seconds,
                len(flight.works),
                batch.tokens,
                batch.effort.name,
                model,
            )
        )

    def _land(self) -> None:
        ended = self._ends.pop(0)
        flight = self.turns.land(self.trace.batches[-1].seconds, ended)
        for work in flight.works:
            self.trace.outcomes.append(
                Outcome(
                    work,
                    ended,
                    flight.batch.effort.name,
                    degraded=flight.batch.degraded,
                    on_time=ended + self._reserve_s <= work.deadline,
                    reason=flight.batch.reason,
                )
            )
        if self.turns.flights:
            following = self.turns.flights[0]
            following.started = max(ended, self._in_slot_since)
            self._start(following)

    def _shed(self, turn: Turn) -> None:
        for _, shed in turn.shed:
            self._end_unrun(shed.entry.work, shed.reason)

    def _end_unrun(self, work: Work, reason: str, *, superseded: bool = False) -> None:
        self.trace.outcomes.append(
            Outcome(
                work,
                self.now,
                None,
                degraded=False,
                on_time=False,
                reason=reason,
                superseded=superseded,
            )
        )
