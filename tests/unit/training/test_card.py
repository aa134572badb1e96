"""The card says what a checkpoint was made from, how, and what it measures."""

import math
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import orjson
import pytest
import torch
import yaml

from inference.training.card import write_card
from inference.training.data import TokenSet
from inference.training.evaluate import quality
from inference.training.figures import (
    Facts,
    confusions,
    load_model,
    losses,
    measure,
    teacher_share,
)
from inference.training.made import Made, Teacher
from inference.training.progress import Lines
from inference.training.settings import TrainingSettings
from streams.commands.train import command
from tests.fakes.small_model import drawn_ids, write_small_checkpoint

NOTICE = "Data: made up for a test; it's under\nno licence (2026)."
SETTINGS = TrainingSettings(
    data=Path("/somewhere/deep/down/train.jsonl"),
    test=Path("/somewhere/deep/down/test.jsonl"),
    out=Path("/somewhere/checkpoints/small"),
    text_field="the headline",
    data_name="made-up",
    data_licence="none",
    data_notice=NOTICE,
    licence="Apache-2.0",
    keep_duplicates=True,
    flips=False,
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


def _facts(directory: Path, test_set: TokenSet) -> Facts:
    scores = torch.rand(90, 3, generator=torch.Generator().manual_seed(1))
    teacher = Teacher(
        name="some/teacher",
        source="https://example.org/teacher",
        licence="MIT",
        scores=scores / scores.sum(dim=1, keepdim=True),
        multiply_adds=1e6,
        parameters=12_345,
    )
    made = Made(
        model=load_model(directory),
        encoder=None,
        test=test_set,
        counts=(811, 92, 90),
        teacher=teacher,
        notes=(),
        sentences="looked at long and hard.",
    )
    return Facts(settings=SETTINGS, threads=2, seconds=754.0, made=made)


@pytest.fixture(scope="module")
def facts(directory: Path, test_set: TokenSet) -> Facts:
    """Return what the small checkpoint is said to be made from."""
    return _facts(directory, test_set)


@pytest.fixture(scope="module")
def written(directory: Path, facts: Facts) -> tuple[str, list[str]]:
    """Return the card of a small checkpoint and what was reported meanwhile."""
    lines: list[str] = []
    write_card(directory, facts, Lines(lines.append))
    return (directory / "README.md").read_text(encoding="utf-8"), lines


@pytest.fixture(scope="module")
def figures(written: tuple[str, list[str]], directory: Path) -> dict[str, Any]:
    """Return the figures beside the card."""
    assert written
    found: dict[str, Any] = orjson.loads((directory / "evaluation.json").read_bytes())
    return found


def test_the_card_says_what_the_model_is(written: tuple[str, list[str]]):
    """Name, version, shape, labels, and what it learned from."""
    card, _ = written
    assert "\n# small 7\n" in card
    assert "4 layers of width 32, 4 experts per layer of which 2 run" in card
    assert "Labels: negative, neutral, positive." in card
    assert "at most 24 tokens" in card
    assert "Learned from 811 texts; " in card
    assert "92 held-out\ntexts" in card
    assert "90 test texts" in card


def test_the_card_holds_the_figures_of_every_effort(
    written: tuple[str, list[str]], directory: Path, test_set: TokenSet, facts: Facts
):
    """As they are measured on the files, with the dense teacher's beside them."""
    card, lines = written
    rungs = list(measure(load_model(directory), test_set))
    assert [rung.name for rung in rungs] == ["full", "single_expert", "first_exit"]
    for rung, line in zip(rungs, lines, strict=False):
        row = re.search(rf"^\| {rung.name} \|.*$", card, re.MULTILINE)
        assert row
        cells = [cell.strip() for cell in row[0].strip("|").split("|")]
        assert cells[1] == str(rung.experts)
        assert cells[3] == f"{rung.quality.accuracy:.4f}"
        assert cells[4] == f"{rung.quality.macro_f1:.4f}"
        assert cells[6] == f"{rung.walk.layers.float().mean():.2f}"
        assert line.startswith(f"{rung.name}: accuracy {rung.quality.accuracy:.4f}")
    assert len({rung.quality.accuracy for rung in rungs}) > 1
    dense = quality(facts.made.teacher.scores, test_set.targets)
    row = (
        f"| dense teacher | all | - | {dense.accuracy:.4f} | {dense.macro_f1:.4f} | {dense.ece:.4f}"
    )
    assert row in card
    assert lines[-1].startswith(f"teacher: accuracy {dense.accuracy:.4f}")


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
    assert "[some/teacher](https://example.org/teacher),\nMIT; looked at long and hard." in card
    assert "Licence of the data: none." in card
    assert "Seed 7, 2 threads of" in card
    assert "13 minutes." in card


def test_the_command_in_the_card_makes_the_same_settings(written: tuple[str, list[str]]):
    """Read by a shell and by the program itself: all that was set, the notice with it."""
    card, _ = written
    words = _words(card.split("```\n")[1])
    assert words[:3] == ["headrace", "train", "down/train.jsonl"]
    options = command.make_context("train", words[2:]).params
    shown = {"data": "down/train.jsonl", "test": "down/test.jsonl", "out": "checkpoints/small"}
    expected = {name: Path(path) for name, path in shown.items()}
    assert TrainingSettings(**options) == replace(SETTINGS, **expected)


def test_a_command_leaves_defaults_out():
    """What is not said is what every run does."""
    plain = TrainingSettings(data=Path("a.jsonl"), out=Path("c"))
    assert _words(plain.command()) == ["headrace", "train", "a.jsonl", "--out", "c"]


def test_the_head_of_the_card_is_yaml_that_hubs_read(written: tuple[str, list[str]]):
    """Licence, data, teacher and results, by the names that Hugging Face gave them."""
    card, lines = written
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["license"] == "Apache-2.0"
    assert head["datasets"] == ["made-up"]
    assert head["base_model"] == "some/teacher"
    assert head["pipeline_tag"] == "text-classification"
    (result,) = head["model-index"][0]["results"]
    assert lines[0].startswith(f"full: accuracy {result['metrics'][0]['value']:.4f}, ")
    assert [each["type"] for each in result["metrics"]] == ["accuracy", "f1"]


def test_the_figures_can_be_read_by_programs(
    figures: dict[str, Any], directory: Path, test_set: TokenSet
):
    """Every effort, the teacher, and what they were measured on and with."""
    model = load_model(directory)
    assert figures["examples"] == {"train": 811, "held_out": 92, "test": 90}
    assert list(figures["efforts"]) == ["full", "single_expert", "first_exit"]
    for rung in measure(model, test_set):
        each = figures["efforts"][rung.name]
        counts = [
            model.config.multiply_adds(layers, rung.experts, tokens)
            for layers, tokens in zip(rung.walk.layers.tolist(), test_set.lengths, strict=True)
        ]
        assert each["multiply_adds"] == pytest.approx(sum(counts) / 90, abs=1)
        assert each["work"] == pytest.approx(each["multiply_adds"] / 1e6, rel=1e-3)
        assert each["accuracy"] == pytest.approx(rung.quality.accuracy)
        assert 0 < each["brier"] < 2
    assert figures["teacher"]["parameters"] == 12_345
    assert sum(row["examples"] for row in figures["per_class"]) == 90
    assert sum(row["share"] for row in figures["reliability"]) == pytest.approx(1)
    assert (figures["threads"], figures["seed"], figures["seconds"]) == (2, 7, 754.0)


def test_what_the_student_costs_against_its_teacher_can_be_found_again(
    figures: dict[str, Any], directory: Path, tmp_path: Path
):
    """With every layer and expert; not where there are no figures, or they are damaged."""
    assert teacher_share(directory) == pytest.approx(figures["multiply_adds"] / 1e6)
    full = figures["efforts"]["full"]
    assert full["multiply_adds"] < figures["multiply_adds"]
    assert teacher_share(tmp_path) is None
    (tmp_path / "evaluation.json").write_text('{"teacher": 3}', encoding="utf-8")
    assert teacher_share(tmp_path) is None


def test_the_diagram_is_an_image_of_the_bins(figures: dict[str, Any], directory: Path):
    """Well-formed, with a bar for each bin that has answers, as high as they are right."""
    root = ET.parse(directory / "reliability.svg").getroot()  # noqa: S314 - our own file
    assert root.tag.endswith("svg")
    bars = [each for each in root if each.get("opacity")]
    filled = [each for each in figures["reliability"] if each["share"]]
    assert len(bars) == len(filled)
    for bar, each in zip(bars, filled, strict=True):
        assert float(bar.get("height", "-1")) == pytest.approx(260 * each["accuracy"], abs=0.1)


def test_of_many_classes_the_worst_are_shown(
    tmp_path: Path, test_set: TokenSet, monkeypatch: pytest.MonkeyPatch
):
    """Ten of them, and the one that stands for none of the others."""
    names = ["oos", *(f"class {n:02}" for n in range(29))]
    directory = write_small_checkpoint(
        tmp_path / "many", id2label=dict(enumerate(names)), label2id={}
    )
    targets = torch.arange(90) % 30
    targets[targets == 0] = 1
    targets[:3] = 0
    facts = _facts(directory, TokenSet(test_set.ids, targets))
    scores = torch.full((90, 30), 1 / 30)
    made = replace(facts.made, teacher=replace(facts.made.teacher, scores=scores))
    monkeypatch.setattr("inference.training.card.WORST", 2)
    write_card(directory, replace(facts, made=made), Lines(lambda _line: None))
    card = (directory / "README.md").read_text(encoding="utf-8")
    assert "## The 2 worst of 30 classes, at full effort" in card
    rows = card.split("| label | precision")[1].split("\n\n")[0].splitlines()[2:]
    assert len(rows) in {2, 3}
    assert any(row.startswith("| oos | ") for row in rows)
    assert "and 10 more.\n" in card


def test_losses_are_those_of_the_textbook():
    """Certain and right: nothing. Certain and wrong: two for Brier."""
    sure = losses(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1]))
    assert sure == {"nll": 0.0, "brier": 0.0}
    wrong = losses(torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    assert wrong["brier"] == 2.0
    even = losses(torch.full((4, 2), 0.5), torch.tensor([0, 1, 0, 1]))
    assert even["nll"] == pytest.approx(math.log(2))
    assert even["brier"] == pytest.approx(0.5)


def test_confusions_come_worst_first_without_right_answers():
    """True class, answer, and how often."""
    scores = torch.eye(3)[[0, 1, 1, 1, 2, 0]]
    found = confusions(scores, torch.tensor([0, 0, 0, 1, 1, 2]), ("a", "b", "c"))
    assert found[0] == {"true": "a", "answer": "b", "count": 2}
    assert found[1:] == [
        {"true": "b", "answer": "c", "count": 1},
        {"true": "c", "answer": "a", "count": 1},
    ]


def _words(command: str) -> list[str]:
    """Split a command as a shell does, lines that go on included."""
    return shlex.split(command.replace("\\\n", ""))
