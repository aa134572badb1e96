"""What is written of the committed checkpoints keeps to what is known and promised."""

from typing import Any

import pytest

pytestmark = pytest.mark.quality

LOSS = {
    "camera-solar-infrared": 0.012,
    "camera-steel-defects": 0.005,
    "news-sentiment": 0.005,
    "news-topic": 0.005,
    "transcript-intent": 0.005,
}
"""Macro-F1 that is lost against the dense teacher, as measured. 0.005 is what is aimed at."""


@pytest.fixture(scope="module", params=LOSS)
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of a checkpoint."""
    return str(request.param)


def test_figures_are_no_worse_than_known(name: str, figures: dict[str, Any]):
    """Against its own dense teacher, at full effort; work, share and calibration as promised."""
    full, teacher = figures["efforts"]["full"], figures["teacher"]
    assert full["macro_f1"] >= teacher["macro_f1"] - LOSS[name]
    assert full["work"] <= 0.2
    assert full["active_share"] <= 0.2
    assert full["ece"] <= 0.05
    work = [each["work"] for each in figures["efforts"].values()]
    assert work == sorted(work, reverse=True)
