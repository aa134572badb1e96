"""Temperatures, thresholds and the ladder, set from texts that were held out."""

import pytest
import torch
from torch import Tensor

from inference.kernels import Layout
from inference.training.calibrate import (
    NEVER,
    affordable_threshold,
    calibrate,
    choose_threshold,
    fit_temperatures,
    ladder,
)
from inference.training.data import TokenSet
from inference.training.evaluate import Walk, all_exits, quality, walk
from tests.fakes.small_model import drawn_ids, small_config, small_network


def _texts(targets: Tensor) -> TokenSet:
    return TokenSet([[1]] * len(targets), targets)


def _logits(confidence: Tensor, answers: Tensor, classes: int = 3) -> Tensor:
    """Return logits whose softmax is sure of the answers by as much as asked, [M, C]."""
    rest = ((1 - confidence) / (classes - 1))[:, None].repeat(1, classes)
    return rest.scatter(1, answers[:, None], confidence[:, None]).log()


@pytest.mark.parametrize("warmth", [0.5, 1.0, 3.0])
def test_a_temperature_undoes_overconfidence(warmth: float):
    """Logits that are so many times what the answers bear out are divided by as much."""
    chance = torch.Generator().manual_seed(0)
    honest = torch.randn(20_000, 3, generator=chance) * 2
    targets = honest.softmax(1).multinomial(1, generator=chance).flatten()
    fitted = fit_temperatures(torch.stack([honest * warmth, honest]), targets)
    assert fitted == pytest.approx([warmth, 1.0], rel=0.05)


@pytest.fixture
def half_right() -> tuple[Tensor, TokenSet]:
    """Return 60 texts whose first exit is right from a confidence of 80 %, the last always.

    Confidences of the first are 40.5 %, 41.5 % … 99.5 %.
    """
    confidence = torch.arange(40.5, 100) / 100
    targets = torch.arange(60) % 3
    answers = torch.where(confidence >= 0.8, targets, (targets + 1) % 3)
    last = _logits(torch.full((60,), 0.9), targets)
    return torch.stack([_logits(confidence, answers), last]), _texts(targets)


@pytest.mark.parametrize(("loss", "threshold"), [(0.0, 0.80), (0.079, 0.77), (0.142, 0.74)])
def test_a_threshold_is_the_lowest_that_costs_no_more_than_allowed(
    half_right: tuple[Tensor, TokenSet], loss: float, threshold: float
):
    """One text in sixty for each percent below eighty, and a standard error on top.

    Three in sixty are 0.05, their error is the root of 0.05 / 60; six are 0.1, theirs of 0.1 / 60.
    """
    logits, texts = half_right
    assert choose_threshold(logits, texts, accuracy_loss=loss) == threshold
    assert choose_threshold(logits, texts, accuracy_loss=loss - 0.002) > threshold or loss == 0


@pytest.mark.parametrize(("layers", "threshold"), [(2.0, NEVER), (1.5, 0.70), (1.0, 0.40)])
def test_a_threshold_can_be_what_is_affordable(
    half_right: tuple[Tensor, TokenSet], layers: float, threshold: float
):
    """Of confidences from 40 to 100 percent, as many leave at the first exit as must."""
    logits, texts = half_right
    assert affordable_threshold(logits, texts, layers=layers) == threshold


def test_exits_that_are_always_right_let_everyone_leave(half_right: tuple[Tensor, TokenSet]):
    """Down to a confidence that no answer among three stays under."""
    logits, texts = half_right
    sound = torch.stack([_logits(torch.full((60,), 0.5), texts.targets), logits[1]])
    assert choose_threshold(sound, texts, accuracy_loss=0.0) == 0.34


def test_exits_that_are_surely_wrong_let_nobody_leave(half_right: tuple[Tensor, TokenSet]):
    """Where even the highest confidence costs too much."""
    logits, texts = half_right
    wrong = _logits(torch.full((60,), 0.995), (texts.targets + 1) % 3)
    chosen = choose_threshold(torch.stack([wrong, logits[1]]), texts, accuracy_loss=0.0)
    assert chosen == NEVER


def test_a_walk_ends_at_the_first_confident_exit():
    """With that exit's scores; the last exit asks for no confidence."""
    targets = torch.tensor([0, 1, 2])
    exits = [_logits(torch.tensor(each), targets) for each in ([0.9, 0.4, 0.4], [0.5, 0.8, 0.4])]
    gone = walk(torch.stack([*exits, exits[0]]), _texts(targets), [0.7, 0.7, 0.7])
    assert gone.layers.tolist() == [1, 2, 3]
    assert gone.scores.amax(1).tolist() == pytest.approx([0.9, 0.8, 0.4])


@torch.inference_mode()
def test_a_walk_tells_what_the_model_does():
    """Thresholds are chosen on walks through recorded exits, and hold for the model itself."""
    network = small_network()
    lengths = tuple(1 + n % 8 for n in range(40))
    ids = drawn_ids(lengths)
    texts = TokenSet([part.tolist() for part in ids.split(lengths)], torch.zeros(40).long())
    gone = walk(all_exits(network, texts, 2), texts, [0.6] * 4)
    run = network(ids, Layout(lengths), exit_thresholds=[0.6] * 4)
    assert len(set(gone.layers.tolist())) >= 3
    assert gone.layers.tolist() == run.layers.tolist()
    torch.testing.assert_close(gone.scores, run.logits.softmax(1), rtol=1e-4, atol=1e-4)


