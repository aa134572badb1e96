"""One device thread: in order, and a bad neighbour harms no one."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from inference.engine import EffortLevel, Prediction
from inference.runner import Job, ModelRunner
from schemas.errors import EngineError
from tests.fakes.clock import ManualClock
from tests.fakes.engine import EFFORTS, DeviceDiedError, FakeEngine, Poison, encode_words

FULL = EFFORTS[0]
PATIENCE_S = 10.0


class Device:
    """A runner whose jobs and deaths can be waited for.

    Attributes:
        jobs: Those that are done, in order.
        death: What ended the thread.
    """

    def __init__(self, engine: FakeEngine, clock: ManualClock | None = None) -> None:
        self.jobs: list[Job] = []
        self.death: BaseException | None = None
        self._news = threading.Semaphore(0)
        self.engine = engine
        self.runner = ModelRunner(clock or ManualClock(), done=self._done, died=self._died)

    def run(self, *texts: str, effort: EffortLevel = FULL) -> Job:
        """Run one batch to its end."""
        job = self.runner.submit(
            self.engine, [encode_words(text.split()) for text in texts], effort
        )
        self.wait()
        return job

    def wait(self) -> None:
        """Wait for the next job to be done, or for the thread's death."""
        assert self._news.acquire(timeout=PATIENCE_S)

    def _done(self, job: Job) -> None:
        self.jobs.append(job)
        self._news.release()

    def _died(self, error: BaseException) -> None:
        self.death = error
        self._news.release()


@contextmanager
def device(engine: FakeEngine, clock: ManualClock | None = None) -> Iterator[Device]:
    """Yield a device that runs, and end its thread."""
    opened = Device(engine, clock)
    opened.runner.start()
    try:
        yield opened
    finally:
        opened.runner.stop()
        opened.runner.join(PATIENCE_S)
        assert not opened.runner.alive


def answers(engine: FakeEngine, *texts: str) -> list[Prediction]:
    """Return what the engine says of each text alone."""
    return [engine.answer(encode_words(text.split()).data, FULL) for text in texts]


def test_a_batch_is_answered_in_order() -> None:
    """One outcome for each event, and the effort is the engine's."""
    engine = FakeEngine()
    with device(engine) as opened:
        job = opened.run("tides rise", "locks close early", effort=EFFORTS[1])
    assert job.outcomes == [engine.answer(one.data, EFFORTS[1]) for one in job.encoded]
    assert job.clean
    assert engine.batches == [(2, 5, "early_exit")]


def test_time_is_taken_on_the_clock_given() -> None:
    """From the start on the device to its end; waiting in the slot is not part of it."""
    clock = ManualClock()
    engine = FakeEngine(cost=lambda tokens, events, effort: 0.25, spend=clock.advance)  # noqa: ARG005
    with device(engine, clock) as opened:
        started = clock.monotonic()
        first, second = opened.run("one"), opened.run("two")
    assert (first.started, first.seconds) == (started, 0.25)
    assert (second.started, second.seconds) == (started + 0.25, 0.25)


def test_a_batch_is_prepared_while_another_runs() -> None:
    """Preparing is done by whoever submits; the device thread finds the batch ready."""
    engine = FakeEngine()
    engine.hold()
    with device(engine) as opened:
        opened.runner.submit(engine, [encode_words(["first"])], FULL)
        assert engine.wait_until_held()
        second = opened.runner.submit(engine, [encode_words(["second"])], FULL)
        assert second.prepared == (second.encoded[0].data,)
        assert not opened.jobs
        engine.release()
        opened.wait()
        opened.wait()
    assert opened.jobs[1] is second
    assert second.prepared is None  # what was prepared is let go


def test_other_tasks_run_on_the_same_thread_in_turn() -> None:
    """An engine may be bound to its thread, so its warm-up happens there."""
    seen: list[str] = []
    with device(FakeEngine()) as opened:
        opened.runner.call(lambda: seen.append(threading.current_thread().name))
        opened.run("after it")
        assert seen == ["headrace-device"]


@pytest.mark.parametrize(
    "poison", [Poison(), Poison(in_prepare=True), Poison("nan"), Poison("short")]
)
@pytest.mark.parametrize("place", range(5))
def test_only_the_culprit_errs(poison: Poison, place: int) -> None:
    """Whatever it does and wherever it stands, its neighbours get their own answers."""
    engine = FakeEngine(poison=poison)
    texts = [f"word{number} common" for number in range(5)]
    expected: list[Prediction | None] = [*answers(engine, *texts)]
    texts[place], expected[place] = "a poison pill", None
    with device(engine) as opened:
        job = opened.run(*texts)
    healthy = [one if isinstance(one, Prediction) else None for one in job.outcomes]
    assert healthy == expected
    assert isinstance(job.outcomes[place], EngineError if poison.kind != "raise" else RuntimeError)
    assert not job.clean


@pytest.mark.parametrize(
    "poison",
    [Poison("nan"), Poison(error=MemoryError), Poison(error=torch.OutOfMemoryError)],
    ids=["nan", "memory", "card"],
)
def test_one_of_32_leaves_31_answers(poison: Poison) -> None:
    """A row that is no number, or an event that needs more memory than there is."""
    engine = FakeEngine(poison=poison)
    texts = [f"word{number} common" for number in range(32)]
    texts[19] = "a poison pill"
    with device(engine) as opened:
        job = opened.run(*texts)
        failed = [number for number, one in enumerate(job.outcomes) if isinstance(one, Exception)]
        assert failed == [19]
        del texts[19], job.outcomes[19]
        assert job.outcomes == answers(engine, *texts)
        assert opened.run("next").outcomes == answers(engine, "next")


