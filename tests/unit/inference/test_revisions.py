"""What waits for a second answer: the newest first, within bounds."""

from hypothesis import given
from hypothesis import strategies as st

from inference.engine import Encoded
from inference.revisions import Backlog, Revisions
from inference.work import Work


def _work(arrival: float) -> Work:
    return Work(handle=arrival, encoded=Encoded(5, None), arrival=arrival, deadline=arrival + 1)


def test_the_newest_is_taken_first():
    """It is the one that still matters most."""
    backlog = Backlog(Revisions())
    for arrival in (1.0, 2.0, 3.0):
        backlog.add(_work(arrival), 10)
    assert [work.arrival for work in backlog.take(2, 4.0)] == [3.0, 2.0]
    assert (len(backlog), backlog.bytes, backlog.dropped) == (1, 10, 0)


def test_what_is_too_old_is_given_up():
    """A better answer is of no use by then."""
    backlog = Backlog(Revisions(max_age_ms=1_000))
    backlog.add(_work(1.0), 10)
    backlog.add(_work(2.0), 10)
    assert [work.arrival for work in backlog.take(5, 2.5)] == [2.0]
    assert (len(backlog), backlog.bytes, backlog.dropped) == (0, 0, 1)


@given(
    st.lists(st.one_of(st.integers(1, 40_000), st.none()), max_size=60),
    st.integers(1, 10),
)
def test_bounds_hold_and_each_is_taken_or_given_up_once(steps: list[int | None], most: int):
    """Numbers are bytes of what is added; ``None`` takes one."""
    backlog = Backlog(Revisions(max_events=most, max_bytes=65_536))
    added, taken = 0, []
    for step in steps:
        if step is None:
            taken += backlog.take(1, 0.0)
        else:
            backlog.add(_work(float(added)), step)
            added += 1
        assert len(backlog) <= most
        assert 0 <= backlog.bytes <= 65_536
        assert added == len(taken) + len(backlog) + backlog.dropped
    assert len({work.arrival for work in taken}) == len(taken)
    backlog.clear()
    assert (len(backlog), backlog.bytes) == (0, 0)
