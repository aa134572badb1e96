"""Silence is noticed when it has lasted, as often as it lasts, and not while it is broken."""

import asyncio

from streams.gateway.silence import Silence

MOST_S = 0.05


async def test_it_is_noticed_again_and_again() -> None:
    """Until nobody watches any more."""
    noticed = 0
    thrice = asyncio.Event()

    def notice() -> None:
        nonlocal noticed
        noticed += 1
        if noticed == 3:
            thrice.set()

    loop = asyncio.get_running_loop()
    began = loop.time()
    with Silence(MOST_S, notice).watched():
        await asyncio.wait_for(thrice.wait(), 30)
    assert loop.time() - began >= 3 * MOST_S * 0.99
    handled = asyncio.Event()
    loop.call_later(2 * MOST_S, handled.set)
    await handled.wait()
    assert noticed == 3


async def test_what_is_written_breaks_it() -> None:
    """It is noticed only as long after the last time."""
    loop = asyncio.get_running_loop()
    noticed = asyncio.Event()
    silence = Silence(MOST_S, noticed.set)
    with silence.watched():
        for step in range(1, 5):
            loop.call_later(MOST_S / 2 * step, silence.broken)
        last = loop.time() + MOST_S / 2 * 4
        await asyncio.wait_for(noticed.wait(), 30)
    assert loop.time() >= last + MOST_S * 0.99
