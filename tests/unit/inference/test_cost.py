"""Predictions follow what batches take: their size, their effort, the machine and its tail."""

import math
import random
from statistics import fmean
from typing import Any

import orjson
import pytest

from inference.cost import LEAST_TAIL, Coefficients, LearnedCost, Measurement

TRUE = Coefficients(0.004, 0.00005, 0.0002)
SIZES = [(tokens * events, events) for tokens in (8, 20, 50) for events in (1, 2, 4, 8, 16, 32)]


def calibrated(quantile: float = 0.9, curve: Coefficients = TRUE) -> LearnedCost:
    """Return a model that has measured ``full`` exactly and ``low`` at half of it."""
    cost = LearnedCost(quantile)
    for effort, factor in (("full", 1.0), ("low", 0.5)):
        cost.calibrate(
            effort,
            [Measurement(t, n, factor * curve.seconds(t, n)) for t, n in SIZES],
        )
    return cost


def test_a_curve_is_affine_and_scales() -> None:
    """Tokens and events add to what a batch costs anyhow."""
    assert Coefficients(1.0, 0.1, 0.01).seconds(20, 3) == pytest.approx(3.03)
    assert Coefficients(1.0, 0.1, 0.01).scaled(2).seconds(20, 3) == pytest.approx(6.06)


def test_what_is_not_known_is_free() -> None:
    """So it is run, and so becomes known."""
    cost = LearnedCost(0.95)
    assert cost.predict(1000, 10, "full") == cost.expect(1000, 10, "full") == 0.0
    assert cost.known() == {}


def test_one_batch_is_enough_for_a_first_estimate() -> None:
    """A batch of the same size is expected to take the same time."""
    cost = LearnedCost(0.95)
    cost.observe(200, 10, "full", 0.03)
    assert cost.expect(200, 10, "full") == pytest.approx(0.03, rel=0.01)
    assert cost.predict(200, 10, "full") > cost.expect(200, 10, "full")


@pytest.mark.parametrize("seconds", [0.0, -0.001])
def test_a_batch_that_took_no_time_says_nothing(seconds: float) -> None:
    """A clock too coarse for the batch teaches nothing."""
    cost = LearnedCost(0.95)
    cost.observe(200, 10, "full", seconds)
    assert cost.known() == {}


def test_a_calibration_finds_the_curve() -> None:
    """Fixed, per token and per event: all three parts, for sizes never measured too."""
    cost = calibrated()
    for tokens, events in ((1, 1), (300, 6), (4000, 100)):
        expected = TRUE.seconds(tokens, events)
        assert cost.expect(tokens, events, "full") == pytest.approx(expected, rel=0.02)
        assert cost.expect(tokens, events, "low") == pytest.approx(expected / 2, rel=0.02)


def test_small_batches_count_as_much_as_large_ones() -> None:
    """The relative error is what is fitted; one large batch does not decide about single events."""
    cost = LearnedCost(0.9)
    exact = [Measurement(20 * n, n, 0.001 + 0.001 * n) for n in (1, 2, 4)]
    cost.calibrate("full", [*exact, Measurement(20 * 128, 128, 0.2)])
    assert cost.expect(20, 1, "full") == pytest.approx(0.002, rel=0.15)


def test_no_part_of_a_curve_is_below_zero() -> None:
    """Where times fall with the size, the curve is flat rather than negative."""
    cost = LearnedCost(0.9)
    cost.calibrate("full", [Measurement(20 * n, n, 0.02 / n) for n in (1, 2, 4, 8)])
    assert min(cost.coefficients("full")) >= 0.0
    assert cost.predict(10_000, 500, "full") > 0.0


def test_the_prediction_is_the_curve_of_the_coefficients() -> None:
    """Callers that plan with the curve agree with those that ask for a number."""
    cost = calibrated()
    curve = cost.coefficients("full")
    assert cost.predict(123, 7, "full") == pytest.approx(curve.seconds(123, 7))
    assert cost.known() == {"full": curve, "low": cost.coefficients("low")}


def test_a_slower_machine_is_noticed_within_some_batches() -> None:
    """What one effort's batches show holds for all of them: the machine is the same."""
    cost = calibrated()
    for _ in range(30):
        cost.observe(400, 20, "full", 2 * TRUE.seconds(400, 20))
    assert cost.expect(400, 20, "full") == pytest.approx(2 * TRUE.seconds(400, 20), rel=0.1)
    # Part of it went into the fit of the effort that was seen.
    assert cost.expect(400, 20, "low") > 1.3 * TRUE.seconds(400, 20) / 2


def test_a_machine_that_recovers_is_believed_again() -> None:
    """The past is forgotten, in both directions."""
    cost = calibrated()
    for factor in (2.0, 1.0):
        for _ in range(200):
            cost.observe(400, 20, "full", factor * TRUE.seconds(400, 20))
        assert cost.expect(400, 20, "full") == pytest.approx(
            factor * TRUE.seconds(400, 20), rel=0.03
        )


