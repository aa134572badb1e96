"""The estimate of what something takes at worst."""

from streams.delivery.tail import KEPT, RENEWED, Tail


def test_it_begins_with_a_guess() -> None:
    """Until enough was seen."""
    tail = Tail(0.5)
    for _ in range(RENEWED - 1):
        tail.observe(0.1)
    assert tail.seconds == 0.5
    tail.observe(0.1)
    assert tail.seconds == 0.1


def test_a_few_in_a_hundred_may_take_longer() -> None:
    """It is no maximum."""
    tail = Tail(0.0)
    for number in range(KEPT):
        tail.observe(9.0 if number % 32 == 31 else 0.01)
    assert tail.seconds == 0.01


def test_what_is_long_ago_is_forgotten() -> None:
    """A slow spell ends."""
    tail = Tail(0.0)
    for seconds in (5.0,) * KEPT + (0.02,) * KEPT:
        tail.observe(seconds)
    assert tail.seconds == 0.02
