"""The device thread and the one timer of a worker, shared by the schedulers of all its models."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from inference.batcher import Shed
from inference.clock import Clock
from inference.cost import LearnedCost
from inference.dispatch import Dispatch, Flight
from inference.engine import Engine
from inference.explaining import ScheduleObserver
from inference.failure import Failure
from inference.runner import Job, ModelRunner
from inference.shares import Share
from inference.turns import Turns
from inference.work import Work
from schemas.errors import EngineError


class Member(Protocol):
    """What a device asks of a scheduler."""

    engine: Engine
    dispatch: Dispatch
    share: Share | None

    def deliver_shed(self, shed: Sequence[Shed], now: float) -> None:
        """Complete works that will not run."""
        ...

    def deliver_ended(self, flight: Flight, job: Job) -> None:
        """Complete works that ran."""
        ...

    def note_idle(self) -> None:
        """Look whether anything is left to do."""
        ...


class WorkJournal(Protocol):
    """Is told what the engines are working on; see ``inference.journal``."""

    def enter(self, works: Sequence[Work]) -> int:
        """Note a batch before it is prepared; return what :meth:`leave` wants to know."""
        ...

    def leave(self, place: int) -> None:
        """Note that a batch has ended."""
        ...


class SharedDevice:
    """Runs the batches of several models, one after the other, on one thread.

    All methods belong to the event loop that it is made on. Nothing that the device thread does
    blocks that loop.

    Args:
        device_timeout_ms: A batch that runs longer makes the device fail.
        observer: Is told of every decision and batch.
        journal: Is told of every batch before it begins and after it has ended.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        device_timeout_ms: float,
        observer: ScheduleObserver | None = None,
        journal: WorkJournal | None = None,
    ) -> None:
        self._clock = clock
        self._journal = journal
        self._entered: deque[int] = deque()
        self._observer = observer
        self._timeout_s = device_timeout_ms / 1e3
        self._loop = asyncio.get_running_loop()
        self._runner = ModelRunner(clock, done=self._done_on_device, died=self._died)
        self.turns = Turns()
        self._members: dict[Dispatch, Member] = {}
        self._costs: dict[int, tuple[Engine, LearnedCost]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._hang_timer: asyncio.TimerHandle | None = None
        self._stepping: asyncio.Handle | None = None
        self._started = self._closed = False
        self._failure = Failure()
        self.failure = self._failure.future
        """Fails when the device can run no more; cancelled by :meth:`close`."""

    @property
    def healthy(self) -> bool:
        """Whether batches can be run."""
        return not self.failure.done() or self.failure.cancelled()

    def cost_of(self, engine: Engine, quantile: float) -> tuple[LearnedCost, bool]:
        """Return what is known of an engine's costs, and whether this is the first to ask.

        Schedulers of one engine learn together.
        """
        known = self._costs.get(id(engine))
        if known is not None:
            return known[1], False
        cost = LearnedCost(quantile)
        self._costs[id(engine)] = engine, cost
        return cost, True

    def start(self) -> None:
        """Start the thread, unless it runs already."""
        if not self._started:
            self._started = True
            self._runner.start()

    def join(self, member: Member) -> None:
        """Run a scheduler's batches from now on."""
        self._members[member.dispatch] = member
        self.turns.join(member.dispatch, member.share)
        self.kick()

    async def leave(self, member: Member) -> None:
        """Form no more batches of a scheduler; the last one to leave closes the device."""
        self.turns.leave(member.dispatch)
        if not member.dispatch.flying:
            self._members.pop(member.dispatch, None)
        if not self.turns.dispatches:
            await self.close()

    async def run(self, task: Callable[[], None]) -> None:
        """Run something on the device thread, which is the engines' own, and wait for its end."""
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

    def kick(self) -> None:
        """Decide once this turn of the loop is over, when all that arrived with it is here."""
        if self._started and self._stepping is None:
            self._stepping = self._loop.call_soon(self._step)

    async def close(self) -> None:
        """Finish what the device was given, then end its thread."""
        if self._closed:
            return
        self._closed = True
        self._stop_timers()
        if self._runner.alive:
            self._runner.stop()
            # After a failure nothing more can be hoped for from the thread.
            patience_s = self._timeout_s if self.healthy else 0.0
            await asyncio.to_thread(self._runner.join, patience_s)
            await asyncio.sleep(0)  # lets the last results through
        self._failure.close()

    def _step(self) -> None:
        self._cancel_wake()
        if self._closed or not self.healthy:
            return
        try:
            self._step_until_settled()
        except Exception as error:  # noqa: BLE001 - in a callback it would only be logged
            self._fail(error)

    def _step_until_settled(self) -> None:
        while True:
            now = self._clock.monotonic()
            turn = self.turns.step(now)
            if self._observer is not None:
                self._observer.decided(turn, now)
            flight = turn.flight
            if flight is not None:
                engine = self._members[flight.owner].engine
                encoded = [work.encoded for work in flight.works]
                if self._journal is not None:
                    self._entered.append(self._journal.enter(flight.works))
                self._runner.submit(engine, encoded, flight.batch.effort)
            for dispatch, member in self._members.items() if turn.shed else ():
                shed = [one for owner, one in turn.shed if owner is dispatch]
                if shed:
                    member.deliver_shed(shed, now)
            if flight is None:
                break
        for member in self._members.values():
            member.note_idle()
        self._wake(turn.wake_at, now)

    def _wake(self, wake_at: float | None, now: float) -> None:
        """Set the timers: for the next decision, and for a device that hangs."""
        if wake_at is not None:
            self._timer = self._loop.call_later(max(0.0, wake_at - now), self._step)
        if self._hang_timer is None and self.turns.flights:
            # Stays for many batches: to set one for each would cost as much as deciding.
            self._hang_timer = self._loop.call_later(self._timeout_s, self._look_for_hang)

    def _look_for_hang(self) -> None:
        """Fail if the running batch has taken too long; else look again when it would have."""
        self._hang_timer = None
        flights = self.turns.flights
        if self._closed or not self.healthy or not flights or flights[0].started is None:
            return
        running_s = self._clock.monotonic() - flights[0].started
        if running_s < self._timeout_s:
            left_s = self._timeout_s - running_s
            self._hang_timer = self._loop.call_later(left_s, self._look_for_hang)
            return
        self._fail(
            EngineError(
                f"the model has been running one batch for {running_s:.0f} s; it hangs, or "
                "scheduler.device_timeout_ms is too small for it"
            )
        )

    def _stop_timers(self) -> None:
        self._cancel_wake()
        if self._hang_timer is not None:
            self._hang_timer.cancel()
            self._hang_timer = None

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
            if self._journal is not None:
                self._journal.leave(self._entered.popleft())
            flight = self.turns.land(job.seconds if job.clean else None, job.started + job.seconds)
            if self._observer is not None:
                self._observer.landed(flight, job.seconds)
            # The device first: it may be idle, while the results can wait for some microseconds.
            self._step()
            member = self._members[flight.owner]
            member.deliver_ended(flight, job)
            member.note_idle()
        except Exception as error:  # noqa: BLE001 - as in _step
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._stop_timers()
        self._failure.fail(error)
