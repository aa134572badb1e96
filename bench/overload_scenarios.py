"""The loads that policies are put under."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from overload_loads import Arrival, Log, arrivals

from streams.planning.arrivals import bursts, poisson

BURST_LOAD = 0.8
LOW_LOAD, HIGH_LOAD = 5.0, 0.2
LOW, HIGH = 1, 8
"""Priorities in the flood: events of the low one at 5 times the capacity, a few of the high one."""


@dataclass(frozen=True)
class Scenario:
    """One load, the same for all policies.

    Attributes:
        parts: Rows to make of it: name of the scenario, load, and which events count.
        draw: Makes the arrivals from a seed.
    """

    parts: tuple[tuple[str, float, Callable[[Arrival], bool]], ...]
    draw: Callable[[int], list[Arrival]]


def scenarios(
    capacity: float,
    loads: Sequence[float],
    *,
    seconds: float,
    texts: int,
    budgets_s: Sequence[float],
    log: Log | None,
) -> list[Scenario]:
    """Return a sweep over loads, a load that comes in bursts, and a flood of low priority.

    Args:
        capacity: Events per second that loads are multiples of.
        loads: Of the sweep.
        seconds: Length of each.
        texts: How many there are to choose from.
        budgets_s: What budgets there are.
        log: The sweep's arrivals follow it; without, they are Poisson.
    """

    def drawn(times: Sequence[float], seed: int, priority: int = 4) -> list[Arrival]:
        return arrivals(times, texts, budgets_s, seed=seed, priority=priority)

    found = []
    for load in loads:
        draw = _sweep(log, load * capacity, seconds)
        name = "log" if log else "poisson"
        found.append(
            Scenario(((name, load, _all),), lambda seed, draw=draw: drawn(draw(seed), seed))
        )
    found.append(
        Scenario(
            (("bursts", BURST_LOAD, _all),),
            lambda seed: drawn(bursts(BURST_LOAD * capacity, seconds, seed), seed),
        )
    )

    def flood(seed: int) -> list[Arrival]:
        low = drawn(poisson(LOW_LOAD * capacity, seconds, seed), seed, LOW)
        high = drawn(poisson(HIGH_LOAD * capacity, seconds, seed + 1), seed + 1, HIGH)
        return sorted([*low, *high], key=lambda one: one.at_s)

    of_high: Callable[[Arrival], bool] = lambda one: one.priority == HIGH  # noqa: E731
    of_low: Callable[[Arrival], bool] = lambda one: one.priority == LOW  # noqa: E731
    parts = (("flood, high", HIGH_LOAD, of_high), ("flood, low", LOW_LOAD, of_low))
    return [*found, Scenario(parts, flood)]


def _sweep(log: Log | None, rate: float, seconds: float) -> Callable[[int], list[float]]:
    if log is not None:
        return lambda seed: log.at(rate, seconds)  # noqa: ARG005 - a log is what it is
    return lambda seed: poisson(rate, seconds, seed)


def _all(_: Arrival) -> bool:
    return True
