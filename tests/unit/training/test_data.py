"""Labelled texts: their labels checked, split and batched."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

from inference.training.data import (
    Example,
    TokenSet,
    check_known,
    check_labels,
    hold_out,
)
from schemas.errors import ConfigurationError


def _examples(**counts: int) -> list[Example]:
    return [Example(f"{label} {n}", label) for label, count in counts.items() for n in range(count)]


def test_labels_are_sorted():
    """Their order is that of the scores, so it may not depend on the data's."""
    assert check_labels(_examples(up=4, down=5, flat=4)) == ("down", "flat", "up")


@pytest.mark.parametrize(
    ("counts", "least", "message"),
    [
        ({"up": 9}, 4, "has one label only, 'up'; at least two are needed"),
        ({"up": 9, "down": 3}, 4, r"fewer than 4 training examples: \{'down': 3\}"),
        ({"up": 5, "down": 4, "a": 1}, 5, r"fewer than 5 training examples: \{'a': 1, 'down': 4\}"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(
    counts: dict[str, int], least: int, message: str
):
    """One alone, or some that are too rare; all of these are named."""
    with pytest.raises(ConfigurationError, match=message):
        check_labels(_examples(**counts), least=least)


def test_labels_that_are_tested_alone_are_refused():
    """They could never be answered; which part has them is said."""
    check_known(_examples(up=1, down=1), _examples(up=1), "test")
    with pytest.raises(ConfigurationError, match=r"the test data has 1 labels .*: \['flat'\]"):
        check_known(_examples(up=1, down=1), _examples(flat=1, up=1), "test")


def test_every_label_is_held_out_in_its_share():
    """Each example is in one of both parts, and in one only."""
    examples = _examples(up=40, down=20, flat=4)
    kept, held = hold_out(examples, 0.1, seed=0)
    assert Counter(each.label for each in held) == {"up": 4, "down": 2, "flat": 1}
    assert sorted(kept + held, key=repr) == sorted(examples, key=repr)


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_no_part_is_left_without_a_label(share: float):
    """At the fewest examples that are accepted, and at both ends of the share."""
    kept, held = hold_out(_examples(up=4, down=4), share, seed=0)
    assert {each.label for each in kept} == {each.label for each in held} == {"up", "down"}


def test_the_seed_decides_what_is_held_out():
    """The same seed the same, another seed another part; the file's own order does not remain."""
    examples = _examples(up=50, down=50)
    _, once = hold_out(examples, 0.1, seed=1)
    _, again = hold_out(examples, 0.1, seed=1)
    _, other = hold_out(examples, 0.1, seed=2)
    assert once == again
    assert once != other
    assert once[:5] != examples[50:55]


@pytest.fixture
def texts() -> TokenSet:
    """Return fifty token lists; text n has the class n % 3 and is full of n."""
    lengths = [1 + 7 * n % 11 for n in range(50)]
    return TokenSet([[n] * length for n, length in enumerate(lengths)], torch.arange(50) % 3)


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_a_round_gives_each_text_once_with_its_own_class(texts: TokenSet, seed: int | None):
    """In batches of no more than were asked for."""
    chance = None if seed is None else torch.Generator().manual_seed(seed)
    seen = []
    for batch in texts.batches(8, chance=chance):
        assert len(batch.index) <= 8
        parts = batch.input_ids.split(batch.layout.lengths)
        assert [part.tolist() for part in parts] == [texts.ids[n] for n in batch.index]
        assert torch.equal(batch.targets, batch.index % 3)
        seen += batch.index.tolist()
    assert sorted(seen) == list(range(50))


def test_without_chance_texts_come_from_short_to_long(texts: TokenSet):
    """Texts of equal length lie together, over all batches."""
    lengths = [n for batch in texts.batches(8) for n in batch.layout.lengths]
    assert lengths == sorted(lengths)


def test_chance_orders_the_batches(texts: TokenSet):
    """One seed always the same, and no round like the one before."""
    chance = torch.Generator().manual_seed(5)
    first, second = (
        [batch.index.tolist() for batch in texts.batches(8, chance=chance)] for _ in range(2)
    )
    again = torch.Generator().manual_seed(5)
    assert first == [batch.index.tolist() for batch in texts.batches(8, chance=again)]
    assert first != second


def test_a_round_of_a_large_set_is_a_part_of_it(texts: TokenSet):
    """Another one each time; without chance it is all there."""
    some = replace(texts, per_round=20)
    chance = torch.Generator().manual_seed(1)
    first, second = (
        {place for batch in some.batches(8, chance=chance) for place in batch.index.tolist()}
        for _ in range(2)
    )
    assert len(some) == len(first) == len(second) == 20
    assert first != second
    assert sum(len(batch.index) for batch in some.batches(8)) == 50
    assert len(replace(texts, per_round=70)) == 50
