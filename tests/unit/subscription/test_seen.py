"""Repetitions are known within bounds of number and age."""

from streams.subscription import Seen
from tests.fakes.clock import ManualClock


def test_a_name_is_new_once() -> None:
    """The second time it is a repetition."""
    seen = Seen()
    assert [seen.is_new(name) for name in ("a", "b", "a", "b", "c")] == [
        True,
        True,
        False,
        False,
        True,
    ]


def test_a_higher_rank_is_new_and_a_lower_one_is_not() -> None:
    """A revision replaces the first answer; the first answer's repetition replaces nothing."""
    seen = Seen()
    assert [seen.is_new("a", rank) for rank in (0, 1, 0, 1, 2)] == [True, True, False, False, True]


def test_the_number_is_bounded_and_the_oldest_go_first() -> None:
    """What was forgotten is new again."""
    seen = Seen(most=3)
    for name in "abcd":
        assert seen.is_new(name)
    assert len(seen) == 3
    assert not seen.is_new("b")
    assert seen.is_new("a")


def test_names_are_forgotten_by_age() -> None:
    """Memory is given back when others come; one that is too old is new at once."""
    clock = ManualClock()
    seen = Seen(seconds=60, monotonic=clock.monotonic)
    assert seen.is_new("a")
    clock.advance(59)
    assert not seen.is_new("a")
    clock.advance(2)
    assert seen.is_new("a")
    clock.advance(61)
    assert seen.is_new("b")
    assert len(seen) == 1


def test_looking_a_name_up_remembers_nothing() -> None:
    """And forgets what is too old, until nothing is left."""
    clock = ManualClock()
    seen = Seen(seconds=60, monotonic=clock.monotonic)
    assert not seen.knows("a")
    assert seen.is_new("a", 1)
    assert [seen.knows("a", rank) for rank in (0, 1, 2)] == [True, True, False]
    clock.advance(61)
    assert not seen.knows("a")
    assert len(seen) == 0
