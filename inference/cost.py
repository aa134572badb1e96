"""What a batch will cost: an affine curve per effort, its level and its tail learned on line.

    predicted seconds = speed * tail * (fixed + per_token * tokens + per_event * events)

The three coefficients are a least-squares fit per effort, in relative terms, so that small batches
count as much as large ones. ``speed`` follows the machine as a whole and is shared by all efforts:
what slows one batch slows the next, whatever its effort. ``tail`` lifts the typical cost to the
quantile asked for. All three take bounded steps, so that one pause of the machine moves none far.
"""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

UNIT = 100.0
"""Tokens and events enter the fit in hundreds; it keeps the equations well conditioned."""
MEMORY = 0.98
"""Weight that an observation keeps per later one: about the last 50 batches speak."""
RIDGE = 1e-6
"""Decides between tokens and events where all events seen were equally long."""
SOLVE_EVERY, SETTLED = 4, 16
"""Once so many batches of an effort were seen, its curve is fitted anew after every few: what one
batch adds then moves it little, and fitting costs as much as deciding."""
CLIP = math.log(2.0)
"""A batch counts in the fit as at most twice, at least half, as long as expected."""
SPEED_CLIP = 0.1
SPEED_GAIN = 0.3
TAIL_STEP = 0.05
LEAST_TAIL = 1.02
FIRST_LOG_TAIL = math.log(1.1)
MOST_LOG, MOST_SUM = 10.0, 1e30
"""What is recalled lies within these, or is no memory of a machine."""


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
        self._scaled: dict[str, Coefficients] = {}
        """What was asked for since something was last learned."""
        self._log_speed = 0.0
        self._log_tail = FIRST_LOG_TAIL
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
        found = self._scaled.get(effort)
        if found is None:
            fit = self._fits.get(effort)
            found = _UNKNOWN if fit is None else fit.curve.scaled(self._factor)
            self._scaled[effort] = found
        return found

    def known(self) -> Mapping[str, Coefficients]:
        """Return the curves of all efforts seen so far."""
        return {effort: self.coefficients(effort) for effort in self._fits}

    def fitted(self) -> Mapping[str, Coefficients]:
        """Return the same without :attr:`speed` and :attr:`tail`."""
        return {effort: fit.curve for effort, fit in self._fits.items()}

    @property
    def speed(self) -> float:
        """What everything takes now over what it took when the curves were fitted."""
        return math.exp(self._log_speed)

    @property
    def tail(self) -> float:
        """What a batch hardly exceeds over what it typically takes."""
        return math.exp(self._log_tail)

    def state(self) -> dict[str, Any]:
        """Return all that was learned, as plain values that :meth:`recall` takes."""
        efforts = {effort: fit.state() for effort, fit in self._fits.items()}
        self._scaled.clear()
        return {"log_speed": self._log_speed, "log_tail": self._log_tail, "efforts": efforts}

    def recall(self, state: Mapping[str, Any]) -> None:
        """Go on from what was learned before, by this process or another.

        Raises:
            ValueError: That is not what :meth:`state` returns; nothing is changed.
        """
        try:
            speed, tail = float(state["log_speed"]), float(state["log_tail"])
            fits = {str(effort): _Fit.of(each) for effort, each in state["efforts"].items()}
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a state of costs: {error!r}") from error
        if not (abs(speed) <= MOST_LOG and 0.0 <= tail <= MOST_LOG):
            raise ValueError(f"not a state of costs: log_speed {speed}, log_tail {tail}")
        if not all(any(fit.curve) for fit in fits.values()):
            raise ValueError("not a state of costs: some effort costs nothing")
        self._log_speed, self._log_tail, self._fits = speed, tail, fits
        self._rescale()

    def forget(self) -> None:
        """Know nothing again."""
        self._fits = {}
        self._log_speed, self._log_tail = 0.0, FIRST_LOG_TAIL
        self._rescale()

    def correct(self, factor: float) -> None:
        """Take the machine to need ``factor`` times as long for everything from now on."""
        self._log_speed += math.log(factor)
        self._rescale()

    def calibrate(self, effort: str, measurements: Iterable[Measurement]) -> None:
        """Start an effort's fit from batches of several sizes; they stay in it for good."""
        fit = self._fits[effort] = _Fit()
        for tokens, events, seconds in measurements:
            fit.anchor(tokens, events, seconds)
        fit.solve()
        self._scaled.clear()

    def observe(self, tokens: int, events: int, effort: str, seconds: float) -> None:
        """Learn from one batch; constant time."""
        if seconds <= 0.0:
            return
        fit = self._fits.setdefault(effort, _Fit())
        typical = fit.curve.seconds(tokens, events)
        if typical <= 0.0:
            fit.anchor(tokens, events, seconds / math.exp(self._log_speed))
            fit.solve()
            self._scaled.clear()
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
        self._scaled.clear()


