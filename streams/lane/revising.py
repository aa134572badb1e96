"""Second answers: events that were degraded or shed are classified in full when there is time."""

import asyncio
import dataclasses

from inference.clock import Clock
from inference.revisions import Backlog, Revisions
from inference.scheduler import Scheduler
from inference.work import Completion, OverloadPolicy
from schemas.results import Verdict
from streams import metrics
from streams.lane.verdicts import Admitted
from streams.routes import Route

IDLE_LOOK_S = 0.02
"""How often to look whether there is time, while events wait for it."""
PATIENCE_S = 3_600.0
"""What a second answer has beyond the deadline: enough never to be urgent."""


class Reviser:
    """Runs events again, one at a time, while no model on the device has anything else to do.

    A new event that comes meanwhile waits for one other at most.

    Args:
        settings: How many wait, and how long.
        scheduler: Of the lane that answered them first.
    """

    def __init__(
        self,
        settings: Revisions,
        scheduler: Scheduler,
        route: Route,
        clock: Clock,
    ) -> None:
        self._backlog = Backlog(settings)
        self._scheduler = scheduler
        self._labels = route.topic, route.modality
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._counted = 0

    def consider(self, completion: Completion) -> None:
        """Let an event wait for a better answer, if its first is a lesser one."""
        is_shed = completion.prediction is None
        if completion.superseded or not (is_shed or completion.degraded):
            return
        work = completion.work
        admitted: Admitted = work.handle
        first = Verdict.SHED if is_shed else Verdict.DEGRADED
        again = dataclasses.replace(
            work,
            handle=dataclasses.replace(
                admitted, revises=first, trace=admitted.trace and admitted.trace.again()
            ),
            deadline=work.deadline + PATIENCE_S,
            priority=0,
            on_overload=OverloadPolicy.LATE,
            subject=None,
        )
        self._backlog.add(again, len(admitted.record.value or b""))
        self._look_later()

    def ended(self, outcome: str) -> None:
        """Count a second answer and go on with the next.

        Args:
            outcome: ``published`` or ``failed``.
        """
        metrics.REVISIONS.labels(*self._labels, outcome).inc()
        self._look()

    def clear(self) -> None:
        """Give up what waits: its partitions are about to be somebody else's."""
        self._backlog.clear()
        self._cancel()
        self._count_dropped()

    def _look(self) -> None:
        self._cancel()
        if self._backlog and self._scheduler.healthy and self._scheduler.nothing_to_do:
            self._scheduler.offer(self._backlog.take(1, self._clock.monotonic()))
        self._count_dropped()
        if self._backlog:
            self._look_later()

    def _look_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(IDLE_LOOK_S, self._look)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _count_dropped(self) -> None:
        metrics.REVISIONS.labels(*self._labels, "dropped").inc(
            self._backlog.dropped - self._counted
        )
        self._counted = self._backlog.dropped
