"""Tables of other people's making are read, and refused by line and column."""

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest

from inference.training.columns import choose_columns, split_column
from inference.training.tables import read_table
from schemas.errors import ConfigurationError

ROWS = [{"text": "one, two", "label": "up"}, {"text": 'a "quoted"\nthing', "label": "down"}]


def _write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _rows(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_table(path).rows]


QUOTED = 'text{0}label\n"one, two"{0}up\n\n"a ""quoted""\nthing"{0}down\n'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b"\n".join(map(orjson.dumps, ROWS)) + b"\n\n  \r\n"),
        ("a.ndjson", b"\r\n".join(map(orjson.dumps, ROWS))),
        ("a.json", orjson.dumps(ROWS, option=orjson.OPT_INDENT_2)),
        ("a.json", b"\n".join(map(orjson.dumps, ROWS))),
        ("a.jsonl.gz", gzip.compress(b"\n".join(map(orjson.dumps, ROWS)))),
        ("a.v2.csv", QUOTED.format(",")),
        ("a.csv", "\ufeff" + QUOTED.format(";")),
        ("a.csv", QUOTED.format("\t")),
        ("a.CSV", QUOTED.format("|")),
        ("a.tsv", QUOTED.format("\t")),
        ("a.tsv.gz", gzip.compress(QUOTED.format("\t").encode())),
    ],
)
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str, content: str | bytes):
    """Blank lines, byte order marks, quotes, other delimiters and gzip included."""
    assert _rows(_write(tmp_path / name, content)) == ROWS


def test_parquet_gives_the_same_rows_and_names_its_classes(tmp_path: Path):
    """Numbers that Hugging Face's metadata names become these names."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.Table.from_pylist(ROWS)
    parquet.write_table(table, tmp_path / "a.parquet")
    assert _rows(tmp_path / "a.parquet") == ROWS
    features = {"label": {"names": ["down", "up"], "_type": "ClassLabel"}, "text": {"_type": "V"}}
    named = pyarrow.Table.from_pylist([{"text": "x", "label": 1}, {"text": "y", "label": 0}])
    facts = orjson.dumps({"info": {"features": features}})
    parquet.write_table(
        named.replace_schema_metadata({"huggingface": facts}), tmp_path / "b.parquet"
    )
    assert [row["label"] for row in _rows(tmp_path / "b.parquet")] == ["up", "down"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"a": 1}\n\n{', "line 3: is not JSON"),
        ("a.jsonl", b'{"a": 1}\n\xff', "line 2: is not JSON"),
        ("a.jsonl", '{"a": 1}\n[1]', r"line 2: must be a JSON object, got b'\[1\]'"),
        ("a.json", '[{"a": 1}, 2]', "item 2: must be an object, got 2"),
        ("a.json", '[{"a": 1}', "is not JSON"),
        ("a.csv", "a,b\n1,2\n3,4,5\n", r"line 3: has 3 values for the 2 columns \['a', 'b'\]; put"),
        ("a.csv", b"a,b\n\xe9,2\n", "is not UTF-8 .*; save it as UTF-8"),
        ("a.csv", "", "holds no examples"),
        ("a.jsonl", "\n \n", "holds no examples"),
        ("a.csv", "a,b\n", "holds no examples"),
        ("a.parquet", "PAR1", "cannot be read"),
        ("a.jsonl.gz", "no gzip", "cannot be read"),
        ("a.xlsx", "PK", r"the ending '\.xlsx' is not known; name the file \.jsonl, .*\.parquet"),
        ("data", "a,b\n", "the ending '' is not known"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: str | bytes, message: str
):
    """File, line and remedy; lines are counted as an editor does."""
    path = _write(tmp_path / name, content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path):
    """Missing, or a directory."""
    with pytest.raises(ConfigurationError, match=r"none: there is no such file"):
        read_table(tmp_path / "none")
    (tmp_path / "some.csv").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        read_table(tmp_path / "some.csv")


def _choose(*columns: str, text: str | None = None, label: str | None = None) -> tuple[str, str]:
    return choose_columns(columns, where="a.csv", text_field=text, label_field=label)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (("text", "label"), ("text", "label")),
        (("id", "Headline", "Sentiment"), ("Headline", "Sentiment")),
        (("utterance", "intent", "split"), ("utterance", "intent")),
        (("text", "title", "label", "topic"), ("text", "label")),
        (("text", "label", "label_text"), ("text", "label_text")),
        (("text", "mood"), ("text", "mood")),
        (("Unnamed: 0", "said", "category"), ("said", "category")),
    ],
)
def test_columns_are_known_by_their_names(columns: tuple[str, ...], expected: tuple[str, str]):
    """In any case; the last of two is what the first is not."""
    assert _choose(*columns) == expected


def test_columns_that_are_named_are_taken():
    """Whatever the names of others suggest."""
    assert _choose("text", "label", "said", text="said") == ("said", "label")
    assert _choose("text", "label", "topic", label="topic") == ("text", "topic")
    assert _choose("label", "class", text="label") == ("label", "class")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("headline", "body", "label"), "name the column of the texts with --text-field"),
        (("text", "topic", "sentiment"), "name the column of the labels with --label-field"),
        (("a", "b"), "of the texts with --text-field and of the labels with --label-field"),
        (("text", "id"), "name the column of the labels with --label-field"),
    ],
)
def test_columns_that_cannot_be_told_are_asked_for(columns: tuple[str, ...], message: str):
    """With what there is, and the flag."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        _choose(*columns)
    assert f"a.csv: has columns {list(columns)}" in str(caught.value)


def test_a_named_column_that_is_missing_is_refused():
    """With what there is instead."""
    with pytest.raises(ConfigurationError, match=r"no column 'x' but \['text', 'y'\]; .*--label-f"):
        _choose("text", "y", label="x")


def test_the_column_of_parts_is_known_by_its_name():
    """If there is one."""
    assert split_column(("text", "Split")) == "Split"
    assert split_column(("text", "label")) is None
