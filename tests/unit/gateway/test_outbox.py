"""What waits for a connection is bounded, and leaves in order and together."""

import asyncio

import pytest

from streams.gateway.outbox import BATCH_BYTES, Outbox


async def test_frames_leave_in_order_and_together() -> None:
    """One write for all that came meanwhile."""
    outbox = Outbox(10, 1_000)
    assert all(outbox.put(frame) for frame in (b"a", b"b", b"c"))
    assert await outbox.take() == [b"a", b"b", b"c"]
    assert outbox.is_idle


async def test_a_large_backlog_leaves_in_parts() -> None:
    """So that what is being written counts little beside what waits."""
    outbox = Outbox(10, BATCH_BYTES * 4)
    for _ in range(4):
        assert outbox.put(b"x" * (BATCH_BYTES // 2))
    assert len(await outbox.take()) == 2
    assert len(await outbox.take()) == 2


@pytest.mark.parametrize(("most_events", "most_bytes"), [(3, 1_000), (1_000, 30)])
async def test_too_many_or_too_large_frames_end_it(most_events: int, most_bytes: int) -> None:
    """Told once; what waited is given up, for the client gets it when it resumes."""
    outbox = Outbox(most_events, most_bytes)
    assert [outbox.put(b"x" * 10) for _ in range(5)] == [True, True, True, False, True]
    with pytest.raises(ConnectionResetError):
        await outbox.take()


async def test_a_frame_larger_than_all_that_may_wait_goes_alone() -> None:
    """It would never fit otherwise."""
    outbox = Outbox(10, 5)
    assert outbox.put(b"x" * 10)
    assert await outbox.take() == [b"x" * 10]
    assert outbox.put(b"x" * 10)
    assert not outbox.put(b"y")


async def test_readers_of_backlogs_wait_until_it_is_half_empty() -> None:
    """What is new finds room besides."""
    outbox = Outbox(4, 1_000)
    for _ in range(3):
        outbox.put(b"x")
    waiting = asyncio.create_task(outbox.until_half_empty())
    await asyncio.sleep(0)
    assert not waiting.done()
    await outbox.take()
    await asyncio.wait_for(waiting, 5)


async def test_an_end_wakes_whoever_waits() -> None:
    """For frames, or for room."""
    outbox = Outbox(1, 1_000)
    taking = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    outbox.end()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(taking, 5)
    await asyncio.wait_for(outbox.until_half_empty(), 5)
