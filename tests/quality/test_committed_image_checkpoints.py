"""The image checkpoints that come with the package: what they are, and how well they see."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
from safetensors import safe_open

from inference.checkpoint import CHECKPOINTS
from inference.engine import Engine, Prediction
from inference.model import SparseEncoderConfig
from inference.training.evaluate import Quality, quality
from inference.training.images import LabelledImage, read_images
from schemas.events import CameraEvent
from tests.fakes.labelled_images import file_of

pytestmark = pytest.mark.quality

DATA = {
    "camera-steel-defects": "camera/xsdd_steel",
    "camera-solar-infrared": "camera/infrared_solar.npz",
}
NAMES = [name for name in DATA if (CHECKPOINTS / name).is_dir()]
BATCH = 64
BOUND = 1e-3
"""What scores may differ by from batch to batch."""


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of a checkpoint."""
    return str(request.param)


@pytest.fixture(scope="module")
def tested(pytestconfig: pytest.Config, name: str) -> list[LabelledImage]:
    """Return the test images that the card's figures are of."""
    folder: Path | None = pytestconfig.getoption("--data")
    if folder is None:
        pytest.skip(f"needs --data DIR with {DATA[name]}")
    return [each for each in read_images(folder / DATA[name]) if each.split == "test"]


def _event(each: LabelledImage) -> CameraEvent:
    file = each.image if isinstance(each.image, bytes) else file_of(each.open())
    return CameraEvent(id=each.name, image=file)


def _classify(engine: Engine, images: list[LabelledImage], effort: str) -> list[Prediction]:
    (level,) = (each for each in engine.efforts if each.name == effort)
    encoded = engine.encode([_event(each) for each in images])
    return [
        prediction
        for start in range(0, len(encoded), BATCH)
        for prediction in engine.run(engine.prepare(encoded[start : start + BATCH]), level)
    ]


def _quality(engine: Engine, images: list[LabelledImage], found: list[Prediction]) -> Quality:
    targets = torch.tensor([engine.labels.index(each.label) for each in images])
    return quality(torch.tensor([each.scores for each in found]), targets)


def test_it_is_small_and_can_run_no_code(name: str):
    """At most 12 MB; weights are safetensors, the rest is text; there is no tokenizer."""
    directory = CHECKPOINTS / name
    files = {path.name: path.stat().st_size for path in directory.rglob("*") if path.is_file()}
    assert {"README.md", "config.json", "model.safetensors", "evaluation.json"} <= files.keys()
    assert files.keys() <= {
        *("README.md", "config.json", "model.safetensors", "evaluation.json", "reliability.svg")
    }
    assert sum(files.values()) <= 12_000_000


def test_its_experts_are_real(name: str):
    """Many per layer, two of them routed; on disk as such, and no two alike."""
    config = SparseEncoderConfig(**orjson.loads((CHECKPOINTS / name / "config.json").read_bytes()))
    assert config.num_experts == 24
    assert config.experts_per_token == 2
    with safe_open(CHECKPOINTS / name / "model.safetensors", framework="pt") as file:
        for layer in range(config.num_hidden_layers):
            each = file.get_tensor(f"blocks.{layer}.feed_forward.experts.up.q").view(24, -1)
            assert len(torch.unique(each, dim=0)) == 24


def test_its_figures_can_be_measured_again(
    engine: Engine, figures: dict[str, Any], tested: list[LabelledImage]
):
    """From encoded files through the engine, as a worker runs it, at each effort."""
    for effort, card in figures["efforts"].items():
        found = _classify(engine, tested, effort)
        measured = _quality(engine, tested, found)
        layers = sum(each.layers for each in found) / len(found)
        assert measured.accuracy == pytest.approx(card["accuracy"], abs=0.006)
        assert measured.macro_f1 == pytest.approx(card["macro_f1"], abs=0.012)
        assert layers == pytest.approx(card["mean_layers"], abs=0.05)


def test_its_answers_do_not_depend_on_the_batch(engine: Engine, tested: list[LabelledImage]):
    """Alone or among 64: the same labels, scores within the bound."""
    encoded = engine.encode([_event(each) for each in tested[::5][:64]])
    for effort in engine.efforts:
        together = engine.run(engine.prepare(encoded), effort)
        for each, among in zip(encoded, together, strict=True):
            (alone,) = engine.run(engine.prepare([each]), effort)
            assert among.scores.index(max(among.scores)) == alone.scores.index(max(alone.scores))
            assert among.scores == pytest.approx(alone.scores, abs=BOUND)
