"""The card says what a checkpoint was made from, how, and what it measures."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from inference.model import SparseEncoderForSequenceClassification
from inference.training.__main__ import main
from inference.training.card import Facts, measure, write_card
from inference.training.data import TokenSet
from inference.training.evaluate import Quality
from inference.training.settings import TrainingSettings
from tests.fakes.small_model import drawn_ids, write_small_checkpoint

NOTICE = "Data: made up for a test; it's under\nno licence (2026)."
SETTINGS = TrainingSettings(
    data=Path("/somewhere/deep/down/train.jsonl"),
    test=Path("/somewhere/deep/down/test.jsonl"),
    out=Path("/somewhere/checkpoints/small"),
    text_field="the headline",
    data_notice=NOTICE,
    epochs=9,
    rate=3e-5,
    seed=7,
)


@pytest.fixture(scope="module")
def test_set() -> TokenSet:
    """Return texts with classes at random."""
    lengths = [1 + n % 8 for n in range(90)]
    ids = [part.tolist() for part in drawn_ids(lengths).split(lengths)]
    return TokenSet(ids, torch.arange(90) % 3)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small checkpoint."""
    return write_small_checkpoint(tmp_path_factory.mktemp("card") / "small")


@pytest.fixture(scope="module")
def written(directory: Path, test_set: TokenSet) -> tuple[str, list[str]]:
    """Return the card of a small checkpoint and what was reported meanwhile."""
    dense = Quality(accuracy=0.8765, macro_f1=0.8654, ece=0.0321, per_class=())
    facts = Facts(settings=SETTINGS, seconds=754.0, texts=(811, 92, 90), teacher=dense)
    lines: list[str] = []
    write_card(directory, facts, test_set, lines.append)
    return (directory / "README.md").read_text(encoding="utf-8"), lines


def test_the_card_says_what_the_model_is(written: tuple[str, list[str]]):
    """Name, version, shape, labels, and what it learned from."""
    card, _ = written
    assert card.startswith("# small 7\n")
    assert "4 layers of width 32, 4 experts per layer of which 2 run" in card
    assert "Labels: negative, neutral, positive." in card
    assert "at most 24 tokens" in card
    assert "Learned from 811 texts; " in card
    assert "92 held-out texts" in card
    assert "90 test texts" in card


def test_the_card_holds_the_figures_of_every_effort(
    written: tuple[str, list[str]], directory: Path, test_set: TokenSet
):
    """As they are measured on the files, with the dense teacher's beside them."""
    card, lines = written
    model = SparseEncoderForSequenceClassification.from_pretrained(directory).eval()
    rungs = list(measure(model, test_set))
    assert [rung.name for rung in rungs] == ["full", "single_expert", "first_exit"]
    for rung, line in zip(rungs, lines, strict=True):
        row = re.search(rf"^\| {rung.name} \|.*$", card, re.MULTILINE)
        assert row
        cells = [cell.strip() for cell in row[0].strip("|").split("|")]
        assert cells[1] == str(rung.experts)
        assert cells[3] == f"{rung.quality.accuracy:.4f}"
        assert cells[4] == f"{rung.quality.macro_f1:.4f}"
        assert cells[6] == f"{rung.walk.layers.float().mean():.2f}"
        assert line.startswith(f"{rung.name}: accuracy {rung.quality.accuracy:.4f}")
    assert len({rung.quality.accuracy for rung in rungs}) > 1
    assert "| dense teacher | all | - | 0.8765 | 0.8654 | 0.0321 |" in card


def test_texts_that_leave_at_each_exit_add_up(written: tuple[str, list[str]]):
    """One row per layer; together they are all texts."""
    card, _ = written
    shares = re.findall(r"^\| (\d) \| ([\d.]+)% \|", card, re.MULTILINE)
    assert [int(layer) for layer, _ in shares] == [1, 2, 3, 4]
    assert sum(float(share) for _, share in shares) == pytest.approx(100, abs=0.3)


def test_the_card_names_data_teacher_and_licences(written: tuple[str, list[str]]):
    """The notice as it was given, and where the weights come from."""
    card, _ = written
    assert NOTICE in card
    assert "sentence-transformers/all-MiniLM-L6-v2" in card
    assert "Apache-2.0" in card
    assert "Seed 7, 2 threads of" in card
    assert "13 minutes." in card


def test_the_command_in_the_card_makes_the_same_settings(written: tuple[str, list[str]]):
    """Read by a shell and by the program itself: all that was set, the notice with it."""
    card, _ = written
    words = _words(card.split("```\n")[1])
    assert words[:3] == ["python", "-m", "inference.training"]
    options = main.make_context("train", words[3:]).params
    shown = {"data": "down/train.jsonl", "test": "down/test.jsonl", "out": "checkpoints/small"}
    expected = {name: Path(path) for name, path in shown.items()}
    assert TrainingSettings(**options) == TrainingSettings(
        **{name: getattr(SETTINGS, name) for name in options} | expected
    )


def test_a_command_leaves_defaults_out():
    """What is not said is what every run does."""
    plain = TrainingSettings(data=Path("a.jsonl"), test=Path("b.jsonl"), out=Path("c"))
    words = "python -m inference.training --data a.jsonl --test b.jsonl --out c"
    assert _words(plain.command()) == words.split()


def _words(command: str) -> list[str]:
    """Split a command as a shell does, lines that go on included."""
    return shlex.split(command.replace("\\\n", ""))
