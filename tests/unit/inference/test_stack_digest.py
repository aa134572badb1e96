"""Equal crashes have one digest, others have others."""

from collections.abc import Callable

import pytest

from inference.clock import SystemClock
from inference.runner import Job, ModelRunner
from inference.stack_digest import frames_of, stack_digest
from tests.fakes.engine import EFFORTS, FakeEngine, Poison, encode_words


def caught(call: Callable[[], object]) -> BaseException:
    """Return what a call raises."""
    with pytest.raises(BaseException) as raised:  # noqa: PT011 - of whatever kind
        call()
    return raised.value


def read(text: str) -> int:
    """Fail in a function of this module."""
    return int(text)


def look(text: str) -> int:
    """Fail in another."""
    return int(text)


def wrapped(text: str) -> int:
    """Fail with an error of its own that says why."""
    try:
        return read(text)
    except ValueError as error:
        raise RuntimeError(text) from error


def test_the_event_makes_no_difference() -> None:
    """The message names it, so messages don't count."""
    assert stack_digest(caught(lambda: read("a"))) == stack_digest(caught(lambda: read("b")))
    assert len(stack_digest(caught(lambda: read("a")))) == 12


def test_the_place_and_the_kind_do() -> None:
    """Another function, another exception, another cause."""
    found = {
        stack_digest(caught(call))
        for call in (
            lambda: read("a"),
            lambda: look("a"),
            lambda: read(None),  # type: ignore[arg-type]
            lambda: wrapped("a"),
            lambda: wrapped(None),  # type: ignore[arg-type]
        )
    }
    assert len(found) == 5


@pytest.mark.parametrize("in_prepare", [False, True])
def test_how_the_culprit_was_found_makes_no_difference(*, in_prepare: bool) -> None:
    """Alone in its batch, or the last of many halves."""
    engine = FakeEngine(poison=Poison(in_prepare=in_prepare))
    digests = set()
    for neighbours in (0, 1, 6):
        words = [["fine"]] * neighbours + [["poison"]]
        (error,) = errors_of(engine, words)
        digests.add(stack_digest(error))
    assert len(digests) == 1


def test_a_failure_of_the_check_itself_has_its_place() -> None:
    """Scores that are no numbers are found by the runner, not raised by the engine."""
    (error,) = errors_of(FakeEngine(poison=Poison("nan")), [["poison"]])
    assert frames_of(error.__traceback__) == ["inference.runner:checked"]


def errors_of(engine: FakeEngine, words: list[list[str]]) -> list[Exception]:
    """Run a batch as the device thread does; return what its events failed with."""
    runner = ModelRunner(SystemClock(), done=lambda _: None, died=lambda _: None)
    job: Job = runner.submit(engine, [encode_words(each) for each in words], EFFORTS[0])
    runner._run(job)
    return [one for one in job.outcomes if isinstance(one, Exception)]