class _Fit:
    """Relative least squares with forgetting; coefficients below zero are held at zero.

    Plain numbers: at this size they are solved several times sooner than arrays are handed to
    LAPACK, and this runs after every batch on the event loop.
    """

    def __init__(self) -> None:
        self.curve = Coefficients()
        self._anchor = _Normal()
        self._recent = _Normal()
        self._learned = 0

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "_Fit":
        """Restore what :meth:`state` returned."""
        fit = cls()
        fit._anchor, fit._recent = _Normal.of(state["anchor"]), _Normal.of(state["recent"])
        fit._learned = max(0, int(state.get("learned", 0)))
        fit.solve()
        return fit

    def state(self) -> dict[str, Any]:
        """Return what the curve is fitted to, with which it is brought into line."""
        self.solve()
        return {
            "anchor": self._anchor.state(),
            "recent": self._recent.state(),
            "learned": self._learned,
        }

    def anchor(self, tokens: int, events: int, seconds: float) -> None:
        """Add what is never forgotten."""
        self._anchor.add(tokens, events, seconds, 1.0)

    def learn(self, tokens: int, events: int, typical_s: float, ratio: float) -> None:
        """Add a batch that took ``ratio`` times what was typical, forget the past a little."""
        self._recent.fade(MEMORY)
        self._recent.add(tokens, events, typical_s, ratio)
        self._learned += 1
        if self._learned <= SETTLED or self._learned % SOLVE_EVERY == 0:
            self.solve()

    def solve(self) -> None:
        """Fit the curve to what is remembered."""
        gram, moment = self._anchor.plus(self._recent)
        ridge = RIDGE * (gram[0][0] + gram[1][1] + gram[2][2]) + sys.float_info.min
        for place in range(3):
            gram[place][place] += ridge
        kept = [0, 1, 2]
        values = [0.0, 0.0, 0.0]
        while kept:
            solution = _solve([[gram[i][j] for j in kept] for i in kept], [moment[i] for i in kept])
            lowest = min(solution)
            if lowest >= 0.0:
                for place, value in zip(kept, solution, strict=True):
                    values[place] = value
                break
            kept.pop(solution.index(lowest))
        self.curve = Coefficients(values[0], values[1] / UNIT, values[2] / UNIT)


class _Normal:
    """The normal equations of rows (1, tokens, events), each divided by its own seconds."""

    __slots__ = ("gram", "moment")

    def __init__(self) -> None:
        self.gram = [0.0] * 6
        """The upper triangle, row by row."""
        self.moment = [0.0] * 3

    @classmethod
    def of(cls, state: Sequence[float]) -> "_Normal":
        """Restore what :meth:`state` returned."""
        numbers = [float(each) for each in state]
        if len(numbers) != 9 or not all(0.0 <= each < MOST_SUM for each in numbers):  # noqa: PLR2004 - 6 and 3
            raise ValueError(f"sums are {state!r}")
        normal = cls()
        normal.gram, normal.moment = numbers[:6], numbers[6:]
        return normal

    def state(self) -> list[float]:
        """Return the sums, one after another."""
        return [*self.gram, *self.moment]

    def add(self, tokens: int, events: int, scale_s: float, ratio: float) -> None:
        """Add a row that should come to ``ratio``."""
        one, by_token, by_event = 1.0 / scale_s, tokens / UNIT / scale_s, events / UNIT / scale_s
        gram, moment = self.gram, self.moment
        gram[0] += one * one
        gram[1] += one * by_token
        gram[2] += one * by_event
        gram[3] += by_token * by_token
        gram[4] += by_token * by_event
        gram[5] += by_event * by_event
        moment[0] += one * ratio
        moment[1] += by_token * ratio
        moment[2] += by_event * ratio

    def fade(self, factor: float) -> None:
        """Let all rows so far count less."""
        self.gram = [value * factor for value in self.gram]
        self.moment = [value * factor for value in self.moment]

    def plus(self, other: "_Normal") -> tuple[list[list[float]], list[float]]:
        """Return the sum with others', as a matrix and a vector."""
        a, b, c, d, e, f = (x + y for x, y in zip(self.gram, other.gram, strict=True))
        moment = [x + y for x, y in zip(self.moment, other.moment, strict=True)]
        return [[a, b, c], [b, d, e], [c, e, f]], moment


def _solve(matrix: list[list[float]], vector: list[float]) -> list[float]:
    """Solve equations by elimination; the matrix is positive definite, so it needs no pivots."""
    size = len(vector)
    for pivot in range(size):
        for row in range(pivot + 1, size):
            factor = matrix[row][pivot] / matrix[pivot][pivot]
            for column in range(pivot + 1, size):
                matrix[row][column] -= factor * matrix[pivot][column]
            vector[row] -= factor * vector[pivot]
    for row in range(size - 1, -1, -1):
        for column in range(row + 1, size):
            vector[row] -= matrix[row][column] * vector[column]
        vector[row] /= matrix[row][row]
    return vector


_UNKNOWN = Coefficients()
