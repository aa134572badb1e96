"""A labelled set becomes parts that have no text in common."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest

from inference.training.data import Example
from inference.training.parts import Source, held_out_share, read_part, read_parts
from schemas.errors import ConfigurationError


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def _some(start: int, count: int, **more: str) -> list[dict[str, str]]:
    """Return rows of texts that differ, half of them up and half of them down."""
    return [
        {"text": f"text {n}", "label": ("up", "down")[n % 2], **more}
        for n in range(start, start + count)
    ]


def _texts(examples: Iterable[Example]) -> set[str]:
    return {each.text for each in examples}


def test_one_table_is_split_label_by_label(tmp_path: Path):
    """A fifth to test on, a fifth of the rest to calibrate on; the seed decides which."""
    data = _write(tmp_path / "all.jsonl", _some(0, 200))
    parts = read_parts(Source(data=data))
    assert [len(each) for each in (parts.train, parts.held_out, parts.test)] == [128, 32, 40]
    assert Counter(each.label for each in parts.test) == {"up": 20, "down": 20}
    everything = parts.train + parts.held_out + parts.test
    assert _texts(everything) == {f"text {n}" for n in range(200)}
    assert len(everything) == 200
    assert any("40 examples were split off at random" in note for note in parts.notes)
    again, other = read_parts(Source(data=data)), read_parts(Source(data=data, seed=1))
    assert again.test == parts.test
    assert other.test != parts.test


def test_a_column_of_parts_is_heeded(tmp_path: Path):
    """By any of the usual names."""
    rows = [*_some(0, 20, split="train"), *_some(20, 4, split="Validation")]
    data = _write(tmp_path / "all.jsonl", [*rows, *_some(24, 6, split="test")])
    parts = read_parts(Source(data=data))
    assert [len(each) for each in (parts.train, parts.held_out, parts.test)] == [20, 4, 6]
    assert _texts(parts.test) == {f"text {n}" for n in range(24, 30)}
    with pytest.raises(ConfigurationError, match="field 'split' is 'later'; it must be one of tra"):
        read_parts(Source(data=_write(tmp_path / "odd.jsonl", _some(0, 9, split="later"))))


def test_files_of_their_own_replace_parts(tmp_path: Path):
    """Which is said where the data had such a part itself."""
    rows = [*_some(0, 20, split="train"), *_some(20, 6, split="test")]
    data = _write(tmp_path / "all.jsonl", rows)
    test = _write(tmp_path / "test.jsonl", _some(30, 4))
    val = _write(tmp_path / "val.jsonl", _some(40, 2))
    parts = read_parts(Source(data=data, test=test, val=val))
    assert _texts(parts.test) == {f"text {n}" for n in range(30, 34)}
    assert _texts(parts.held_out) == {"text 40", "text 41"}
    assert len(parts.train) == 20
    assert any("its 6 examples of part 'test' are replaced" in note for note in parts.notes)


def test_a_folder_has_a_table_per_part(tmp_path: Path):
    """As data sets are published."""
    _write(tmp_path / "train.jsonl", _some(0, 20))
    (tmp_path / "test.csv").write_text("text,label\nnew,up\nother,down\n", encoding="utf-8")
    _write(tmp_path / "dev.jsonl", _some(20, 4))
    parts = read_parts(Source(data=tmp_path))
    assert [len(each) for each in (parts.train, parts.held_out, parts.test)] == [20, 4, 2]
    _write(tmp_path / "test.jsonl", _some(30, 4))
    with pytest.raises(ConfigurationError, match=r"test\.csv and test\.jsonl are one part in two"):
        read_parts(Source(data=tmp_path))


def test_a_folder_without_tables_is_refused(tmp_path: Path):
    """With what is looked for."""
    with pytest.raises(
        ConfigurationError, match=r"holds no table train or .* no images with labels\.csv"
    ):
        read_parts(Source(data=tmp_path))


def test_texts_that_are_tested_on_are_not_learned_from(tmp_path: Path):
    """Case and spacing make no other text; how many there were is said."""
    train = [
        *_some(0, 20),
        {"text": " TEXT   30", "label": "up"},
        {"text": "text 40", "label": "up"},
    ]
    data = _write(tmp_path / "train.jsonl", train)
    test = _write(tmp_path / "test.jsonl", _some(30, 4))
    val = _write(tmp_path / "val.jsonl", [*_some(33, 1), *_some(40, 2)])
    files = {"data": data, "test": test, "val": val}
    parts = read_parts(Source(**files))
    assert len(parts.train) == 20
    assert _texts(parts.held_out) == {"text 40", "text 41"}
    assert any(note.startswith("2 texts to train or calibrate on are") for note in parts.notes)
    kept = read_parts(Source(**files, keep_duplicates=True))
    assert (len(kept.train), len(kept.held_out)) == (22, 3)
    assert any("the figures flatter" in note for note in kept.notes)


def test_one_file_for_both_leaves_nothing_to_learn(tmp_path: Path):
    """Which is the likely mistake, so it is named."""
    data = _write(tmp_path / "a.jsonl", _some(0, 20))
    with pytest.raises(
        ConfigurationError, match=r"no training text is left .* one file given for b"
    ):
        read_parts(Source(data=data, test=data))


def test_conflicting_labels_are_counted_and_stay(tmp_path: Path):
    """Which of them is right is not for us to say."""
    odd = [{"text": "odd", "label": label} for label in ("up", "down") for _ in range(3)]
    data = _write(tmp_path / "a.jsonl", [*_some(0, 20), *odd])
    parts = read_parts(Source(data=data, test=_write(tmp_path / "b.jsonl", _some(30, 4))))
    assert sum(each.text == "odd" for each in parts.train) + sum(
        each.text == "odd" for each in parts.held_out
    ) in range(1, 7)
    parts = read_parts(
        Source(
            data=data,
            test=tmp_path / "b.jsonl",
            val=_write(tmp_path / "c.jsonl", _some(40, 4)),
        )
    )
    assert sum(each.text == "odd" for each in parts.train) == 6
    assert "1 training texts carry several labels" in parts.notes[-1]
    assert "'odd': down, up" in parts.notes[-1]


def test_rows_without_text_or_label_are_left_out(tmp_path: Path):
    """Counted, the first one named; there is something of the kind in most people's files."""
    empty = [{"text": "", "label": "up"}, {"text": " \n", "label": "up"}, {"text": "x"}]
    data = _write(tmp_path / "a.jsonl", [*_some(0, 40), *empty, {"text": None, "label": "up"}])
    parts = read_parts(Source(data=data))
    assert len(parts.train + parts.held_out + parts.test) == 40
    assert any("4 rows without a text or a label are left out, first" in n for n in parts.notes)
    assert any("line 41" in note for note in parts.notes)
    with pytest.raises(ConfigurationError, match="holds no row with both a text and a label"):
        read_parts(Source(data=_write(tmp_path / "b.jsonl", empty)))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": 5, "label": "up"}, "line 41: field 'text' must be text, got 5; .*--text-field"),
        ({"text": "x", "label": 1.5}, "field 'label' must be text or a whole number, got 1.5"),
        ({"text": "x", "label": ["up"]}, "field 'label' must be .* got an array of 1 items; name"),
    ],
)
def test_a_row_of_the_wrong_kind_is_refused(tmp_path: Path, row: dict[str, Any], message: str):
    """It is likely another column that was meant."""
    data = _write(tmp_path / "a.jsonl", [*_some(0, 40), row])
    with pytest.raises(ConfigurationError, match=message):
        read_parts(Source(data=data))