def test_a_batch_that_needs_too_much_memory_is_answered_in_parts() -> None:
    """None of its events is to blame."""
    engine = FlakyEngine(most=8)
    texts = [f"word{number}" for number in range(32)]
    with device(engine) as opened:
        job = opened.run(*texts)
    assert job.outcomes == answers(engine, *texts)


def test_two_culprits_are_both_found() -> None:
    """Halving goes on in both halves."""
    engine = FakeEngine()
    with device(engine) as opened:
        job = opened.run("poison", "fine", "well", "poison", "poison", "good", "sound")
    failed = [number for number, one in enumerate(job.outcomes) if isinstance(one, Exception)]
    assert failed == [0, 3, 4]


def test_looking_for_a_culprit_is_quick() -> None:
    """One among 64 costs two runs for each halving, not one for each event."""
    engine = FakeEngine()
    with device(engine) as opened:
        opened.run(*["fine"] * 40, "poison", *["fine"] * 23)
    assert len(engine.batches) == 1 + 2 * 6


def test_a_single_event_that_fails_runs_once() -> None:
    """There is nobody else to suspect."""
    engine = FakeEngine()
    with device(engine) as opened:
        job = opened.run("poison")
    assert isinstance(job.outcomes[0], RuntimeError)
    assert len(engine.batches) == 1


def test_an_error_that_does_not_come_back_harms_nobody() -> None:
    """A batch that fails as a whole but not in halves has no culprit."""
    engine = FlakyEngine(failures=1)
    with device(engine) as opened:
        job = opened.run("one", "two")
    assert job.outcomes == answers(engine, "one", "two")
    assert not job.clean


def test_an_answer_of_the_wrong_length_names_both_numbers() -> None:
    """Scores must never be handed to the event next to theirs."""
    with device(FakeEngine(poison=Poison("short"))) as opened:
        job = opened.run("poison")
    with pytest.raises(EngineError, match="0 predictions for 1 events"):
        raise_(job.outcomes[0])


@pytest.mark.parametrize("scores", [(math.nan, 0.5), (math.inf, 0.5), (math.inf, -math.inf)])
def test_scores_that_are_no_numbers_are_an_error(scores: tuple[float, ...]) -> None:
    """They would be published as if they meant something."""
    engine = FlakyEngine(alter=lambda _: Prediction(scores, 1.0, 1, 1))
    with device(engine) as opened:
        job = opened.run("one")
    with pytest.raises(EngineError, match="no probabilities"):
        raise_(job.outcomes[0])


def test_the_thread_outlives_failures() -> None:
    """The batch after a poisoned one runs as if nothing had been."""
    engine = FakeEngine()
    with device(engine) as opened:
        opened.run("poison", "fine")
        assert opened.run("next").outcomes == answers(engine, "next")


def test_a_thread_that_dies_is_told_of() -> None:
    """What no handler of exceptions catches would otherwise leave the worker waiting for ever."""
    with device(FakeEngine(poison=Poison("die"))) as opened:
        opened.run("poison")
        assert isinstance(opened.death, DeviceDiedError)
        assert opened.jobs == []


def test_a_receiver_that_raises_is_told_of_too() -> None:
    """A result that could not be handed over is lost, so the worker must not go on."""
    deaths: list[BaseException] = []
    died = threading.Event()

    def refuse(job: Job) -> None:
        raise ValueError(len(job.outcomes))

    def note(error: BaseException) -> None:
        deaths.append(error)
        died.set()

    runner = ModelRunner(ManualClock(), done=refuse, died=note)
    runner.start()
    runner.submit(FakeEngine(), [encode_words(["one"])], FULL)
    assert died.wait(PATIENCE_S)
    assert isinstance(deaths[0], ValueError)
    runner.join(PATIENCE_S)


def test_a_stop_lets_what_was_submitted_finish() -> None:
    """The thread ends after the last batch in the slot."""
    engine = FakeEngine()
    engine.hold()
    with device(engine) as opened:
        for text in ("one", "two"):
            opened.runner.submit(engine, [encode_words([text])], FULL)
        opened.runner.stop()
        engine.release()
        opened.runner.join(PATIENCE_S)
        assert len(opened.jobs) == 2


class FlakyEngine(FakeEngine):
    """Fails its first runs whatever is in them, and large batches; or alters every answer."""

    def __init__(
        self,
        *,
        failures: int = 0,
        most: int = 64,
        alter: Callable[[Prediction], Prediction] = lambda prediction: prediction,
    ) -> None:
        super().__init__()
        self._failures = failures
        self._most = most
        self._alter = alter

    def run(self, prepared: tuple[tuple[int, ...], ...], effort: EffortLevel) -> list[Prediction]:
        """Answer, unless it is to fail."""
        predictions = [self._alter(one) for one in super().run(prepared, effort)]
        if len(prepared) > self._most:
            raise MemoryError
        if self._failures:
            self._failures -= 1
            raise MemoryError
        return predictions


def raise_(outcome: Prediction | Exception) -> None:
    """Raise an outcome that is an error."""
    if isinstance(outcome, Exception):
        raise outcome
