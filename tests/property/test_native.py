"""Whatever a batch is made of, an event's answer is its own, to the bit."""

import random
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.native.binding import Format, can, instruction_sets
from inference.native.encoder import NativeEncoder
from tests.fakes.small_model import PIECES, small_network

pytestmark = pytest.mark.skipif(
    not instruction_sets(), reason="the native kernels are not built: no C compiler"
)

KINDS = [
    (isa, each.name.lower()) for isa in instruction_sets() for each in Format if can(each, isa)
]
EVENTS = st.lists(
    st.lists(st.integers(0, len(PIECES) - 1), min_size=1, max_size=24), min_size=1, max_size=40
)


@cache
def _encoder(isa: str, precision: str) -> NativeEncoder:
    return NativeEncoder.build(small_network(), precision, isa=isa)


def _run(
    encoder: NativeEncoder, events: list[list[int]], experts: int, threshold: float
) -> list[tuple[list[float], int]]:
    ids = np.array([token for event in events for token in event], np.int32)
    lengths = np.array([len(event) for event in events], np.int32)
    scores, layers = encoder.run(ids, lengths, experts, [threshold] * 4)
    return list(zip(scores.tolist(), layers.tolist(), strict=True))


@pytest.mark.parametrize(("isa", "precision"), KINDS)
@settings(max_examples=25, deadline=None)
@given(
    events=EVENTS,
    experts=st.integers(1, 4),
    threshold=st.sampled_from([0.0, 0.5, 0.6, 0.7, 1.0]),
    chance=st.randoms(use_true_random=False),
)
def test_an_answer_does_not_depend_on_neighbours_or_order(  # noqa: PLR0917 - what hypothesis draws
    isa: str,
    precision: str,
    events: list[list[int]],
    experts: int,
    threshold: float,
    chance: random.Random,
):
    """Alone, in a batch, and in the same batch shuffled."""
    encoder = _encoder(isa, precision)
    together = _run(encoder, events, experts, threshold)
    order = list(range(len(events)))
    chance.shuffle(order)
    shuffled = _run(encoder, [events[place] for place in order], experts, threshold)
    assert [together[place] for place in order] == shuffled
    for place in order[:3]:
        assert _run(encoder, [events[place]], experts, threshold) == [together[place]]
