"""Times of arrival: at random, even or in bursts, the same for the same seed."""

import random
from collections.abc import Iterator

BURST_EVERY_S = 0.5
BURST_SHARE = 0.2
BURST_FACTOR, MOST_BURST_FACTOR = 2.5, 1.0 / BURST_SHARE
"""Bursts: for a fifth of every half second events come 2.5 times as fast as on average."""


def poisson(rate: float, seconds: float, seed: int) -> list[float]:
    """Return times of independent arrivals, ``rate`` a second on average."""
    return list(_poisson(rate, seconds, random.Random(seed)))  # noqa: S311 - no secret


def bursts(rate: float, seconds: float, seed: int, *, factor: float = BURST_FACTOR) -> list[float]:
    """Return times that come in bursts, ``rate`` a second on average.

    Args:
        rate: Events per second.
        seconds: Length of the load.
        seed: Of chance.
        factor: How many times as fast as on average events come in bursts; 1 to
            :data:`MOST_BURST_FACTOR`, where nothing comes between them.
    """
    calm = (1.0 - BURST_SHARE * factor) / (1.0 - BURST_SHARE)
    # Where the whole is run through in the time that an even load would take up to that point.
    burst_s = BURST_EVERY_S * BURST_SHARE
    even_in_burst = burst_s * factor
    times = []
    for even in _poisson(rate, seconds, random.Random(seed)):  # noqa: S311 - no secret
        period, within = divmod(even, BURST_EVERY_S)
        if within < even_in_burst:
            place = within / factor
        else:  # never where all come in bursts
            place = burst_s + (within - even_in_burst) / calm
        times.append(period * BURST_EVERY_S + place)
    return times


def _poisson(rate: float, seconds: float, dice: random.Random) -> Iterator[float]:
    passed = 0.0
    while (passed := passed + dice.expovariate(rate)) < seconds:
        yield passed
