"""Corrupted copies of texts, which a student learns from without labels."""

import random
from collections import Counter

import pytest
import torch

from inference.training.augment import NO_LABEL, Corruptor
from inference.training.data import Batch, TokenSet

FIRST, LAST, MASK = 1, 2, 3
TEXTS = [[FIRST, *range(10 * n, 10 * n + 3 + n % 6), LAST] for n in range(1, 41)]


@pytest.fixture
def texts() -> TokenSet:
    """Return forty texts of three to eight words, each with words of its own."""
    return TokenSet(TEXTS, torch.arange(40) % 3)


def _corrupted(texts: TokenSet, batch: Batch, seed: int) -> Batch:
    return Corruptor(texts, MASK)(batch, torch.Generator().manual_seed(seed))


def test_a_batch_keeps_its_texts_and_gains_a_copy_of_each(texts: TokenSet):
    """Originals untouched under their labels; as many copies without one; shortest first."""
    batch = next(texts.batches(16))
    both = _corrupted(texts, batch, 0)
    parts = [part.tolist() for part in both.input_ids.split(both.layout.lengths)]
    kept = [ids for ids, target in zip(parts, both.targets, strict=True) if target != NO_LABEL]
    assert Counter(map(tuple, kept)) == Counter(tuple(TEXTS[place]) for place in batch.index)
    assert (both.targets == NO_LABEL).sum() == 16
    assert list(both.layout.lengths) == sorted(both.layout.lengths)
    for ids, target, place in zip(parts, both.targets, both.index.tolist(), strict=True):
        assert target == NO_LABEL or (ids == TEXTS[place] and target == place % 3)


def test_copies_are_texts_of_usual_length():
    """Special tokens at both ends and nowhere else, something between, no longer than any text."""
    texts = TokenSet([*TEXTS, [FIRST, LAST], [FIRST, 9, LAST]], torch.zeros(42).long())
    chance = random.Random(1)  # noqa: S311 - reproducible, not secret
    corruptor = Corruptor(texts, MASK)
    copies = [corruptor.corrupt(ids, chance) for ids in texts.ids for _ in range(50)]
    assert all(ids[0] == FIRST and ids[-1] == LAST for ids in copies)
    assert all(not {FIRST, LAST} & set(ids[1:-1]) for ids in copies)
    assert {len(ids) for ids in copies} <= set(range(3, 11))


def test_words_are_masked_replaced_dropped_cut_and_joined(texts: TokenSet):
    """Each happens, and most words stay."""
    corruptor = Corruptor(texts, MASK)
    chance = random.Random(2)  # noqa: S311 - reproducible, not secret
    words = TEXTS[4][1:-1]
    copies = [corruptor.corrupt(TEXTS[4], chance)[1:-1] for _ in range(400)]
    assert sum(MASK in copy for copy in copies) > 20
    assert sum(copy == words[: len(copy)] and len(copy) < len(words) for copy in copies) > 10
    assert sum(len(copy) == len(words) and copy != words for copy in copies) > 20
    assert sum(word in words for copy in copies for word in copy) > 1_500
    assert sum(copy == words for copy in copies) > 40


def test_the_same_seed_makes_the_same_copies(texts: TokenSet):
    """And another seed others."""
    batch = next(texts.batches(16))
    first, same, other = (_corrupted(texts, batch, seed).input_ids for seed in (3, 3, 4))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
