"""Two models on the same events: is the difference more than chance?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.evaluation import Answers

RESAMPLES = 2_000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A difference, and where it lies with 95 % confidence."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """The first model against the second.

    Attributes:
        accuracy: First less second.
        macro_f1: Likewise.
        only_first_right: Events that the first has right and the second wrong.
        only_second_right: The other way round.
        p_value: How likely counts as uneven as these two are by chance (McNemar, "Note on the
            sampling error of the difference between correlated proportions", 1947; exact).
        agreement: Share of events that both call the same.
    """

    accuracy: Interval
    macro_f1: Interval
    only_first_right: int
    only_second_right: int
    p_value: float
    agreement: float


def compare(
    first: Answers,
    second: Answers,
    first_labels: Sequence[str],
    second_labels: Sequence[str],
    *,
    seed: int = 0,
) -> Comparison:
    """Compare two models on the same events.

    The intervals are of a paired bootstrap (Efron and Tibshirani, "An introduction to the
    bootstrap", 1993): the events are drawn again with replacement, the same for both.

    Args:
        first: What one model said.
        second: What the other said of the same events.
        first_labels: Names of the first's classes.
        second_labels: Likewise.
        seed: Seeds what is drawn.
    """
    names = sorted({label.casefold() for label in (*first_labels, *second_labels)})
    number = {label: place for place, label in enumerate(names)}
    one, other = (
        torch.tensor([number[label.casefold()] for label in labels])[answers.scores.argmax(dim=1)]
        for answers, labels in ((first, first_labels), (second, second_labels))
    )
    true = torch.tensor([number[label.casefold()] for label in first_labels])[first.targets]
    only_first = int(((one == true) & (other != true)).sum())
    only_second = int(((one != true) & (other == true)).sum())
    accuracy, macro_f1 = _intervals(one, other, true, len(names), seed)
    return Comparison(
        accuracy=accuracy,
        macro_f1=macro_f1,
        only_first_right=only_first,
        only_second_right=only_second,
        p_value=mcnemar(only_first, only_second),
        agreement=(one == other).float().mean().item(),
    )


def mcnemar(one: int, other: int) -> float:
    """Return the two-sided exact p-value of counts that would be even by chance."""
    total = one + other
    if not total:
        return 1.0
    tail = sum(
        math.exp(
            math.lgamma(total + 1)
            - math.lgamma(count + 1)
            - math.lgamma(total - count + 1)
            - total * math.log(2)
        )
        for count in range(min(one, other) + 1)
    )
    return min(1.0, 2 * tail)


def _intervals(
    one: Tensor, other: Tensor, true: Tensor, classes: int, seed: int
) -> tuple[Interval, Interval]:
    chance = torch.Generator().manual_seed(seed)
    count = len(true)
    drawn = []
    for _ in range(RESAMPLES):
        some = torch.randint(count, (count,), generator=chance)
        drawn.append(_differences(one[some], other[some], true[some], classes))
    spread = torch.tensor(drawn, dtype=torch.float64)  # [R, 2]
    edges = torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=torch.float64)
    low, high = spread.quantile(edges, dim=0).tolist()
    found = _differences(one, other, true, classes)
    accuracy, macro_f1 = (Interval(*each) for each in zip(found, low, high, strict=True))
    return accuracy, macro_f1


def _differences(one: Tensor, other: Tensor, true: Tensor, classes: int) -> tuple[float, float]:
    """Return how much more accuracy and macro-F1 the first has."""
    first, second = (_accuracy_and_f1(said, true, classes) for said in (one, other))
    return first[0] - second[0], first[1] - second[1]


def _accuracy_and_f1(said: Tensor, true: Tensor, classes: int) -> tuple[float, float]:
    right = said == true
    hits = torch.bincount(true[right], minlength=classes).double()
    both = torch.bincount(true, minlength=classes) + torch.bincount(said, minlength=classes)
    seen = both > 0
    return right.double().mean().item(), (2 * hits[seen] / both[seen]).mean().item()
