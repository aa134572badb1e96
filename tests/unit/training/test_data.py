"""Labelled text: read line by line, refused by line and field, split and batched."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from inference.training.data import (
    Example,
    TokenSet,
    check_apart,
    check_labels,
    hold_out,
    read_examples,
)
from schemas.errors import ConfigurationError


def _read(path: Path) -> list[Example]:
    return read_examples(path, text_field="text", label_field="label")


def _examples(**counts: int) -> list[Example]:
    return [Example(f"{label} {n}", label) for label, count in counts.items() for n in range(count)]


def test_a_file_is_read_in_order(tmp_path: Path):
    """Blank lines and other fields are passed over; labels may be numbers or booleans."""
    path = tmp_path / "data.jsonl"
    path.write_bytes(
        b'{"text": "one", "label": "up", "id": 1}\n\n  \r\n{"label": 2, "text": "two"}\r\n'
        b'{"text": "three", "label": true}'
    )
    assert _read(path) == [Example("one", "up"), Example("two", "2"), Example("three", "True")]


def test_fields_go_by_the_names_that_were_given(tmp_path: Path):
    """As ``--text-field`` and ``--label-field`` say."""
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"headline": "one", "topic": "port", "text": 3}\n')
    assert read_examples(path, text_field="headline", label_field="topic") == [
        Example("one", "port")
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "line 3: is not JSON"),
        (b"\xff", "line 3: is not JSON"),
        (b"[1]", r"line 3: must be a JSON object, got b'\[1\]'"),
        (b'{"label": "up"}', r"line 3: has no field 'text' but \['label'\]; .* --text-field"),
        (b'{"text": "x", "sent": "up"}', r"no field 'label' but \['sent', 'text'\]; .*--label-f"),
        (b'{"text": "", "label": "up"}', "line 3: field 'text' must be non-empty text, got ''"),
        (b'{"text": " \\n", "label": "up"}', "line 3: field 'text' must be non-empty text"),
        (b'{"text": 5, "label": "up"}', "line 3: field 'text' must be non-empty text, got 5"),
        (b'{"text": "x", "label": null}', "line 3: field 'label' must be .*, got None"),
        (b'{"text": "x", "label": 1.5}', "line 3: field 'label' must be .*, got 1.5"),
        (b'{"text": "x", "label": ["up"]}', "line 3: field 'label' must be"),
    ],
)
def test_a_bad_line_is_named_with_its_field(tmp_path: Path, line: bytes, message: str):
    """Counted from 1 with blank lines, as an editor counts."""
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"text": "fine", "label": "up"}\n\n' + line + b"\n")
    with pytest.raises(ConfigurationError, match=message) as caught:
        _read(path)
    assert f"{path}, line 3: " in str(caught.value)


def test_a_file_without_examples_is_refused(tmp_path: Path):
    """Nothing, or only blank lines."""
    path = tmp_path / "data.jsonl"
    path.write_bytes(b"\n \n")
    with pytest.raises(ConfigurationError, match=r"data\.jsonl: holds no examples"):
        _read(path)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path):
    """Missing, or a directory."""
    with pytest.raises(ConfigurationError, match=r"none\.jsonl: cannot be read: No such file"):
        _read(tmp_path / "none.jsonl")
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        _read(tmp_path)


def test_labels_are_sorted():
    """Their order is that of the scores, so it may not depend on the data's."""
    assert check_labels(_examples(up=4, down=5, flat=4), _examples(up=1)) == ("down", "flat", "up")


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ({"up": 9}, {"up": 1}, "has one label only, 'up'; at least two are needed"),
        ({"up": 9, "down": 3}, {"up": 1}, r"fewer than 4 training examples: \{'down': 3\}"),
        ({"up": 9, "down": 9}, {"flat": 1, "up": 1}, r"training data lacks: \['flat'\]"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(
    train: dict[str, int], test: dict[str, int], message: str
):
    """One alone, one too rare, or one that is only tested."""
    with pytest.raises(ConfigurationError, match=message):
        check_labels(_examples(**train), _examples(**test))


def test_a_test_text_that_is_learned_from_is_refused():
    """The card says that no figure is of a text that was learned from; this holds it to that."""
    train, test = _examples(up=5, down=5), [Example("new", "up"), Example("up 3", "down")]
    check_apart(train, test[:1])
    with pytest.raises(ConfigurationError, match=r"1 of 2 test texts are training .* 'up 3'"):
        check_apart(train, test)


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