@pytest.mark.parametrize("kind", [int, float])
def test_labels_may_be_numbers(tmp_path: Path, kind: type):
    """They go by their digits; tables with gaps hold whole numbers as floats."""
    rows = [{"text": f"t {n}", "label": kind(n % 3)} for n in range(60)]
    assert read_parts(Source(data=_write(tmp_path / "a.jsonl", rows))).labels == ("0", "1", "2")


def test_a_rare_label_is_named_before_anything_is_split(tmp_path: Path):
    """Five are needed where a test part is split off, four where there is one."""
    rows = [*_some(0, 40), *({"text": f"rare {n}", "label": "flat"} for n in range(4))]
    data = _write(tmp_path / "a.jsonl", rows)
    with pytest.raises(ConfigurationError, match=r"fewer than 5 training examples: \{'flat': 4\}"):
        read_parts(Source(data=data))
    test = _write(tmp_path / "b.jsonl", _some(50, 4))
    assert read_parts(Source(data=data, test=test)).labels == ("down", "flat", "up")


def test_large_sets_give_no_more_to_the_test_than_is_needed(tmp_path: Path):
    """More than five thousand would make no figure surer."""
    data = _write(tmp_path / "a.jsonl", _some(0, 40_000))
    assert len(read_parts(Source(data=data)).test) == 5_000


def test_a_part_can_be_read_alone(tmp_path: Path):
    """For measuring: the test part where parts are named, everything where they are not."""
    rows = [*_some(0, 20, split="train"), *_some(20, 6, split="test")]
    data = _write(tmp_path / "all.jsonl", rows)
    assert len(read_part(Source(data=data), "test")[0]) == 6
    assert len(read_part(Source(data=_write(tmp_path / "t.jsonl", _some(0, 9))), "test")[0]) == 9
    with pytest.raises(ConfigurationError, match="has no examples of part held_out but"):
        read_part(Source(data=data), "held_out")


@pytest.mark.parametrize(
    ("examples", "share"), [(50, 0.2), (1_000, 0.2), (1_250, 0.16), (2_000, 0.1), (90_000, 0.1)]
)
def test_more_of_a_small_set_is_held_out(examples: int, share: float):
    """Two hundred examples where a fifth of it has as many; a tenth of large ones."""
    assert held_out_share(examples) == pytest.approx(share)
