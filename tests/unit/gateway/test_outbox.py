"""What waits for a connection is bounded, and leaves in order and together."""

import asyncio
from typing import Any

import pytest

from streams.gateway.outbox import BATCH_BYTES, Outbox


async def test_frames_leave_in_order_and_together() -> None:
    """One write for all that came meanwhile."""
    outbox = Outbox(10, 1_000)
    assert all(outbox.put(frame) for frame in (b"a", b"b", b"c"))
    assert await outbox.take() == b"abc"
    assert outbox.is_idle


async def test_a_large_backlog_leaves_in_parts() -> None:
    """So that what is being written counts little beside what waits."""
    outbox = Outbox(10, BATCH_BYTES * 4)
    for _ in range(4):
        assert outbox.put(b"x" * (BATCH_BYTES // 2))
    assert len(await outbox.take()) == BATCH_BYTES
    assert len(await outbox.take()) == BATCH_BYTES


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
    assert await outbox.take() == b"x" * 10
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
    await asyncio.wait_for(waiting, 30)


async def test_what_is_for_all_goes_between_what_is_for_one() -> None:
    """In order; only what is for this connection alone is put together for it."""
    outbox = Outbox(10, 1_000, lambda frames: b"<%b>" % b"".join(frames))
    assert outbox.put(b"a")
    assert outbox.put(b"b")
    assert outbox.put_packed(b"[cd]", 2)
    assert outbox.put(b"e")
    assert await outbox.take() == b"<ab>[cd]<e>"


async def test_events_count_that_are_put_together() -> None:
    """As if each waited by itself."""
    outbox = Outbox(3, 1_000)
    assert outbox.put_packed(b"ab", 2)
    assert outbox.put(b"c")
    assert not outbox.put_packed(b"de", 2)


class Pipe(asyncio.Transport):
    """A connection of which the system takes nothing, or everything at once."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_full = False
        self.has_closed = False

    def write(self, data: Any) -> None:
        """Note it."""
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        """Return what the system did not take."""
        return 1 if self.is_full else 0

    def is_closing(self) -> bool:
        """Say whether it is over."""
        return self.has_closed


async def drained() -> None:
    """Wait for nothing."""


async def test_what_is_for_all_is_written_at_once_where_nothing_waits() -> None:
    """Otherwise in its turn, and to a connection that is gone not at all."""
    outbox, pipe = Outbox(10, 1_000), Pipe()
    writes = 0

    def wrote() -> None:
        nonlocal writes
        writes += 1

    assert outbox.put_packed(b"a", 1)
    writing = asyncio.create_task(outbox.write_to(pipe, drained, wrote))
    await asyncio.sleep(0)
    assert outbox.put_packed(b"b", 1)
    assert pipe.written == [b"a", b"b"]
    pipe.is_full = True
    for data in (b"c", b"d"):
        assert outbox.put_packed(data, 1)
    assert pipe.written == [b"a", b"b"]
    await asyncio.sleep(0)
    assert pipe.written == [b"a", b"b", b"cd"]
    assert writes == 3
    pipe.has_closed, pipe.is_full = True, False
    assert outbox.put_packed(b"e", 1)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(writing, 30)
    assert pipe.written == [b"a", b"b", b"cd"]


async def test_an_end_wakes_whoever_waits() -> None:
    """For frames, or for room."""
    outbox = Outbox(1, 1_000)
    taking = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    outbox.end()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(taking, 30)
    await asyncio.wait_for(outbox.until_half_empty(), 5)
