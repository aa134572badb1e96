"""Figures of an engine on labelled events, and of two engines on the same ones."""

import math

import pytest
import torch
from torch import Tensor

from inference.comparison import compare, mcnemar
from inference.engine import Encoded, Prediction
from inference.evaluation import Answers, classify, number_labels, per_class, summary
from inference.training.evaluate import quality
from schemas.errors import ConfigurationError
from schemas.events import Event, NewsEvent
from tests.fakes.engine import FakeEngine
from tests.fakes.small_model import small_config


def _answers(said: list[int], true: list[int], classes: int = 3, sure: float = 0.8) -> Answers:
    scores = torch.full((len(said), classes), (1 - sure) / (classes - 1))
    scores[torch.arange(len(said)), torch.tensor(said)] = sure
    count = len(said)
    return Answers(
        scores=scores,
        targets=torch.tensor(true),
        layers=torch.tensor([1, 3] * (count // 2)),
        active_share=torch.tensor([0.1, 0.3] * (count // 2)),
        tokens=torch.tensor([4, 10] * (count // 2)),
        experts=2,
        seconds=0.5,
    )


def test_figures_are_means_over_events():
    """Work is counted event by event, against every layer and expert."""
    config = small_config()
    found = summary(_answers([0, 1, 2, 0], [0, 1, 2, 1]), config)
    assert found["accuracy"] == pytest.approx(0.75)
    assert found["ece"] == pytest.approx(0.05)
    assert found["nll"] == pytest.approx(-(3 * math.log(0.8) + math.log(0.1)) / 4)
    assert found["mean_layers"] == 2
    assert found["active_share"] == pytest.approx(0.2)
    assert found["events_per_s"] == pytest.approx(8)
    done = config.multiply_adds(1, 2, 4) + config.multiply_adds(3, 2, 10)
    whole = config.multiply_adds(4, 4, 4) + config.multiply_adds(4, 4, 10)
    assert found["multiply_adds"] == pytest.approx(done / 2)
    assert found["work"] == pytest.approx(done / whole)
    against_teacher = summary(_answers([0, 1, 2, 0], [0, 1, 2, 1]), config, teacher_share=0.5)
    assert against_teacher["work"] == pytest.approx(done / whole / 2)


def test_work_is_left_open_where_it_cannot_be_counted():
    """Of models that are not ours."""
    found = summary(_answers([0, 1], [0, 1]), None)
    assert found["work"] is None
    assert found["multiply_adds"] is None


def test_classes_that_neither_occur_nor_are_answered_do_not_count():
    """Else the macro-F1 of a part with few of the classes would be near nothing."""
    answers = _answers([0, 1, 0, 1], [0, 1, 0, 0], classes=5)
    assert [row["label"] for row in per_class(answers, "abcde")] == ["a", "b"]
    assert quality(answers.scores, answers.targets).macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)


def test_labels_are_found_among_the_models_in_any_case():
    """Exactly where they can be."""
    assert number_labels(["b", "A", "a"], ("a", "A", "B")).tolist() == [2, 1, 0]
    assert number_labels(["1", "0"], ("LABEL_0", "LABEL_1")).tolist() == [1, 0]


def test_labels_that_a_model_lacks_are_named_with_those_that_it_has():
    """They could never be right."""
    with pytest.raises(ConfigurationError, match=r"has 1 labels .* know: \['up'\]; it knows \['a'"):
        number_labels(["a", "up"], ("a", "b"))


class Echo(FakeEngine):
    """Answers with the class that a headline ends in, and notes the batches that it ran."""

    def __init__(self) -> None:
        super().__init__()
        self.labels = ("a", "b", "c")
        self.batches: list[list[int]] = []

    def encode(self, events: list[Event]) -> list[Encoded]:
        """Count the letters."""
        texts = [each.headline for each in events if isinstance(each, NewsEvent)]
        return [Encoded(tokens=len(text), data=text) for text in texts]

    def prepare(self, batch: list[Encoded]) -> list[Encoded]:
        """Leave the batch as it is."""
        return batch

    def run(self, prepared: list[Encoded], effort: object) -> list[Prediction]:
        """Be sure of the last letter."""
        del effort
        self.batches.append([each.tokens for each in prepared])
        return [
            Prediction(
                scores=tuple(float(label == each.data[-1]) for label in self.labels),
                active_share=each.tokens / 10,
                layers=each.tokens,
                experts=1,
            )
            for each in prepared
        ]


def test_answers_come_in_the_order_of_the_events():
    """Although batches are of like lengths; one batch runs before the clock starts."""
    engine = Echo()
    texts = ["xxxxxa", "b", "xxc", "xb", "xxxa"]
    events: list[Event] = [NewsEvent(id=text, headline=text) for text in texts]
    ticks = iter((1.0, 3.5))
    answers = classify(
        engine,
        events,
        ["a", "b", "c", "b", "b"],
        engine.efforts[0],
        batch_size=2,
        clock=lambda: next(ticks),
    )
    assert answers.right.tolist() == [True, True, True, True, False]
    assert answers.layers.tolist() == answers.tokens.tolist() == [6, 1, 3, 2, 4]
    assert answers.seconds == 2.5
    assert engine.batches == [[6], [1, 2], [3, 4], [6]]


def _said(count: int, wrong: set[int]) -> list[int]:
    return [(n % 3 + (n in wrong)) % 3 for n in range(count)]


def _true(count: int) -> list[int]:
    return [n % 3 for n in range(count)]


def test_a_difference_comes_with_the_interval_that_it_lies_in():
    """Twenty of two hundred that only the first has right: more than chance."""
    first = _answers(_said(200, {1, 2}), _true(200))
    second = _answers(_said(200, {1, *range(20, 40)}), _true(200))
    found = compare(first, second, "abc", "abc")
    assert (found.only_first_right, found.only_second_right) == (20, 1)
    assert found.accuracy.difference == pytest.approx(19 / 200)
    assert 0 < found.accuracy.low < 19 / 200 < found.accuracy.high < 0.15
    assert found.macro_f1.low < found.macro_f1.difference < found.macro_f1.high
    assert found.p_value == pytest.approx(2 * 22 / 2**21)
    assert found.agreement == pytest.approx(1 - 21 / 200)
    # The interval of paired differences is about normal here; 1.96 standard errors to either side.
    deviation = math.sqrt((21 / 200 - (19 / 200) ** 2) / 200)
    assert found.accuracy.high - found.accuracy.low == pytest.approx(2 * 1.96 * deviation, rel=0.1)


def test_a_model_does_not_differ_from_itself():
    """Whatever the order of its labels."""
    first = _answers(_said(60, {1, 2}), _true(60))
    order = torch.tensor([2, 0, 1])  # where each class stands with the second

    def moved(numbers: Tensor) -> Tensor:
        return order[numbers]

    second = Answers(
        scores=first.scores[:, order.argsort()],
        targets=moved(first.targets),
        layers=first.layers,
        active_share=first.active_share,
        tokens=first.tokens,
        experts=2,
        seconds=1.0,
    )
    found = compare(first, second, ("a", "b", "c"), ("B", "C", "A"))
    assert found.agreement == 1
    assert found.accuracy.low == found.accuracy.high == 0
    assert found.p_value == 1


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [(0, 0, 1.0), (5, 5, 1.0), (0, 5, 2 / 32), (1, 5, 2 * 7 / 64), (3, 0, 0.25)],
)
def test_the_exact_test_is_that_of_a_fair_coin(one: int, other: int, expected: float):
    """Two-sided."""
    assert mcnemar(one, other) == pytest.approx(expected)
    assert mcnemar(other, one) == pytest.approx(expected)
