"""Only the contiguous completed prefix is ever offered for commit."""

import asyncio

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.offsets import Bounds, Ledger, OffsetTracker

PARTITION = TopicPartition("events.news", 0)


def test_nothing_is_offered_before_the_first_event() -> None:
    """A partition that has delivered nothing has no position to commit."""
    assert OffsetTracker().position is None


def test_a_later_completion_waits_for_the_earlier_one() -> None:
    """The position stands before the oldest unfinished event."""
    tracker = OffsetTracker()
    for offset in (7, 8, 9):
        assert tracker.begin(offset)
    tracker.complete(9)
    tracker.complete(8)
    assert tracker.position == 7
    tracker.complete(7)
    assert tracker.position == 10


def test_gaps_in_the_log_do_not_hold_the_position_back() -> None:
    """Compacted offsets never begin, and the prefix runs over them."""
    tracker = OffsetTracker()
    for offset in (3, 10, 400):
        tracker.begin(offset)
        tracker.complete(offset)
    assert tracker.position == 401


def test_a_repeated_offset_does_not_begin_again() -> None:
    """What a rewound consumer delivers twice runs once."""
    tracker = OffsetTracker()
    assert tracker.begin(5)
    assert not tracker.begin(5)


@pytest.mark.parametrize("offset", [4, 6])
def test_an_event_cannot_end_without_having_begun(offset: int) -> None:
    """A completion for an offset that is not in flight is an error, not a commit."""
    tracker = OffsetTracker()
    tracker.begin(5)
    with pytest.raises(ValueError, match="not in flight"):
        tracker.complete(offset)


def test_an_event_cannot_end_twice() -> None:
    """The second completion of an offset is refused."""
    tracker = OffsetTracker()
    tracker.begin(5)
    tracker.begin(6)
    tracker.complete(6)
    with pytest.raises(ValueError, match="ended twice"):
        tracker.complete(6)


@given(
    gaps=st.lists(st.integers(1, 5), min_size=1, max_size=60),
    data=st.data(),
)
def test_the_position_never_passes_an_unfinished_event(
    gaps: list[int], data: st.DataObject
) -> None:
    """Whatever the order of completions, everything below the position is complete."""
    offsets, offset = [], data.draw(st.integers(0, 1000))
    for gap in gaps:
        offsets.append(offset)
        offset += gap
    tracker = OffsetTracker()
    begun: list[int] = []
    unfinished: set[int] = set()
    waiting = list(offsets)
    while waiting or unfinished:
        if waiting and (not unfinished or data.draw(st.booleans())):
            tracker.begin(waiting[0])
            begun.append(waiting[0])
            unfinished.add(waiting.pop(0))
        else:
            done = data.draw(st.sampled_from(sorted(unfinished)))
            tracker.complete(done)
            unfinished.remove(done)
        finished = [offset for offset in begun if offset < min(unfinished, default=offset + 1)]
        assert tracker.position == (finished[-1] + 1 if finished else begun[0])
        assert tracker.in_flight == len(unfinished)


async def test_a_completion_after_revocation_changes_nothing() -> None:
    """The old owner's late answer does not move the new tracker."""
    ledger = Ledger()
    ledger.assign([PARTITION])
    old = ledger.tracker(PARTITION)
    assert old is not None
    ledger.begin(old, 3)
    assert ledger.close() == 1
    ledger.assign([PARTITION])
    ledger.complete(old, 3)
    assert ledger.positions() == {}
    assert ledger.in_flight == 0


def test_events_and_bytes_in_flight_are_bounded_until_half_of_them_are_answered() -> None:
    """Whichever of the two is reached first; repetitions do not count."""
    ledger = Ledger(Bounds(events=4, size=1_000))
    ledger.assign([PARTITION])
    tracker = ledger.tracker(PARTITION)
    assert tracker is not None
    for offset, size in ((0, 400), (1, 500), (1, 500)):
        ledger.begin(tracker, offset, size)
    assert (ledger.bytes_in_flight, ledger.is_full) == (900, False)
    ledger.begin(tracker, 2, 100)
    assert ledger.is_full
    ledger.complete(tracker, 0)
    assert (ledger.is_full, ledger.has_room_again) == (False, False)
    ledger.complete(tracker, 1)
    assert ledger.has_room_again
    for offset in (3, 4, 5):
        ledger.begin(tracker, offset, 1)
    assert (ledger.in_flight, ledger.is_full) == (4, True)
    ledger.close()
    assert (ledger.bytes_in_flight, ledger.has_room_again) == (0, True)


async def test_draining_waits_for_what_is_in_flight() -> None:
    """Drain returns when the last event ends, and says so when it does not."""
    ledger = Ledger()
    ledger.assign([PARTITION])
    tracker = ledger.tracker(PARTITION)
    assert tracker is not None
    ledger.begin(tracker, 0)
    assert not await ledger.drain(0.001)
    draining = asyncio.create_task(ledger.drain(10))
    ledger.complete(tracker, 0)
    assert await draining
    assert ledger.positions() == {PARTITION: 1}
