"""Single events are tried in a process that may die of them, and often does."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from inference.engine import Engine, Prediction
from inference.trial import CrashedError, TrialError, Trials
from schemas.errors import EngineError
from tests.fakes.crashing_engine import CrashingEngine, Text
from tests.fakes.engine import EFFORTS, encode_words


def no_model() -> Engine:
    """Fail to load."""
    raise EngineError("the weights are damaged")


def no_memory() -> Engine:
    """Die while loading."""
    os._exit(9)


@pytest.fixture
def trials() -> Iterator[Trials]:
    """Return a child that is patient for two seconds."""
    opened = Trials(CrashingEngine, timeout_s=2.0)
    yield opened
    opened.close()


def test_a_healthy_event_gets_the_answer_that_it_would_have_had(trials: Trials) -> None:
    """The same engine, at full effort; one child for all of them."""
    for text in ("tides rise", "locks close"):
        answer = trials.attempt(Text(text), deaths=1)
        assert answer == CrashingEngine().answer(encode_words(text.split()).data, EFFORTS[0])


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("a segfault here", "died of SIGSEGV in ctypes.__init__:string_at, after 2"),
        ("a killed one", "died of SIGKILL, after 2"),
        ("an endless one", "gave no answer within 2 s, after 2"),
    ],
)
def test_an_event_that_a_process_dies_of_is_told_apart(trials: Trials, text: str, how: str) -> None:
    """By what it died of and where, with all deaths counted; the next event is answered."""
    crash = trials.attempt(Text(text), deaths=2)
    assert isinstance(crash, CrashedError)
    assert how in str(crash)
    assert crash.attempts == 3
    assert isinstance(trials.attempt(Text("fine"), deaths=1), Prediction)


def test_equal_crashes_have_equal_digests(trials: Trials) -> None:
    """Whatever else the events say."""
    crashes = [
        trials.attempt(Text(text), deaths=1)
        for text in ("segfault one", "segfault other", "killed one")
    ]
    digests = [one.stack_digest for one in crashes if isinstance(one, CrashedError)]
    assert len(digests) == 3
    assert digests[0] == digests[1] != digests[2]


def test_an_exception_is_no_crash(trials: Trials) -> None:
    """It is what the event would have failed with anyhow, and the child lives on."""
    failed = trials.attempt(Text("a poison pill"), deaths=1)
    assert isinstance(failed, EngineError)
    assert not isinstance(failed, CrashedError)
    assert str(failed) == "poison"
    assert len(failed.stack_digest) == 12  # type: ignore[attr-defined]


@pytest.mark.parametrize(("load", "why"), [(no_model, "are damaged"), (no_memory, "exit code 9")])
def test_a_child_that_cannot_load_blames_no_event(load: type[Engine], why: str) -> None:
    """Somebody has to look after the machine, not after the event."""
    opened = Trials(load, timeout_s=2.0)
    with pytest.raises(TrialError, match=why):
        opened.attempt(Text("fine"), deaths=1)


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.2, 1.0])
def test_closing_ends_an_attempt_at_once(after_s: float) -> None:
    """Whether the child is being started, loads, or works; the event is not to blame."""
    trials = Trials(CrashingEngine, timeout_s=600.0)
    with ThreadPoolExecutor(1) as thread:
        attempt = thread.submit(trials.attempt, Text("an endless one"), deaths=1)
        time.sleep(after_s)
        trials.close()
        with pytest.raises(TrialError):
            attempt.result(timeout=20)
