"""The device thread: one batch running, one prepared, and nobody harmed by a bad neighbour."""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from inference.clock import Clock
from inference.engine import EffortLevel, Encoded, Engine, Prediction
from schemas.errors import EngineError

Outcome = Prediction | Exception
"""What became of one event of a batch."""


@dataclass(slots=True, eq=False)
class Job:
    """A batch on its way through the device.

    Attributes:
        engine: What runs it.
        encoded: In order.
        prepared: What the engine made of them; meaningless if ``prepare_error`` is set.
        outcomes: One per event once the job is done.
        started: Monotonic seconds.
        seconds: Run time, including that of looking for culprits.
        clean: The batch ran as a whole; its time says what such a batch costs.
    """

    engine: Engine
    encoded: Sequence[Encoded]
    effort: EffortLevel
    prepared: Any = None
    prepare_error: Exception | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    started: float = 0.0
    seconds: float = 0.0
    clean: bool = True


class ModelRunner:
    """Runs batches one after the other, of whatever engine, on a thread of its own.

    Args:
        done: Called on the device thread with each finished job.
        died: Called on the device thread when something other than an ``Exception`` ends it.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        done: Callable[[Job], None],
        died: Callable[[BaseException], None],
    ) -> None:
        self._clock = clock
        self._done = done
        self._died = died
        self._slot: SimpleQueue[Job | Callable[[], None] | None] = SimpleQueue()
        # A daemon: an engine that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._serve, name="headrace-device", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def call(self, task: Callable[[], None]) -> None:
        """Run something other than a batch on the thread."""
        self._slot.put(task)

    def stop(self) -> None:
        """Let the thread end once it has finished what it was given."""
        self._slot.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait for the thread's end, but no longer than this."""
        self._thread.join(timeout_s)

    def submit(self, engine: Engine, encoded: Sequence[Encoded], effort: EffortLevel) -> Job:
        """Prepare a batch on the caller's thread and put it into the slot."""
        job = Job(engine, encoded, effort)
        try:
            job.prepared = engine.prepare(encoded)
        except Exception as error:  # noqa: BLE001 - the culprit is found on the device thread
            job.prepare_error = error
        self._slot.put(job)
        return job

    def _serve(self) -> None:
        try:
            while (job := self._slot.get()) is not None:
                if isinstance(job, Job):
                    self._run(job)
                    self._done(job)
                else:
                    job()
        except BaseException as error:  # noqa: BLE001 - a thread that dies unheard hangs the worker
            self._died(error)

    def _run(self, job: Job) -> None:
        job.started = self._clock.monotonic()
        try:
            if job.prepare_error is not None:
                raise job.prepare_error  # noqa: TRY301 - one path for both kinds of failure
            job.outcomes.extend(checked(job.engine, job.prepared, job.effort, len(job.encoded)))
        except Exception as error:  # noqa: BLE001 - whatever the model raises, its neighbours live
            job.clean = False
            job.outcomes.extend(_bisect(job, job.encoded, error))
        job.prepared = None
        job.seconds = self._clock.monotonic() - job.started


def _bisect(job: Job, encoded: Sequence[Encoded], error: Exception) -> list[Outcome]:
    """Return an outcome per event of a part of a job that failed with ``error``."""
    if len(encoded) == 1:
        return [error]
    middle = len(encoded) // 2
    outcomes: list[Outcome] = []
    for half in (encoded[:middle], encoded[middle:]):
        try:
            outcomes.extend(_prepared_and_checked(job, half))
        except Exception as of_half:  # noqa: BLE001 - as above
            outcomes.extend(_bisect(job, half, of_half))
    return outcomes


def _prepared_and_checked(job: Job, encoded: Sequence[Encoded]) -> list[Prediction]:
    return checked(job.engine, job.engine.prepare(encoded), job.effort, len(encoded))


def checked(engine: Engine, prepared: Any, effort: EffortLevel, events: int) -> list[Prediction]:
    """Run a batch and distrust the answer.

    Raises:
        EngineError: Not one prediction per event, or a score that is no number.
    """
    predictions = engine.run(prepared, effort)
    if len(predictions) != events:
        raise EngineError(
            f"the model gave {len(predictions)} predictions for {events} events; "
            "an engine must return one per event, in order"
        )
    for prediction in predictions:
        if not all(map(math.isfinite, prediction.scores)):
            raise EngineError(
                f"the model gave scores that are no probabilities: {prediction.scores}; "
                "the event's input overflows the model"
            )
    return predictions