def test_one_pause_moves_no_estimate_far() -> None:
    """A batch that took a hundred times as long changes predictions by less than a quarter."""
    cost = calibrated()
    before = cost.predict(400, 20, "full")
    cost.observe(400, 20, "full", 100 * TRUE.seconds(400, 20))
    assert before < cost.predict(400, 20, "full") < 1.25 * before


@pytest.mark.parametrize("quantile", [0.8, 0.9, 0.95])
def test_the_tail_settles_at_the_quantile_asked_for(quantile: float) -> None:
    """Of noisy batches about the share asked for runs no longer than predicted."""
    cost, dice = calibrated(quantile), random.Random(3)  # noqa: S311 - no secret
    within = []
    for number in range(3_000):
        tokens, events = dice.choice(SIZES)
        seconds = TRUE.seconds(tokens, events) * math.exp(dice.gauss(0.0, 0.2))
        if number >= 500:
            within.append(seconds <= cost.predict(tokens, events, "full"))
        cost.observe(tokens, events, "full", seconds)
    assert fmean(within) == pytest.approx(quantile, abs=0.04)


def test_a_steady_device_still_gets_a_margin() -> None:
    """However exact the batches were, predictions stay a little above what is typical."""
    cost = calibrated()
    for _ in range(500):
        cost.observe(400, 20, "full", TRUE.seconds(400, 20))
    ratio = cost.predict(400, 20, "full") / cost.expect(400, 20, "full")
    assert ratio == pytest.approx(LEAST_TAIL)


def test_events_of_one_length_do_not_upset_the_fit() -> None:
    """Tokens and events then tell the same story; the fit still predicts that length."""
    cost = LearnedCost(0.9)
    for number in range(100):
        events = 1 + number % 20
        cost.observe(20 * events, events, "full", TRUE.seconds(20 * events, events))
    for events in (1, 10, 40):
        assert cost.expect(20 * events, events, "full") == pytest.approx(
            TRUE.seconds(20 * events, events), rel=0.05
        )


def test_what_was_learned_survives_being_written_down() -> None:
    """Predictions go on from it, and so does learning."""
    cost = LearnedCost(0.95)
    cost.calibrate("full", [Measurement(10, 1, 0.003), Measurement(100, 10, 0.012)])
    for _ in range(20):
        cost.observe(50, 5, "full", 0.009)
    other = LearnedCost(0.95)
    other.recall(orjson.loads(orjson.dumps(cost.state())))
    assert other.known() == cost.known()
    for each in (cost, other):
        each.observe(80, 8, "full", 0.02)
    assert other.predict(70, 7, "full") == cost.predict(70, 7, "full")


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"log_speed": "x", "log_tail": 0.1, "efforts": {}},
        {"log_speed": float("nan"), "log_tail": 0.1, "efforts": {}},
        {"log_speed": 0.0, "log_tail": 0.1, "efforts": {"full": {"anchor": [1.0]}}},
        {"log_speed": 0.0, "log_tail": 0.1, "efforts": []},
        {"log_speed": 1e4, "log_tail": 0.1, "efforts": {}},
        {"log_speed": 10**400, "log_tail": 0.1, "efforts": {}},
        {"log_speed": 0.0, "log_tail": -1.0, "efforts": {}},
        {
            "log_speed": 0.0,
            "log_tail": 0.1,
            "efforts": {"full": {"anchor": [0.0] * 9, "recent": [0.0] * 9}},
        },
        {
            "log_speed": 0.0,
            "log_tail": 0.1,
            "efforts": {"full": {"anchor": [-1.0] * 9, "recent": [1.0] * 9}},
        },
    ],
)
def test_nonsense_is_not_recalled(state: dict[str, Any]) -> None:
    """And leaves what is known."""
    cost = LearnedCost(0.95)
    cost.calibrate("full", [Measurement(10, 1, 0.003)])
    before = cost.known()
    with pytest.raises(ValueError, match="not a state of costs"):
        cost.recall(state)
    assert cost.known() == before


def test_what_is_forgotten_leaves_no_trace() -> None:
    """Neither its speed nor its tail: measured anew, costs are those of a fresh model."""
    cost, fresh = LearnedCost(0.95), LearnedCost(0.95)
    cost.calibrate("full", [Measurement(10, 1, 0.003), Measurement(100, 10, 0.012)])
    for _ in range(50):
        cost.observe(50, 5, "full", 0.03)
    cost.forget()
    assert cost.predict(10, 1, "full") == 0.0
    for each in (cost, fresh):
        each.calibrate("full", [Measurement(10, 1, 0.002), Measurement(100, 10, 0.008)])
    assert cost.predict(40, 4, "full") == fresh.predict(40, 4, "full")
    assert cost.expect(40, 4, "full") == fresh.expect(40, 4, "full")
