"""The deadline scheduler of one model: works in, completions out, on one event loop.

Schedulers of several models share a device; see ``inference.turns`` for whose batch runs when.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from inference.batcher import Shed
from inference.clock import Clock
from inference.cost import Coefficients, LearnedCost
from inference.dispatch import Dispatch, Flight
from inference.engine import Encoded, Engine
from inference.latest import Superseded
from inference.log import Log
from inference.runner import Job
from inference.settings import SchedulerSettings
from inference.shared_device import SharedDevice
from inference.shares import Share
from inference.strategies import DYNAMIC_PRIORITY
from inference.warmup import still_holds, warm_up
from inference.work import Completion, Subject, Work

__all__ = ["BatchRun", "Scheduler", "SchedulerSettings", "Snapshot"]


log = Log(__name__)


class BatchRun(NamedTuple):
    """What a batch took.

    Attributes:
        seconds: Run time.
        predicted_s: What it should hardly have exceeded; 0 where nothing was known.
        clean: No event failed, so the run time says what such a batch costs.
        started: Monotonic seconds.
        works: What it held, in order.
    """

    events: int
    tokens: int
    seconds: float
    effort: str
    predicted_s: float
    clean: bool
    started: float
    works: tuple[Work, ...]


ObserveBatch = Callable[[BatchRun], None]
"""Called on the event loop after each batch, in the same turn as its completions are delivered."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The scheduler's state for metrics.

    Attributes:
        running_works: In the batch on the device, if that is of this model.
        prepared_works: In the batch that waits in the slot, likewise.
        expected_free_at: When the running batch, of whatever model, is expected to end, in
            monotonic seconds; ``None`` when the device is idle.
        overfilled_works: Offered so far although the queue was full.
        costs: Predicted cost curve per effort, tail included.
    """

    queued_works: int
    queued_tokens: int
    running_works: int
    prepared_works: int
    expected_free_at: float | None
    overfilled_works: int
    costs: Mapping[str, Coefficients]


class Scheduler:
    """Runs admitted works before their deadlines; each completes exactly once unless withdrawn.

    All methods belong to the event loop that it is made on.

    Args:
        deliver: Called on the event loop with completions as they come; what it raises makes the
            device fail.
        observe_batch: Called on the event loop after each batch.
        device: Where batches run, shared with the schedulers of other models; of its own if none
            is given.
        share: Its claim to a shared device; the same as all others' if none is given.
    """

    def __init__(
        self,
        engine: Engine,
        settings: SchedulerSettings,
        clock: Clock,
        deliver: Callable[[Sequence[Completion]], None],
        *,
        observe_batch: ObserveBatch | None = None,
        device: SharedDevice | None = None,
        share: Share | None = None,
    ) -> None:
        self.engine = engine
        self.share = share
        self._settings = settings
        self._clock = clock
        self._deliver = deliver
        self._observe_batch = observe_batch
        self._device = device or SharedDevice(clock, device_timeout_ms=settings.device_timeout_ms)
        self._cost, self._warms_up = self._device.cost_of(engine, settings.cost_quantile)
        self.dispatch = Dispatch(
            settings,
            engine.efforts,
            self._cost,
            # Where the model was compiled with a strategy of its own; see Optimizer.
            strategy=getattr(engine, "batch_strategy", DYNAMIC_PRIORITY),
            quotas=share.quotas if share is not None else (),
        )
        self._idle = asyncio.Event()
        self._idle.set()
        self._overfilled = 0
        self._closed = False

    async def start(
        self, warmup: Sequence[Encoded] = (), remembered: Mapping[str, Any] | None = None
    ) -> None:
        """Measure what batches cost and let the device run them.

        Args:
            warmup: Examples to measure with; lengths as they will occur are best. Without any,
                costs are learned from the first batches. Not used where another scheduler on this
                device has measured the same engine.
            remembered: An earlier :attr:`learned_costs`. If a few batches bear it out, it takes
                the place of measuring.

        Raises:
            EngineError: The engine fails on the examples.
        """
        self._device.start()
        if warmup and self._warms_up:
            await self._device.run(lambda: self._measure(warmup, remembered))
        self._device.join(self)

    def _measure(self, examples: Sequence[Encoded], remembered: Mapping[str, Any] | None) -> None:
        what = self.engine, examples, self._settings, self._clock, self._cost
        if remembered is not None and self._recalls(remembered):
            if still_holds(*what):
                return
            self._cost.forget()
        warm_up(*what)

    def _recalls(self, remembered: Mapping[str, Any]) -> bool:
        """Take over what was learned before, if it is that."""
        try:
            self._cost.recall(remembered)
        except ValueError as error:
            log.warning("costs_unusable", model=self.engine.model.name, error=str(error))
            return False
        return True

    @property
    def cost(self) -> LearnedCost:
        """What is known of the engine's costs, by all schedulers of it on this device."""
        return self._cost

    async def run_on_device(self, task: Callable[[], None]) -> None:
        """Run something other than a batch on the device thread, and wait for its end."""
        await self._device.run(task)

    @property
    def learned_costs(self) -> dict[str, Any]:
        """All that is known of the engine's costs, as plain values."""
        return self._cost.state()

    def offer(self, works: Sequence[Work]) -> None:
        """Admit works; those offered when :attr:`full` are admitted too, and counted.

        Works that others supersede complete at once.
        """
        if self.full:
            self._overfilled += len(works)
        self._deliver_superseded(self.dispatch.admit(works, self._clock.monotonic()))
        self._kick()

    def refusal(self, work: Work) -> str | None:
        """Say why it is no use to encode a work and offer it; ``None`` if it may be in time."""
        return self.dispatch.refusal(work, self._clock.monotonic())

    def settle(self, subject: Subject) -> None:
        """Complete the work that waits for a subject, if any: something newer has answered it."""
        self._deliver_superseded(self.dispatch.settle(subject, self._clock.monotonic()))
        self.note_idle()

    @property
    def nothing_to_do(self) -> bool:
        """Whether the device rests and no model on it has anything waiting."""
        turns = self._device.turns
        return not turns.flights and all(each.idle for each in turns.dispatches)

    @property
    def failure(self) -> "asyncio.Future[None]":
        """Fails when the device can run no more; cancelled when it is closed."""
        return self._device.failure

    @property
    def room_tokens(self) -> int:
        """Tokens that the queue still has room for."""
        return self.dispatch.queue.room_tokens

    @property
    def full(self) -> bool:
        """Whether the caller should stop offering."""
        return self.room_tokens == 0

    @property
    def has_room_again(self) -> bool:
        """Whether a caller that stopped should offer again: half of the room is free."""
        return 2 * self.dispatch.queue.tokens <= self._settings.max_queue_tokens

    @property
    def healthy(self) -> bool:
        """Whether the device can run batches."""
        return self._device.healthy

    def withdraw(self, predicate: Callable[[Work], bool]) -> list[Work]:
        """Take queued works back; what is running or prepared completes all the same."""
        withdrawn = self.dispatch.withdraw(predicate)
        self._kick()
        return withdrawn

    async def drain(self, timeout_s: float) -> bool:
        """Wait until all admitted works have completed; ``False`` if time ran out or it failed."""
        self.note_idle()
        idle = asyncio.create_task(self._wait_until_idle())
        try:
            await asyncio.wait(
                [idle, self.failure], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            idle.cancel()
        return self.dispatch.idle

    async def close(self) -> None:
        """Leave the device; what is queued stays unanswered, what the device was given completes.

        The last scheduler to leave ends the device's thread, and waits for that. Call :meth:`drain`
        or :meth:`withdraw` before to have it otherwise.
        """
        if self._closed:
            return
        self._closed = True
        await self._device.leave(self)

    def snapshot(self) -> Snapshot:
        """Return the state for metrics."""
        flights, queue = self._device.turns.flights, self.dispatch.queue
        of_each = [len(each.works) if each.owner is self.dispatch else 0 for each in flights]
        running, prepared, *_ = *of_each, 0, 0
        free_at = None
        if flights and flights[0].started is not None:
            free_at = flights[0].started + flights[0].batch.expected_s
        return Snapshot(
            queued_works=len(queue),
            queued_tokens=queue.tokens,
            running_works=running,
            prepared_works=prepared,
            expected_free_at=free_at,
            overfilled_works=self._overfilled,
            costs=self._cost.known(),
        )

    def deliver_shed(self, shed: Sequence[Shed], now: float) -> None:
        """Complete works that will not run; called by the device."""
        self._deliver([_shed(one, now) for one in shed])

    def deliver_ended(self, flight: Flight, job: Job) -> None:
        """Complete works that ran; called by the device."""
        self._deliver(_completions(flight, job))
        if self._observe_batch is not None:
            batch = flight.batch
            self._observe_batch(
                BatchRun(
                    events=len(flight.works),
                    tokens=batch.tokens,
                    seconds=job.seconds,
                    effort=batch.effort.name,
                    predicted_s=flight.predicted_s,
                    clean=job.clean,
                    started=job.started,
                    works=flight.works,
                )
            )

    def note_idle(self) -> None:
        """Look whether anything is left to do; called by the device after each decision."""
        if self.dispatch.idle:
            self._idle.set()
        else:
            self._idle.clear()

    def _deliver_superseded(self, superseded: Sequence[Superseded]) -> None:
        if superseded:
            now = self._clock.monotonic()
            self._deliver([_superseded(one, now) for one in superseded])

    def _kick(self) -> None:
        self.note_idle()
        self._device.kick()

    async def _wait_until_idle(self) -> None:
        await self._idle.wait()


def _completions(flight: Flight, job: Job) -> list[Completion]:
    batch = flight.batch
    return [
        Completion(
            work=work,
            prediction=None if isinstance(outcome, Exception) else outcome,
            effort=batch.effort,
            degraded=batch.degraded,
            reason=batch.reason,
            error=outcome if isinstance(outcome, Exception) else None,
            queue_s=max(0.0, job.started - work.arrival),
            model_s=job.seconds,
        )
        for work, outcome in zip(flight.works, job.outcomes, strict=True)
    ]


def _shed(shed: Shed, now: float) -> Completion:
    work = shed.entry.work
    return Completion(work=work, reason=shed.reason, queue_s=max(0.0, now - work.arrival))


def _superseded(one: Superseded, now: float) -> Completion:
    work, reason = one
    waited_s = max(0.0, now - work.arrival)
    return Completion(work=work, reason=reason, superseded=True, queue_s=waited_s)
