"""What a batch will cost: an affine curve per effort, its level and its tail learned on line.

    predicted seconds = speed * tail * (fixed + per_token * tokens + per_event * events)

The three coefficients are a least-squares fit per effort, in relative terms, so that small batches
count as much as large ones. ``speed`` follows the machine as a whole and is shared by all efforts:
what slows one batch slows the next, whatever its effort. ``tail`` lifts the typical cost to the
quantile asked for. All three take bounded steps, so that one pause of the machine moves none far.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

import numpy as np

UNIT = 100.0
"""Tokens and events enter the fit in hundreds; it keeps the equations well conditioned."""
MEMORY = 0.98
"""Weight that an observation keeps per later one: about the last 50 batches speak."""
RIDGE = 1e-6
"""Decides between tokens and events where all events seen were equally long."""
CLIP = math.log(2.0)
"""A batch counts in the fit as at most twice, at least half, as long as expected."""
SPEED_CLIP = 0.1
SPEED_GAIN = 0.3
TAIL_STEP = 0.05
LEAST_TAIL = 1.02


class Coefficients(NamedTuple):
    """An affine cost in seconds."""

    fixed_s: float = 0.0
    per_token_s: float = 0.0
    per_event_s: float = 0.0

    def seconds(self, tokens: float, events: float) -> float:
        """Return the cost of a batch."""
        return self.fixed_s + self.per_token_s * tokens + self.per_event_s * events

    def scaled(self, factor: float) -> "Coefficients":
        """Return the curve times ``factor``."""
        fixed_s, per_token_s, per_event_s = self
        return Coefficients(fixed_s * factor, per_token_s * factor, per_event_s * factor)


class Measurement(NamedTuple):
    """One batch's size and run time."""

    tokens: int
    events: int
    seconds: float


class CostModel(Protocol):
    """Predicts run times; learns from those observed."""

    def predict(self, tokens: int, events: int, effort: str) -> float:
        """Return the seconds that a batch will hardly exceed; 0 while nothing is known."""
        ...

    def expect(self, tokens: int, events: int, effort: str) -> float:
        """Return the seconds that a batch typically takes."""
        ...

    def coefficients(self, effort: str) -> Coefficients:
        """Return the curve behind :meth:`predict`."""
        ...

    def observe(self, tokens: int, events: int, effort: str, seconds: float) -> None:
        """Learn from one batch."""
        ...


class LearnedCost:
    """A :class:`CostModel` that starts knowing nothing, or from a calibration.

    Knowing nothing it predicts 0: what looks free is run, and so becomes known.

    Args:
        quantile: Share of batches that should run no longer than predicted.
    """

    def __init__(self, quantile: float) -> None:
        self._quantile = quantile
        self._fits: dict[str, _Fit] = {}
        self._log_speed = 0.0
        self._log_tail = math.log(1.1)
        self._factor = 1.0
        self._rescale()

    def predict(self, tokens: int, events: int, effort: str) -> float:
        """Return the seconds that a batch will hardly exceed; 0 while nothing is known."""
        return self.coefficients(effort).seconds(tokens, events)

    def expect(self, tokens: int, events: int, effort: str) -> float:
        """Return the seconds that a batch typically takes."""
        fit = self._fits.get(effort)
        return 0.0 if fit is None else fit.curve.seconds(tokens, events) * math.exp(self._log_speed)

    def coefficients(self, effort: str) -> Coefficients:
        """Return the curve behind :meth:`predict`."""
        fit = self._fits.get(effort)
        return _UNKNOWN if fit is None else fit.curve.scaled(self._factor)

    def known(self) -> Mapping[str, Coefficients]:
        """Return the curves of all efforts seen so far."""
        return {effort: self.coefficients(effort) for effort in self._fits}

    def calibrate(self, effort: str, measurements: Iterable[Measurement]) -> None:
        """Start an effort's fit from batches of several sizes; they stay in it for good."""
        fit = self._fits[effort] = _Fit()
        for tokens, events, seconds in measurements:
            fit.anchor(tokens, events, seconds)
        fit.solve()

    def observe(self, tokens: int, events: int, effort: str, seconds: float) -> None:
        """Learn from one batch; constant time, some 20 microseconds."""
        if seconds <= 0.0:
            return
        fit = self._fits.setdefault(effort, _Fit())
        typical = fit.curve.seconds(tokens, events)
        if typical <= 0.0:
            fit.anchor(tokens, events, seconds / math.exp(self._log_speed))
            fit.solve()
            return
        log_ratio = math.log(seconds / typical) - self._log_speed
        fit.learn(tokens, events, typical, math.exp(min(CLIP, max(-CLIP, log_ratio))))
        self._log_speed += SPEED_GAIN * min(SPEED_CLIP, max(-SPEED_CLIP, log_ratio))
        above = log_ratio > self._log_tail
        self._log_tail += TAIL_STEP * (self._quantile if above else self._quantile - 1.0)
        self._rescale()

    def _rescale(self) -> None:
        self._log_tail = max(math.log(LEAST_TAIL), self._log_tail)
        self._factor = math.exp(self._log_speed + self._log_tail)


class _Fit:
    """Relative least squares with forgetting; coefficients below zero are held at zero."""

    def __init__(self) -> None:
        self.curve = Coefficients()
        self._anchor_gram = np.zeros((3, 3))
        self._anchor_moment = np.zeros(3)
        self._gram = np.zeros((3, 3))
        self._moment = np.zeros(3)

    def anchor(self, tokens: int, events: int, seconds: float) -> None:
        """Add what is never forgotten."""
        row = _row(tokens, events, seconds)
        self._anchor_gram += np.outer(row, row)
        self._anchor_moment += row

    def learn(self, tokens: int, events: int, typical_s: float, ratio: float) -> None:
        """Add a batch that took ``ratio`` times what was typical, forget the past a little."""
        row = _row(tokens, events, typical_s)
        self._gram *= MEMORY
        self._gram += np.outer(row, row)
        self._moment *= MEMORY
        self._moment += row * ratio
        self.solve()

    def solve(self) -> None:
        """Fit the curve to what is remembered."""
        gram = self._anchor_gram + self._gram
        moment = self._anchor_moment + self._moment
        gram[np.diag_indices(3)] += RIDGE * gram.trace() + np.finfo(float).tiny
        kept = [0, 1, 2]
        while kept:
            solution = np.linalg.solve(gram[np.ix_(kept, kept)], moment[kept])
            lowest = int(solution.argmin())
            if solution[lowest] >= 0.0:
                break
            kept.pop(lowest)
        values = dict(zip(kept, solution.tolist(), strict=True)) if kept else {}
        self.curve = Coefficients(
            values.get(0, 0.0), values.get(1, 0.0) / UNIT, values.get(2, 0.0) / UNIT
        )


_UNKNOWN = Coefficients()


def _row(
    tokens: int, events: int, scale_s: float
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.array((1.0, tokens / UNIT, events / UNIT)) / scale_s
