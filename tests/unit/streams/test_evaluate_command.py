"""``headrace evaluate`` on a small model: tables, parts, and mistakes told in one line."""

from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from schemas.errors import ConfigurationError
from streams.cli import cli
from streams.terminal.tables import aligned
from tests.fakes.hub_models import write_text_model
from tests.fakes.small_model import LABELS, WORDS, write_small_checkpoint


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small checkpoint."""
    return write_small_checkpoint(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write thirty headlines to test on, of words that the model has, and one to learn from."""
    path = tmp_path_factory.mktemp("data") / "all.jsonl"
    rows = [
        {
            "text": " ".join(WORDS[n % 7 : 8 + n % 5]),
            "label": LABELS[n % 3].upper(),
            "split": "test",
        }
        for n in range(30)
    ]
    rows.append({"text": "not looked at", "label": "sideways", "split": "train"})
    path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    return path


def _run(model: Path, data: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["evaluate", str(model), str(data), *words])


def _row(lines: Sequence[str], name: str) -> list[str]:
    (line,) = (line for line in lines if line.startswith(f"{name} "))
    return line.removeprefix(name).split()


def test_every_effort_stands_beside_the_others(model: Path, data: Path):
    """Cheaper from left to right; only the part that is asked for is measured."""
    result = _run(model, data, "--effort", "all", "--precision", "fp32")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"30 events, {data} (test)"
    assert lines[2].split() == ["small", "full", "small", "single_expert", "small", "first_exit"]
    work = [float(each.rstrip("%")) for each in _row(lines, "work")]
    assert work == sorted(work, reverse=True)
    assert work[0] > work[1]
    assert _row(lines, "mean layers")[2] == "1.00"
    assert {"accuracy", "ece", "brier", "active", "events"} <= {
        line.split()[0] for line in lines if line
    }


def test_classes_are_listed_where_that_is_asked_for(model: Path, data: Path):
    """With the events of each."""
    result = _run(model, data, "--per-class", "--effort", "first_exit")
    lines = result.stdout.splitlines()
    assert [_row(lines, label)[-1] for label in LABELS] == ["10", "10", "10"]
    assert "small first_exit" in lines


def test_json_holds_what_the_tables_show(model: Path, data: Path):
    """And nothing else is written to standard output."""
    result = _run(model, data, "--json", "--per-class")
    document = orjson.loads(result.stdout)
    (run,) = document["runs"]
    assert (run["model"], run["effort"], document["events"]) == ("small", "full", 30)
    assert [row["label"] for row in run["per_class"]] == list(LABELS)
    assert "comparison" not in document


def test_a_comparison_says_how_sure_it_is(
    model: Path, data: Path, tmp_path_factory: pytest.TempPathFactory
):
    """The difference with its interval, and what only one has right."""
    other = write_small_checkpoint(
        tmp_path_factory.mktemp("models") / "other", seed=1, checkpoint_name="other"
    )
    words = ("--against", str(other), "--precision", "fp32")
    document = orjson.loads(_run(model, data, *words, "--json").stdout)
    found = document["comparison"]
    first, second = (run["figures"]["accuracy"] for run in document["runs"])
    assert found["accuracy"]["difference"] == pytest.approx(first - second)
    uneven = found["only_first_right"] - found["only_second_right"]
    assert uneven / 30 == pytest.approx(first - second)
    shown = _run(model, data, *words).stdout
    assert "small full less other full, with 95 % confidence" in shown
    assert f"only the first is right {found['only_first_right']} times" in shown


def test_a_dense_model_of_others_stands_beside_ours(model: Path, data: Path, tmp_path: Path):
    """What cannot be counted of it is left open."""
    other = write_text_model(tmp_path / "dense")
    result = _run(model, data, "--against", str(other), "--precision", "fp32")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert _row(lines, "active share")[1] == "100.0%"
    assert _row(lines, "work")[1] == "-"
    assert "small full less dense full, with 95 % confidence" in lines


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--split", "val"), "has no examples of part held_out but {'train': 1, 'test': 30}"),
        (("--split", "all"), "that the model does not know: ['sideways']; it knows ['negative'"),
        (("--effort", "half"), "has none that is called 'half'; it has full, single_expert, first"),
        (("--effort", "all", "--against", "x"), "--effort all goes without --against"),
        (("--label-field", "mood"), "has no column 'mood' but ['text', 'label', 'split']"),
        (("--against", "nowhere"), "nowhere"),
        (("--precision", "fp7"), "fp7"),
    ],
)
def test_what_cannot_be_measured_is_said(
    model: Path, data: Path, words: tuple[str, ...], complaint: str
):
    """With the name that is wrong and those that are right."""
    result = _run(model, data, *words)
    assert isinstance(result.exception, ConfigurationError)
    assert complaint in str(result.exception)


def test_images_are_not_shown_to_a_model_of_texts(tmp_path: Path):
    """What it reads is said."""
    model = write_small_checkpoint(tmp_path / "small")
    images = tmp_path / "images"
    images.mkdir()
    (images / "labels.csv").write_text("file,label,split\nx.png,up,test\n", encoding="utf-8")
    (images / "x.png").write_bytes(b"not looked into")
    result = _run(model, images)
    assert isinstance(result.exception, ConfigurationError)
    assert "the data are images, and the model reads news, transcript" in str(result.exception)


def test_columns_are_aligned():
    """The first to the left, numbers to the right."""
    assert aligned([["", "ab"], ["name", "1"]]) == "      ab\nname   1"