def test_the_share_counts_texts_and_the_work_counts_tokens():
    """A long text that goes deep weighs more in the work."""
    config = small_config()
    gone = Walk(torch.eye(2), torch.tensor([1, 4]), torch.tensor([1, 9]))
    one = config.active_share(1, 2)
    assert gone.active_share(config, 2) == pytest.approx(one * 2.5)
    assert gone.work(config, 2) == pytest.approx(one * 3.7)


def test_quality_is_counted_by_hand():
    """Accuracy, precision and recall of each class, their mean F1, and the calibration error."""
    answers = torch.tensor([0, 0, 0, 1, 1, 2])
    targets = torch.tensor([0, 0, 1, 1, 2, 2])
    found = quality(_logits(torch.full((6,), 0.9), answers).softmax(1), targets)
    assert found.accuracy == pytest.approx(4 / 6)
    expected = [(2 / 3, 1.0, 0.8), (0.5, 0.5, 0.5), (1.0, 0.5, 2 / 3)]
    assert [each for row in found.per_class for each in row] == pytest.approx(
        [each for row in expected for each in row]
    )
    assert found.macro_f1 == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)
    assert found.ece == pytest.approx(0.9 - 4 / 6)


def test_a_class_that_is_never_answered_counts_as_missed():
    """Its F1 is zero, and nothing is divided by nothing."""
    found = quality(torch.eye(3)[[0, 0, 0]], torch.tensor([0, 0, 1]))
    assert found.per_class[1:] == ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))


def test_each_rung_of_the_ladder_is_cheaper_than_the_one_before():
    """Fewer experts, or a lower threshold, and never more of either."""
    rungs = ladder(0.8, 0.6, experts=2)
    assert [rung["name"] for rung in rungs] == ["full", "early_exit", "single_expert", "first_exit"]
    costs = [
        (2 if rung["experts"] is None else rung["experts"], _threshold(rung, 0.8)) for rung in rungs
    ]
    assert costs == [(2, 0.8), (2, 0.6), (1, 0.6), (1, 0.0)]


@pytest.mark.parametrize("usual", [0.5, NEVER])
def test_a_rung_that_would_save_nothing_is_left_out(usual: float):
    """Where exits at full effort are as early already, or nothing may leave early at all."""
    names = [rung["name"] for rung in ladder(usual, usual, experts=2)]
    assert names == ["full", "single_expert", "first_exit"]
    assert [rung["name"] for rung in ladder(usual, usual, experts=1)] == ["full", "first_exit"]


def _threshold(rung: dict[str, float | None], usual: float) -> float:
    return usual if rung["exit_threshold"] is None else rung["exit_threshold"]


def test_calibration_is_kept_in_the_configuration_and_in_the_exits():
    """What is saved is what was measured."""
    network = small_network()
    lengths = [1 + n % 8 for n in range(60)]
    ids = [part.tolist() for part in drawn_ids(lengths).split(lengths)]
    held_out = TokenSet(ids, torch.arange(60) % 3)
    calibrate(network, held_out, accuracy_loss=0.5)
    config = network.config
    assert config.exit_temperatures == [leave.temperature for leave in network.exits]
    assert config.exit_temperatures != [1.0] * 4
    assert len(set(config.exit_thresholds)) == 1
    assert len(config.exit_thresholds) == 4
    logits = all_exits(network, held_out, 2)
    assert choose_threshold(logits, held_out, accuracy_loss=0.5) == config.exit_thresholds[0]
    assert config.efforts[0] == {"name": "full", "experts": None, "exit_threshold": None}


def test_the_last_exit_is_calibrated_on_those_that_get_there(monkeypatch: pytest.MonkeyPatch):
    """They are the hard ones: an exit that is right on average is too sure of them."""
    easy, hard = 300, 100
    targets = torch.arange(easy + hard) % 3
    is_hard = torch.arange(easy + hard) >= easy
    wrong = (targets + 1) % 3
    right_half = torch.where(torch.arange(easy + hard) % 2 == 0, targets, wrong)
    first = _logits(torch.where(is_hard, 0.4, 0.99), torch.where(is_hard, wrong, targets))
    last = _logits(torch.full((easy + hard,), 0.9), torch.where(is_hard, right_half, targets))
    network = small_network()
    exits = torch.stack([first, first, first, last])
    monkeypatch.setattr("inference.training.calibrate.all_exits", lambda *_: exits)
    calibrate(network, _texts(targets), accuracy_loss=0.01)
    warmth = network.config.exit_temperatures[-1]
    assert network.exits[-1].temperature == warmth
    assert (last[is_hard] / warmth).softmax(1).amax(1).mean() == pytest.approx(0.5, abs=0.02)
    assert fit_temperatures(last[None], targets)[0] < warmth / 2
