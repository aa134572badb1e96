"""The checkpoint that comes with the package: what it is, what its card says, how well it reads."""

import re
import shlex
from pathlib import Path

import orjson
import pytest
import torch
from safetensors import safe_open

from inference.checkpoint import CHECKPOINTS, load_engine
from inference.engine import Engine, Prediction
from inference.kernels import Layout
from inference.model import SparseEncoderConfig, SparseEncoderForSequenceClassification
from inference.training.evaluate import Quality, quality
from inference.training.settings import TrainingSettings
from inference.training.text_recipe import TextRecipe
from schemas.events import NewsEvent
from streams.commands.train import command

pytestmark = pytest.mark.quality

DIRECTORY = CHECKPOINTS / "news-sentiment"
CARD = (DIRECTORY / "README.md").read_text(encoding="utf-8")
CONFIG = orjson.loads((DIRECTORY / "config.json").read_bytes())
EFFORTS = [effort["name"] for effort in CONFIG["efforts"]]
BATCH = 64

LEAST = {"full": 0.93, "early_exit": 0.93, "single_expert": 0.93, "first_exit": 0.91}
"""Accuracy on our own headlines: measured 59 of 60 right, 58 by the first exit."""


@pytest.fixture(scope="module", params=["fp32", "bf16", "int8"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return the checkpoint in one precision; a worker takes what its processor does best."""
    return load_engine("news-sentiment", precision=request.param)


@pytest.fixture(scope="module")
def sentfin(pytestconfig: pytest.Config) -> list[dict[str, str]]:
    """Return the test split that the card's figures are of."""
    folder: Path | None = pytestconfig.getoption("--data")
    if folder is None:
        pytest.skip("needs --data DIR with news/sentfin_sentiment/test.jsonl")
    return _read(folder / "news" / "sentfin_sentiment" / "test.jsonl")


def _read(path: Path) -> list[dict[str, str]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def _classify(engine: Engine, rows: list[dict[str, str]], effort: str) -> list[Prediction]:
    (level,) = (each for each in engine.efforts if each.name == effort)
    encoded = engine.encode([NewsEvent(id="n", headline=row["text"]) for row in rows])
    return [
        prediction
        for start in range(0, len(encoded), BATCH)
        for prediction in engine.run(engine.prepare(encoded[start : start + BATCH]), level)
    ]


def _quality(engine: Engine, rows: list[dict[str, str]], found: list[Prediction]) -> Quality:
    targets = torch.tensor([engine.labels.index(row["label"]) for row in rows])
    return quality(torch.tensor([each.scores for each in found]), targets)


def _row(effort: str) -> dict[str, float]:
    """Return the card's figures of an effort."""
    rows = [line.strip("| ").split(" | ") for line in CARD.splitlines() if line.startswith("| ")]
    (head,) = (row for row in rows if row[0] == "effort")
    (cells,) = (row for row in rows if row[0] == effort)
    return {
        name: float(cell.rstrip("% M")) / (100 if cell.endswith("%") else 1)
        for name, cell in zip(head[1:], cells[1:], strict=True)
    }


def test_it_is_small_and_can_run_no_code():
    """At most 12 MB; weights are safetensors, the rest is text."""
    files = {path.name: path.stat().st_size for path in DIRECTORY.rglob("*") if path.is_file()}
    described = {"README.md", "evaluation.json", "reliability.svg"}
    needed = {"config.json", "model.safetensors", "tokenizer.json"}
    assert needed | {"README.md"} <= files.keys() <= needed | described
    assert sum(files.values()) <= 12_000_000
    for name in files.keys() - {"model.safetensors"}:
        (DIRECTORY / name).read_text(encoding="utf-8")


def test_its_experts_are_real():
    """Twelve per layer, two of them routed; on disk as such, and no two alike."""
    config = SparseEncoderConfig(**CONFIG)
    assert (config.num_experts, config.experts_per_token) == (12, 2)
    with safe_open(DIRECTORY / "model.safetensors", framework="pt") as file:
        shapes = file.metadata()
        for layer in range(config.num_hidden_layers):
            experts = f"blocks.{layer}.feed_forward.experts"
            assert shapes[f"{experts}.up"] == "12,384,128"
            assert shapes[f"{experts}.down"] == "12,128,384"
            each = file.get_tensor(f"{experts}.up.q").view(12, -1)
            assert len(torch.unique(each, dim=0)) == 12
            router = file.get_tensor(f"blocks.{layer}.feed_forward.router.score.weight")
            assert router.shape == (12, 384)
            assert torch.linalg.matrix_rank(router) == 12


def test_its_routers_use_every_expert():
    """Over sixty headlines each layer calls on all twelve, and none takes nearly every token.

    Even would be one token in six. The first layer has a favourite that takes 62 %; after it the
    most is 28 %.
    """
    engine = load_engine("news-sentiment")
    network = SparseEncoderForSequenceClassification.from_pretrained(DIRECTORY).eval()
    seen: list[list[torch.Tensor]] = [[] for _ in network.blocks]
    hooks = [
        block.feed_forward.router.register_forward_hook(
            lambda _module, _inputs, output, notes=notes: notes.append(output[0])
        )
        for block, notes in zip(network.blocks, seen, strict=True)
    ]
    rows = _read(Path(__file__).parent / "headlines.jsonl")
    encoded = engine.encode([NewsEvent(id="n", headline=row["text"]) for row in rows])
    prepared = engine.prepare(encoded)
    with torch.inference_mode():
        network(torch.from_numpy(prepared.ids).long(), Layout(tuple(prepared.lengths.tolist())))
    for hook in hooks:
        hook.remove()
    for layer, notes in enumerate(seen):
        chosen = torch.cat(notes)  # [T, K]
        load = torch.bincount(chosen.flatten(), minlength=12) / len(chosen)
        assert (load > 0).all()
        assert load.max() < (0.75 if layer == 0 else 0.4)


def test_its_card_names_data_licences_and_shape():
    """What one has to know before using it."""
    title = f"# {CONFIG['checkpoint_name']} {CONFIG['checkpoint_version']}"
    assert title in CARD.splitlines()
    assert "SEntFiN 1.0 (Sinha" in CARD
    assert "Licence of the data: MIT." in CARD
    assert re.search(r"all-MiniLM-L6-v2\),\nApache-2\.0", CARD)
    assert f"{CONFIG['num_experts']} experts per layer" in CARD
    assert ", ".join(CONFIG["id2label"].values()) in CARD


def test_the_command_in_its_card_can_be_run():
    """The program takes it as it stands and would make this shape, with the same notice."""
    words = shlex.split(CARD.split("```\n")[1].replace("\\\n", ""))
    assert words[:2] == ["headrace", "train"]
    settings = TrainingSettings(**command.make_context("train", words[2:]).params)
    recipe = settings.chosen(TextRecipe)
    assert f"{settings.data_notice}\n\n" in CARD
    assert settings.out.name == CONFIG["checkpoint_name"]
    assert recipe.layers == CONFIG["num_hidden_layers"]
    assert recipe.experts == CONFIG["num_experts"]
    assert recipe.experts_per_token == CONFIG["experts_per_token"]
    assert settings.max_tokens == CONFIG["max_position_embeddings"]
    assert settings.vocabulary == CONFIG["vocab_size"]


def test_its_card_and_its_ladder_agree():
    """The table has the rungs of the configuration, each cheaper than the one before."""
    rungs = [_row(name) for name in EFFORTS]
    for rung, effort in zip(rungs, CONFIG["efforts"], strict=True):
        threshold = effort["exit_threshold"]
        usual = CONFIG["exit_thresholds"][0]
        assert rung["experts"] == (effort["experts"] or CONFIG["experts_per_token"])
        assert rung["exit from"] == (usual if threshold is None else threshold)
    work = [rung["work"] for rung in rungs]
    assert work == sorted(work, reverse=True)
    assert work[0] < 0.2


@pytest.mark.parametrize("effort", EFFORTS)
def test_it_reads_clear_headlines(engine: Engine, effort: str):
    """Twenty of each label, which nothing was learned or calibrated from."""
    rows = _read(Path(__file__).parent / "headlines.jsonl")
    assert {sum(row["label"] == label for row in rows) for label in engine.labels} == {20}
    found = _quality(engine, rows, _classify(engine, rows, effort))
    assert found.accuracy >= LEAST[effort]
    assert min(recall for _, recall, _ in found.per_class) >= 0.85


@pytest.mark.parametrize("effort", EFFORTS)
def test_its_cards_figures_can_be_measured_again(
    engine: Engine, sentfin: list[dict[str, str]], effort: str
):
    """Through the engine, as a worker runs it: accuracy, F1, layers and share, at each effort."""
    found = _classify(engine, sentfin, effort)
    measured = _quality(engine, sentfin, found)
    layers = sum(each.layers for each in found) / len(found)
    share = sum(each.active_share for each in found) / len(found)
    card = _row(effort)
    assert measured.accuracy >= 0.80
    assert measured.accuracy == pytest.approx(card["accuracy"], abs=0.005)
    assert measured.macro_f1 == pytest.approx(card["macro-F1"], abs=0.005)
    assert layers == pytest.approx(card["mean layers"], abs=0.02)
    assert share == pytest.approx(card["active share"], abs=0.002)
