"""How many events the demo sends ahead of their answers."""

import asyncio

import pytest

from schemas.errors import EngineError
from streams.demo.window import FIRST, LEAST, AnswerWindow


def feed(window: AnswerWindow, latency_ms: float, answers: int) -> None:
    """Answer that often, each in the same time."""
    for _ in range(answers):
        window.answered(latency_ms, 100.0)


def test_quick_answers_widen_the_window() -> None:
    """Well below the budget there is room for more."""
    window = AnswerWindow()
    before = window.size
    feed(window, 10.0, 200)
    assert window.size > before


def test_slow_answers_narrow_it_once_per_window_and_never_to_nothing() -> None:
    """One slow batch is one sign, however many answers it has; progress never ends."""
    window = AnswerWindow()
    before = window.size
    feed(window, 500.0, 2)
    assert window.size < before
    assert window.size > before / 2
    feed(window, 500.0, 10_000)
    assert window.size == LEAST


def test_dead_letters_teach_nothing() -> None:
    """They give room back and leave the size."""
    window = AnswerWindow()
    before = window.size
    window.answered(None, 1.0)
    assert window.size == before


async def test_a_full_window_waits_for_an_answer() -> None:
    """The next event enters when an earlier one is answered, not before."""
    window = AnswerWindow()
    for _ in range(int(window.size)):
        await window.enter()
    entering = asyncio.create_task(window.enter())
    await asyncio.sleep(0)
    assert not entering.done()
    window.answered(None, 1.0)
    await asyncio.wait_for(entering, 30)


async def test_a_full_window_does_not_wait_for_ever() -> None:
    """Where no answer comes at all, the sending ends with how many wait."""
    window = AnswerWindow(silence_s=0.01)
    for _ in range(FIRST):
        await window.enter()
    with pytest.raises(EngineError, match=f"{FIRST} events are on their way and no answer"):
        await window.enter()
