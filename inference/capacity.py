"""A whole worker over simulated time: the scheduler and its device, and the event loop around them.

Two servers in a row. Every event passes the event loop twice, on its way in (fetched, decoded,
tokenised, queued) and on its way out (the result built, encoded, handed to the producer), and is
run on the device in between. Events are fetched in rounds, which is what makes most batches larger
than one; the loop serves what is ready in order of time. Once it is busy all of the time events
come to the scheduler later and later, as they do from a topic that lags.
"""

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from inference.simulation import Outcome, Simulation
from inference.work import Work


class LoopCost(NamedTuple):
    """What the event loop takes, in seconds of one core, and how it gets its events.

    Attributes:
        admit_s: For an event on its way in.
        answer_s: For an event on its way out.
        round_s: For each round of fetching: requests, acknowledgements, deciding, handing over.
        idle: Share of a core that a worker takes with nothing to do.
        fetch_s: Time of a round; what arrives meanwhile comes with the next.
    """

    admit_s: float
    answer_s: float
    round_s: float = 0.0
    idle: float = 0.0
    fetch_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What became of an event.

    Attributes:
        work: Its deadline is when the result has to be published.
        published: Monotonic seconds.
        effort: Name of the rung; ``None`` where nothing was run.
        degraded: The rung was below full.
        known: It was answered without the model, from what was answered before.
        superseded: A newer event about the same made it needless.
    """

    work: Work
    published: float
    effort: str | None
    degraded: bool
    known: bool = False
    superseded: bool = False

    @property
    def shed(self) -> bool:
        """Whether it got no answer."""
        return self.effort is None and not self.known

    @property
    def missed(self) -> bool:
        """Whether it was shed or late; not if something newer took its place."""
        if self.superseded:
            return False
        return self.shed or self.published > self.work.deadline


@dataclass(slots=True)
class WorkerTrace:
    """What a simulated worker did.

    Attributes:
        answers: In order of publication, one for each event.
        device_s: Seconds for which the device was busy.
        loop_s: Seconds for which the event loop was.
        batches: Run on the device.
    """

    answers: list[Answer] = field(default_factory=list)
    device_s: float = 0.0
    loop_s: float = 0.0
    batches: int = 0


class Memory:
    """Content that was answered at full effort, for as long as the cache gives it again.

    Args:
        max_age_s: See ``inference.result_cache.Cache``.
        content_of: Returns what is equal for works of the same content; ``None`` if none is.
    """

    def __init__(self, max_age_s: float, content_of: Callable[[Work], bytes | None]) -> None:
        self._max_age_s = max_age_s
        self._content_of = content_of
        self._found_at: dict[bytes, float] = {}

    def knows(self, work: Work, now: float) -> bool:
        """Say whether the answer to a work is known."""
        content = self._content_of(work)
        if content is None:
            return False
        return now - self._found_at.get(content, -math.inf) <= self._max_age_s

    def note(self, outcome: Outcome, now: float) -> None:
        """Keep an answer of the model at full effort."""
        content = self._content_of(outcome.work)
        if content is not None and outcome.effort is not None and not outcome.degraded:
            self._found_at[content] = now


class SimulatedWorker:
    """One worker process.

    Args:
        simulation: The scheduler and its device; nothing has run on it.
        loop: What its event loop takes.
        memory: Its cache; ``None`` for none.
        transit_s: Passes from an event's timestamp until a worker with nothing to do has it.
        most_fetched: Events taken in at once.
    """

    def __init__(
        self,
        simulation: Simulation,
        loop: LoopCost,
        memory: Memory | None = None,
        *,
        transit_s: float = 0.0,
        most_fetched: int = 100,
    ) -> None:
        self._simulation = simulation
        self._loop = loop
        self._memory = memory
        self._transit_s = transit_s
        self._most_fetched = most_fetched
        self._fetch_at = -math.inf
        self._free_at = -math.inf
        self._trace = WorkerTrace()
        self._ready: list[tuple[float, int, Outcome, bool]] = []
        """Answers that wait for the loop: since when, in which order, and if known before."""
        self._order = itertools.count()
        self._taken = 0

    def run(self, works: Sequence[Work]) -> WorkerTrace:
        """Return what becomes of works, given in order of arrival, the moment of the timestamp."""
        at = 0
        while True:
            arrival = works[at].arrival + self._transit_s if at < len(works) else math.inf
            fetched = max(arrival, self._fetch_at)
            answer = self._ready[0][0] if self._ready else math.inf
            ready_at = min(fetched, answer)
            start = max(self._free_at, ready_at)
            if self._simulation.next_at < start:
                # One step alone: what ends then may have to be published before `start`.
                self._simulation.advance(math.nextafter(self._simulation.next_at, math.inf))
                self._collect()
            elif ready_at == math.inf:
                break
            elif fetched <= answer:
                upto = at + 1
                while (
                    upto < min(len(works), at + self._most_fetched)
                    and works[upto].arrival + self._transit_s <= start
                ):
                    upto += 1
                self._fetch_at = start + self._loop.fetch_s
                self._admit(works[at:upto], start)
                at = upto
            else:
                self._publish(start)
        trace = self._trace
        trace.device_s = self._simulation.trace.busy_s
        trace.batches = len(self._simulation.trace.batches)
        return trace

    def _admit(self, works: Sequence[Work], start: float) -> None:
        """Take in a round of events; the scheduler hears of them together."""
        now = self._spend(start, self._loop.round_s + len(works) * self._loop.admit_s)
        for work in works:
            if self._memory is not None and self._memory.knows(work, now):
                known = Outcome(work, now, None, degraded=False, on_time=True, reason=None)
                self._await_loop(known, known=True)
            else:
                self._simulation.offer(work, now)
        self._collect()

    def _publish(self, start: float) -> None:
        _, _, outcome, known = heapq.heappop(self._ready)
        now = self._spend(start, self._loop.answer_s)
        if self._memory is not None and not known:
            self._memory.note(outcome, now)
        self._trace.answers.append(
            Answer(
                outcome.work,
                now,
                outcome.effort,
                outcome.degraded,
                known,
                superseded=outcome.superseded,
            )
        )

    def _collect(self) -> None:
        for outcome in self._simulation.trace.outcomes[self._taken :]:
            self._await_loop(outcome, known=False)
        self._taken = len(self._simulation.trace.outcomes)

    def _await_loop(self, outcome: Outcome, *, known: bool) -> None:
        heapq.heappush(self._ready, (outcome.ended, next(self._order), outcome, known))

    def _spend(self, start: float, seconds: float) -> float:
        self._free_at = start + seconds
        self._trace.loop_s += seconds
        return self._free_at
