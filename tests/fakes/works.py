"""Works and costs with round numbers, for the scheduler's tests."""

from collections.abc import Mapping, Sequence
from typing import Any

from inference.cost import Coefficients
from inference.engine import Encoded
from inference.work import DEFAULT_PRIORITY, OverloadPolicy, Subject, Work
from tests.fakes.engine import EFFORTS

NOW = 1_000.0
"""Where simulated time begins, and :class:`tests.fakes.clock.ManualClock`."""


def work(
    tokens: int = 10,
    *,
    arrival: float = NOW,
    budget: float = 0.1,
    priority: int = DEFAULT_PRIORITY,
    on_overload: OverloadPolicy = OverloadPolicy.DEGRADE,
    handle: Any = None,
    ids: Sequence[int] | None = None,
    subject: Subject | None = None,
) -> Work:
    """Make a work that arrives at ``arrival`` and is due ``budget`` seconds later."""
    ids = tuple(ids) if ids is not None else (7,) * tokens
    return Work(
        handle=handle,
        encoded=Encoded(len(ids), ids),
        arrival=arrival,
        deadline=arrival + budget,
        priority=priority,
        on_overload=on_overload,
        subject=subject,
    )


class FixedCost:
    """Implements :class:`inference.cost.CostModel`; knows all and learns nothing.

    Args:
        full: The curve at full effort.
        factors: What share of it the other efforts cost, by name.
    """

    def __init__(self, full: Coefficients, factors: Mapping[str, float] | None = None) -> None:
        self._full = full
        self._factors = factors or {EFFORTS[1].name: 0.5, EFFORTS[2].name: 0.25}
        self.observed: list[tuple[int, int, str, float]] = []

    def predict(self, tokens: int, events: int, effort: str) -> float:
        """Return the seconds of a batch."""
        return self.coefficients(effort).seconds(tokens, events)

    def expect(self, tokens: int, events: int, effort: str) -> float:
        """Return the seconds of a batch."""
        return self.predict(tokens, events, effort)

    def coefficients(self, effort: str) -> Coefficients:
        """Return an effort's curve."""
        return self._full.scaled(self._factors.get(effort, 1.0))

    def observe(self, tokens: int, events: int, effort: str, seconds: float) -> None:
        """Take note."""
        self.observed.append((tokens, events, effort, seconds))
