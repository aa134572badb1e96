"""What must not be broken off half-way."""

import asyncio

import pytest

from streams.clients import undisturbed


async def test_a_cancellation_waits_for_what_has_begun() -> None:
    """It comes through then all the same."""
    begun, may_end = asyncio.Event(), asyncio.Event()
    done = []

    async def work() -> None:
        begun.set()
        await may_end.wait()
        done.append("done")

    task = asyncio.create_task(undisturbed(work()))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["done"]


async def test_results_and_errors_come_through() -> None:
    """As if there was nothing between."""

    async def answer(value: int) -> int:
        if value < 0:
            raise ValueError(value)
        return value

    assert await undisturbed(answer(3)) == 3
    with pytest.raises(ValueError, match="-1"):
        await undisturbed(answer(-1))
