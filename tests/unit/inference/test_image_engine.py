"""Camera events in, predictions out; each image its own answer, whatever it was batched with."""

from pathlib import Path

import numpy as np
import pytest

from inference.checkpoint import load_engine
from inference.device import has_fast_bfloat16
from inference.engine import EffortLevel, Prediction
from inference.image_engine import ImageEngine
from schemas.errors import ConfigurationError, EngineError, InvalidEventError
from schemas.events import CameraEvent, Event, Modality, NewsEvent
from schemas.results import Model
from tests.fakes.labelled_images import KINDS, draw, file_of
from tests.fakes.small_image_model import small_image_network

BOUND = 1e-3
"""What scores may differ by from batch to batch."""
SIZES = (1, 2, 3, 8, 31, 64)


def _events(count: int, seed: int = 0) -> list[Event]:
    chance = np.random.default_rng(seed)
    return [
        CameraEvent(id=f"c-{number}", image=file_of(draw(KINDS[number % 3], chance)))
        for number in range(count)
    ]


@pytest.fixture(params=["fp32", "bf16", "int8"])
def engine(request: pytest.FixtureRequest) -> ImageEngine:
    """Return a small engine in a precision that workers here could run in."""
    if request.param == "bf16" and not has_fast_bfloat16():
        pytest.skip("no worker on this processor runs in bfloat16")
    model = Model(name="small-images", version="3", digest="sha256:0")
    return ImageEngine(small_image_network(), model, precision=request.param)


def _run(engine: ImageEngine, events: list[Event], effort: EffortLevel) -> list[Prediction]:
    return engine.run(engine.prepare(engine.encode(events)), effort)


def test_it_is_for_camera_events(engine: ImageEngine):
    """Each image counts as many tokens as it has patches."""
    assert engine.modalities == {Modality.CAMERA}
    assert engine.labels == KINDS
    assert [each.tokens for each in engine.encode(_events(3))] == [24, 24, 24]
    assert engine.max_tokens == 24


def test_predictions_are_probabilities_with_what_they_cost(engine: ImageEngine):
    """One per image, with layers, experts and the share of parameters."""
    full, single, first = engine.efforts
    for effort, experts in ((full, 2), (single, 1), (first, 1)):
        found = _run(engine, _events(9), effort)
        assert len(found) == 9
        for each in found:
            assert sum(each.scores) == pytest.approx(1, abs=1e-3)
            assert each.experts == experts
            config = engine._config
            assert each.active_share == config.active_share(each.layers, experts)
    assert {each.layers for each in _run(engine, _events(9), first)} == {1}


def test_an_images_answer_does_not_depend_on_its_batch(engine: ImageEngine):
    """Equal labels and layers, scores within the bound, at any size of batch and any effort."""
    encoded = engine.encode(_events(64))
    for effort in engine.efforts:
        alone = [engine.run(engine.prepare([each]), effort)[0] for each in encoded]
        assert len({each.scores for each in alone}) > 30
        for size in SIZES:
            for start in range(0, len(encoded), size):
                part = slice(start, start + size)
                together = engine.run(engine.prepare(encoded[part]), effort)
                for one, other in zip(alone[part], together, strict=True):
                    assert one.layers == other.layers
                    assert np.argmax(one.scores) == np.argmax(other.scores)
                    assert other.scores == pytest.approx(one.scores, abs=BOUND)


def test_an_empty_batch_has_no_predictions(engine: ImageEngine):
    """The scheduler may have shed all of it."""
    assert engine.run(engine.prepare([]), engine.efforts[0]) == []


def test_events_of_text_are_refused(engine: ImageEngine):
    """They become dead letters."""
    with pytest.raises(InvalidEventError, match="reads images and got a NewsEvent"):
        engine.encode([NewsEvent(id="n", headline="Mill reopens")])


def test_what_is_no_image_is_refused(engine: ImageEngine):
    """As above."""
    with pytest.raises(InvalidEventError, match="cannot be decoded"):
        engine.encode([CameraEvent(id="c", image=b"nothing of the kind")])


def test_scores_that_are_no_numbers_are_an_error():
    """A damaged model must not classify."""
    network = small_image_network()
    network.embedding.positions.weight.data.fill_(float("nan"))
    engine = ImageEngine(network, Model(name="small-images", version="3", digest="sha256:0"))
    with pytest.raises(EngineError, match="scores that are not numbers"):
        _run(engine, _events(2), engine.efforts[2])


def test_a_checkpoint_of_images_loads_without_a_tokenizer(tmp_path: Path):
    """It answers as the network that was saved."""
    network = small_image_network()
    network.save_pretrained(tmp_path)
    loaded = load_engine(tmp_path, precision="fp32")
    assert isinstance(loaded, ImageEngine)
    assert (loaded.model.name, loaded.model.version) == ("small-images", "3")
    direct = ImageEngine(network, loaded.model, precision="fp32")
    events = _events(4)
    assert _run(loaded, events, loaded.efforts[0]) == _run(direct, events, direct.efforts[0])


def test_a_checkpoint_of_images_needs_its_weights(tmp_path: Path):
    """The error names what is missing, and that is not a tokenizer."""
    small_image_network().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ConfigurationError, match=r"lacks model\.safetensors;"):
        load_engine(tmp_path)
