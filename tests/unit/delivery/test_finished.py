"""Finished offsets beyond the committed one travel in the commit's metadata."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.delivery.finished import SPAN, decode_finished, encode_finished

METADATA_MOST = 4_096
"""What a broker takes as metadata unless told otherwise."""


@given(
    position=st.integers(0, 2**53),
    places=st.sets(st.integers(0, SPAN - 1), max_size=300),
)
def test_what_is_written_is_read(position: int, places: set[int]) -> None:
    """Whatever finished, in whatever order."""
    offsets = [position + place for place in places]
    assert decode_finished(position, encode_finished(position, offsets)) == sorted(offsets)


def test_it_fits_even_where_it_cannot_be_compressed() -> None:
    """Every second offset, at random, over the whole span."""
    draw = random.Random(1)  # noqa: S311 - a pattern, no secret
    places = [place for place in range(SPAN) if draw.random() < 0.5]
    assert len(encode_finished(0, places)) <= METADATA_MOST


def test_offsets_out_of_reach_are_refused() -> None:
    """Neither before the position nor farther than the metadata has room for."""
    for offset in (9, 10 + SPAN):
        with pytest.raises(ValueError, match=f"offset {offset} is not within"):
            encode_finished(10, [offset])


@pytest.mark.parametrize("metadata", ["", "set by an operator", "headrace2:abc"])
def test_metadata_of_others_says_nothing(metadata: str) -> None:
    """Tools that set offsets may leave notes of their own."""
    assert decode_finished(5, metadata) == []


@pytest.mark.parametrize("damage", ["headrace1:%%%", "headrace1:AAAA", "cut"])
def test_damaged_metadata_is_an_error(damage: str) -> None:
    """To go on without it would answer events twice."""
    whole = encode_finished(0, range(0, 900, 7))
    with pytest.raises(ValueError, match="finished offsets"):
        decode_finished(0, whole[:-8] if damage == "cut" else damage)
