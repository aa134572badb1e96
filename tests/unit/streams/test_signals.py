"""SIGTERM and Ctrl-C ask for a stop."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from streams.signals import on_stop_signals


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Give pytest its own handlers back."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_calls_on_the_event_loop_each_time(number: signal.Signals) -> None:
    """An impatient second signal does no harm."""
    calls: list[bool] = []
    on_stop_signals(lambda: calls.append(bool(asyncio.get_running_loop())))
    for count in (1, 2):
        os.kill(os.getpid(), number)
        async with asyncio.timeout(30):
            while len(calls) < count:  # noqa: ASYNC110 - the kernel sets no event of ours
                await asyncio.sleep(0.001)
    assert calls == [True, True]
