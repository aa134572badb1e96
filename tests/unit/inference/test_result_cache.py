"""Answers kept by content: the same for the same, for so long, in so much memory."""

from array import array

import pytest

from inference.engine import Encoded, Prediction
from inference.result_cache import Cache, ResultCache, content_key
from schemas.events import CameraEvent, NewsEvent

HEADLINE = NewsEvent(id="a", headline="Mill reopens")


def _prediction(score: float = 0.5) -> Prediction:
    return Prediction((score, 1 - score), active_share=0.1, layers=1, experts=2)


def test_texts_are_the_same_if_the_model_reads_the_same():
    """Whatever they are called and whoever sent them; ids, not letters, decide."""
    one = content_key(HEADLINE, Encoded(3, [1, 70_000, 3]))
    other = NewsEvent(id="b", headline="MILL reopens", source="wire")
    assert one == content_key(other, Encoded(3, [1, 70_000, 3]))
    assert one != content_key(other, Encoded(3, [1, 70_000, 4]))
    assert one != content_key(other, Encoded(4, [1, 70_000, 3, 3]))


def test_images_are_the_same_if_their_files_are():
    """What was decoded of them does not matter."""
    key = content_key(CameraEvent(id="a", image=b"one"), Encoded(6, None))
    assert key == content_key(CameraEvent(id="b", image=b"one", camera_id="c"), Encoded(6, None))
    assert key != content_key(CameraEvent(id="a", image=b"two"), Encoded(6, None))


def test_what_another_engine_makes_of_texts_may_have_no_key():
    """Then nothing is kept, rather than the wrong thing."""
    assert content_key(HEADLINE, Encoded(3, {"ids": [1]})) is None
    assert content_key(HEADLINE, Encoded(3, array("i", [1, 2]))) is not None


def test_an_answer_is_given_again_while_it_is_recent():
    """After that, only to what would be shed."""
    cache = ResultCache(Cache(max_age_ms=1_000))
    cache.keep(b"k", _prediction(), 10.0, degraded=False)
    assert cache.fresh(b"k", 11.0)
    assert cache.fresh(b"k", 11.1) is None
    assert cache.any(b"k")
    assert cache.any(b"other") is None


def test_a_lesser_answer_does_not_replace_a_full_one():
    """A full one replaces a lesser one; only full ones are given again as a matter of course."""
    cache = ResultCache(Cache())
    cache.keep(b"k", _prediction(0.2), 1.0, degraded=True)
    assert cache.fresh(b"k", 1.0) is None
    cache.keep(b"k", _prediction(0.7), 2.0, degraded=False)
    cache.keep(b"k", _prediction(0.2), 3.0, degraded=True)
    known = cache.fresh(b"k", 3.0)
    assert known
    assert known.prediction == _prediction(0.7)
    assert known.found_at == 2.0
    assert len(cache) == 1


def test_what_was_used_the_longest_ago_goes_first():
    """And memory stays within its bound."""
    cache = ResultCache(Cache(max_bytes=65_536))
    count = 0
    while cache.bytes + 2_000 < 65_536:
        cache.keep(str(count).encode(), _prediction(), 0.0, degraded=False)
        count += 1
    assert cache.fresh(b"0", 0.0)
    for number in range(count, count + 20):
        cache.keep(str(number).encode(), _prediction(), 0.0, degraded=False)
    assert cache.bytes <= 65_536
    assert cache.any(b"0")
    assert cache.any(b"1") is None


@pytest.mark.parametrize("labels", [2, 77])
def test_memory_is_counted_by_the_scores(labels: int):
    """An answer of many labels takes more."""
    cache = ResultCache(Cache())
    cache.keep(b"k", Prediction((1 / labels,) * labels, 0.1, 1, 2), 0.0, degraded=False)
    assert cache.bytes == 512 + 32 * labels
