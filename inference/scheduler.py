"""The deadline scheduler: works in, completions out, on one event loop and one device thread."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from inference.batcher import Shed
from inference.clock import Clock
from inference.cost import Coefficients, LearnedCost
from inference.dispatch import Dispatch, Flight
from inference.engine import Encoded, Engine
from inference.runner import Job, ModelRunner
from inference.settings import SchedulerSettings
from inference.strategies import DYNAMIC_PRIORITY
from inference.warmup import warm_up
from inference.work import Completion, Work
from schemas.errors import EngineError

__all__ = ["Scheduler", "SchedulerSettings", "Snapshot"]

ObserveBatch = Callable[[int, int, float, str], None]
"""Called with a batch's events, tokens, seconds and effort."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The scheduler's state for metrics.

    Attributes:
        running_works: In the batch on the device.
        prepared_works: In the batch that waits in the slot.
        expected_free_at: When the running batch is expected to end, in monotonic seconds;
            ``None`` when the device is idle.
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

    All methods belong to the event loop that it is made on. Nothing that the device thread does
    blocks that loop.

    Args:
        deliver: Called on the event loop with completions as they come; what it raises makes the
            scheduler fail.
        observe_batch: Called on the event loop after each batch with its events, tokens, seconds
            and effort.
    """

    def __init__(
        self,
        engine: Engine,
        settings: SchedulerSettings,
        clock: Clock,
        deliver: Callable[[Sequence[Completion]], None],
        *,
        observe_batch: ObserveBatch | None = None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._deliver = deliver
        self._observe_batch = observe_batch
        self._loop = asyncio.get_running_loop()
        self._cost = LearnedCost(settings.cost_quantile)
        self._dispatch = Dispatch(
            settings,
            engine.efforts,
            self._cost,
            # Where the model was compiled with a strategy of its own; see Optimizer.
            strategy=getattr(engine, "batch_strategy", DYNAMIC_PRIORITY),
        )
        self._runner = ModelRunner(engine, clock, done=self._done_on_device, died=self._died)
        self._timer: asyncio.TimerHandle | None = None
        self._stepping: asyncio.Handle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._overfilled = 0
        self._started = self._closed = False
        self.failure: asyncio.Future[None] = self._loop.create_future()
        """Fails when the device can run no more; cancelled by :meth:`close`."""

    async def start(self, warmup: Sequence[Encoded] = ()) -> None:
        """Measure what batches cost and start the device thread.

        Args:
            warmup: Examples to measure with; lengths as they will occur are best. Without any,
                costs are learned from the first batches.

        Raises:
            EngineError: The engine fails on the examples.
        """
        self._runner.start()
        if warmup:
            await self._on_device(
                lambda: warm_up(self._engine, warmup, self._settings, self._clock, self._cost)
            )
        self._started = True
        self._kick()

    def offer(self, works: Sequence[Work]) -> None:
        """Admit works; those offered when :attr:`full` are admitted too, and counted."""
        if self.full:
            self._overfilled += len(works)
        self._dispatch.admit(works, self._clock.monotonic())
        self._kick()

    @property
    def room_tokens(self) -> int:
        """Tokens that the queue still has room for."""
        return self._dispatch.queue.room_tokens

    @property
    def full(self) -> bool:
        """Whether the caller should stop offering."""
        return self.room_tokens == 0

    @property
    def has_room_again(self) -> bool:
        """Whether a caller that stopped should offer again: half of the room is free."""
        return 2 * self._dispatch.queue.tokens <= self._settings.max_queue_tokens

    @property
    def healthy(self) -> bool:
        """Whether the device can run batches."""
        return not self.failure.done() or self.failure.cancelled()

    def withdraw(self, predicate: Callable[[Work], bool]) -> list[Work]:
        """Take queued works back; what is running or prepared completes all the same."""
        withdrawn = self._dispatch.withdraw(predicate)
        self._kick()
        return withdrawn

    async def drain(self, timeout_s: float) -> bool:
        """Wait until all admitted works have completed; ``False`` if time ran out or it failed."""
        self._note_idle()
        idle = asyncio.create_task(self._wait_until_idle())
        try:
            await asyncio.wait(
                [idle, self.failure], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            idle.cancel()
        return self._dispatch.idle

    async def close(self) -> None:
        """Finish what the device was given, then end its thread; what is queued stays unanswered.

        Call :meth:`drain` or :meth:`withdraw` before to have it otherwise.
        """
        if self._closed:
            return
        self._closed = True
        self._cancel_wake()
        if self._runner.alive:
            self._runner.stop()
            # After a failure nothing more can be hoped for from the thread.
            patience_s = self._settings.device_timeout_ms / 1e3 if self.healthy else 0.0
            await asyncio.to_thread(self._runner.join, patience_s)
            await asyncio.sleep(0)  # lets the last results through
        if not self.failure.cancel() and not self.failure.cancelled():
            self.failure.exception()  # seen: an unread exception would be logged as lost

    def snapshot(self) -> Snapshot:
        """Return the state for metrics."""
        flights, queue = self._dispatch.flights, self._dispatch.queue
        running = flights[0] if flights else None
        free_at = None
        if running is not None and running.started is not None:
            free_at = running.started + running.batch.expected_s
        return Snapshot(
            queued_works=len(queue),
            queued_tokens=queue.tokens,
            running_works=len(running.works) if running else 0,
            prepared_works=len(flights[1].works) if len(flights) > 1 else 0,
            expected_free_at=free_at,
            overfilled_works=self._overfilled,
            costs=self._cost.known(),
        )

    async def _on_device(self, task: Callable[[], None]) -> None:
        """Run something on the device thread, which is the engine's own, and wait for its end."""
        ended: asyncio.Future[None] = self._loop.create_future()

        def attempt() -> None:
            try:
                task()
            except Exception as error:  # noqa: BLE001 - raised again where it is waited for
                self._from_device(ended.set_exception, error)
            else:
                self._from_device(ended.set_result, None)

        self._runner.call(attempt)
        await asyncio.wait([ended, self.failure], return_when=asyncio.FIRST_COMPLETED)
        await (ended if ended.done() else self.failure)

    def _kick(self) -> None:
        """Decide once this turn of the loop is over, when all that arrived with it is here."""
        self._note_idle()
        if self._started and self._stepping is None:
            self._stepping = self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._cancel_wake()
        if self._closed or not self.healthy:
            return
        try:
            self._step_until_settled()
        except Exception as error:  # noqa: BLE001 - in a callback it would only be logged
            self._fail(error)

    def _step_until_settled(self) -> None:
        flight: Flight | None
        while True:
            now = self._clock.monotonic()
            decision, flight = self._dispatch.step(now)
            if flight is not None:
                self._runner.submit([work.encoded for work in flight.works], flight.batch.effort)
            if decision.shed:
                self._deliver([_shed(shed, now) for shed in decision.shed])
            if flight is None:
                break
        self._note_idle()
        self._wake(decision.wake_at, now)

    def _wake(self, wake_at: float | None, now: float) -> None:
        """Set the one timer: for the next decision, or for a device that hangs."""
        flights = self._dispatch.flights
        if flights and flights[0].started is not None:
            timeout_at = flights[0].started + self._settings.device_timeout_ms / 1e3
            if now >= timeout_at:
                self._fail(
                    EngineError(
                        f"the model has been running one batch for {now - flights[0].started:.0f} "
                        "s; it hangs, or scheduler.device_timeout_ms is too small for it"
                    )
                )
                return
            wake_at = timeout_at if wake_at is None else min(wake_at, timeout_at)
        if wake_at is not None:
            self._timer = self._loop.call_later(max(0.0, wake_at - now), self._step)

    def _cancel_wake(self) -> None:
        for handle in (self._timer, self._stepping):
            if handle is not None:
                handle.cancel()
        self._timer = self._stepping = None

    def _done_on_device(self, job: Job) -> None:
        self._from_device(self._landed, job)

    def _died(self, error: BaseException) -> None:
        failure = EngineError(f"the device thread ended: {error!r}; restart the worker")
        failure.__cause__ = error
        self._from_device(self._fail, failure)

    def _from_device(self, callback: Callable[..., None], argument: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever would care
            self._loop.call_soon_threadsafe(callback, argument)

    def _landed(self, job: Job) -> None:
        try:
            ended = job.started + job.seconds
            flight = self._dispatch.land(job.seconds if job.clean else None, ended)
            # The device first: it may be idle, while the results can wait for some microseconds.
            self._step()
            self._deliver(_completions(flight, job))
            if self._observe_batch is not None:
                batch = flight.batch
                self._observe_batch(len(flight.works), batch.tokens, job.seconds, batch.effort.name)
        except Exception as error:  # noqa: BLE001 - as in _step
            self._fail(error)
        self._note_idle()

    async def _wait_until_idle(self) -> None:
        await self._idle.wait()

    def _note_idle(self) -> None:
        if self._dispatch.idle:
            self._idle.set()
        else:
            self._idle.clear()

    def _fail(self, error: Exception) -> None:
        self._cancel_wake()
        if not self.failure.done():
            self.failure.set_exception(error)


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
