"""Batches beside what they were taken to cost."""

from xml.etree import ElementTree as ET

from cost_plot import plot, sample

from inference.cost import LearnedCost
from tests.fakes.engine import EFFORTS, FakeEngine, encode_words

ENCODED = [encode_words(["word"] * length) for length in (3, 8, 13)]


def test_a_batch_is_predicted_before_it_is_learned_from() -> None:
    """The first of an effort is predicted to be free, as nothing is known of it."""
    cost = LearnedCost(0.95)
    found = sample(FakeEngine(), ENCODED, cost, 60, seed=2)
    assert {one.effort for one in found} == {effort.name for effort in EFFORTS}
    seen: set[str] = set()
    for one in found:
        assert (one.predicted_s > 0) == (one.effort in seen)
        seen.add(one.effort)


def test_the_plot_shows_every_batch() -> None:
    """And a curve, and what is hardly exceeded, for each effort."""
    cost = LearnedCost(0.95)
    found = sample(FakeEngine(), ENCODED, cost, 40, seed=2)
    svg = ET.fromstring(plot(found, cost, "a caption"))  # noqa: S314 - our own
    shapes = [element.tag.rpartition("}")[2] for element in svg.iter()]
    texts = [element.text for element in svg.iter() if element.text]
    assert shapes.count("circle") >= 40
    assert all(effort.name in texts for effort in EFFORTS)
    assert "a caption" in texts
