"""Lets a lane's events to the model, unless too many of them have become dead letters.

While the gate is shut the lane's partitions are paused and what waited is kept: nothing of it ends,
so nothing of it is committed. What the device has already been given ends as it would have.
"""

from collections.abc import Iterable, Sequence

import structlog

from inference.clock import Clock
from inference.scheduler import Scheduler
from inference.work import Work
from streams import metrics
from streams.health import Health
from streams.lane.breaker import PROBES, Breaker, BreakerSettings, Side, State, side_of

log = structlog.get_logger(__name__)

REMEDIES = {
    Side.RUN: "look at them with `headrace dlq list --by stack_digest`, and go back to the last "
    "model or version that worked",
    Side.READ: "look at them with `headrace dlq list --by field`, and stop or mend the producer",
}


class Gate:
    """Stands between a lane's ingress and its scheduler.

    Args:
        topic: The lane's.
        scheduler: Where works go.
        settings: When it shuts.
    """

    def __init__(
        self, topic: str, scheduler: Scheduler, settings: BreakerSettings, clock: Clock
    ) -> None:
        self.topic = topic
        self._scheduler = scheduler
        self._breaker = Breaker(settings, clock.monotonic) if settings.enabled else None
        self._held: list[Work] = []
        self._let_in = 0
        self._state = State.CLOSED
        metrics.BREAKER_OPEN.labels(topic).set(0)

    @property
    def shut(self) -> bool:
        """Whether events are to stay at the broker."""
        if self._state is State.PROBING:
            return self._let_in >= PROBES
        return self._state is State.OPEN

    @property
    def reason(self) -> str | None:
        """Why events are not let in as usual; ``None`` while they are."""
        if self._breaker is None or self._state is State.CLOSED:
            return None
        return self._breaker.reason

    @property
    def held(self) -> int:
        """How many events wait for it to open again."""
        return len(self._held)

    def offer(self, works: Sequence[Work]) -> None:
        """Let works through, or keep them."""
        if self._state is State.CLOSED:
            self._scheduler.offer(works)
            return
        self._held.extend(works)
        self._let_some_in()

    def note_read(self, events: int) -> None:
        """Take note of events that could be read."""
        if self._breaker is not None and events:
            self._breaker.count(Side.READ, None, events)

    def note_letter(self, error: str) -> None:
        """Take note of a dead letter."""
        if self._breaker is not None:
            self._breaker.count(side_of(error), error)

    def note_answer(self, *, by_model: bool) -> None:
        """Take note of a result; where the model was not asked, a probe lets another event in."""
        if by_model and self._breaker is not None:
            self._breaker.count(Side.RUN, None)
        elif self._state is State.PROBING:
            self._let_in = max(0, self._let_in - 1)

    def judge(self) -> None:
        """Shut or open, once all that ended together was noted."""
        if self._breaker is not None:
            self._breaker.judge()
            self._follow()

    def look(self) -> None:
        """Let a few in if it is time to see; to be called several times a second."""
        if self._breaker is not None and self._state is not State.CLOSED:
            self._breaker.look()
            self._follow()
            self._let_some_in()

    def clear(self) -> None:
        """Forget what is kept: it is somebody else's now."""
        self._held.clear()
        self._let_in = 0

    def _follow(self) -> None:
        assert self._breaker is not None  # noqa: S101 - asked by those who know
        before, self._state = self._state, self._breaker.state
        if before is self._state:
            return
        metrics.BREAKER_OPEN.labels(self.topic).set(int(self._state is not State.CLOSED))
        self._let_in = 0
        if self._state is State.OPEN:
            self._held = [*self._scheduler.withdraw(lambda _: True), *self._held]
            log.error(
                "breaker_open",
                topic=self.topic,
                reason=self._breaker.reason,
                blames=self._breaker.side.value,
                remedy=REMEDIES[self._breaker.side],
                held=len(self._held),
            )
        elif self._state is State.CLOSED:
            log.warning("breaker_closed", topic=self.topic, held=len(self._held))
            held, self._held = self._held, []
            self._scheduler.offer(held)

    def _let_some_in(self) -> None:
        if self._state is State.PROBING and self._held and self._let_in < PROBES:
            some = self._held[: PROBES - self._let_in]
            del self._held[: len(some)]
            self._let_in += len(some)
            self._scheduler.offer(some)


class Gates:
    """All gates of a worker: looked after, and told to readiness.

    Args:
        gates: Of its lanes.
        health: Of the worker.
    """

    def __init__(self, gates: Iterable[Gate], health: Health) -> None:
        self._gates = list(gates)
        self._health = health

    def look(self) -> None:
        """See to every gate."""
        for gate in self._gates:
            gate.look()
            condition = f"breaker of {gate.topic}"
            if gate.reason is None:
                self._health.met(condition)
            else:
                self._health.unmet(condition, gate.reason)

    @property
    def topics(self) -> set[str]:
        """The topics whose events are not let in as usual."""
        return {gate.topic for gate in self._gates if gate.reason is not None}

    @property
    def held(self) -> int:
        """Events that wait at gates."""
        return sum(gate.held for gate in self._gates)
