"""Serving text without torch: the same answers, and nothing of it in the process."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch

from inference import weights
from inference.checkpoint import CHECKPOINTS, load_engine
from inference.model import SparseEncoderConfig, SparseEncoderForSequenceClassification
from inference.native import binding
from inference.native.binding import instruction_sets
from inference.native.encoder import NativeEncoder
from inference.native.rounding import rounded_to_bfloat16
from inference.precision import Precision
from inference.serving import NATIVE, PORTABLE, TORCH, native_precision
from inference.shape import EncoderShape
from schemas.errors import EngineError
from schemas.events import NewsEvent
from tests.fakes.small_model import small_config, small_network, write_small_checkpoint

NEWS = CHECKPOINTS / "news-sentiment"
TEXT = ["news-sentiment", "transcript-intent"]
LIGHT = [each for each in NATIVE if each is not Precision.BF16_FP8]
NEEDS_KERNELS = pytest.mark.skipif(
    (instruction_sets() or (PORTABLE,))[0] == PORTABLE, reason="no quick kernels on this machine"
)

WITHOUT_TORCH = """
import sys
import streams.worker.service
from inference.optimizer import Optimizer
from schemas.events import NewsEvent

model = Optimizer("news-sentiment", device_map="cpu").compile({precision!r})
batch = model.prepare(model.encode([NewsEvent(id="1", headline="Profit rises")]))
assert len(model.run(batch, model.efforts[0])) == 1
loaded = [name for name in ("torch", "transformers") if name in sys.modules]
assert not loaded, loaded
if sys.platform == "linux":
    lines = open("/proc/self/status", encoding="utf-8").read().splitlines()
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    assert kilobytes < 600_000, kilobytes
"""


@NEEDS_KERNELS
@pytest.mark.parametrize("precision", ["auto", *LIGHT])
def test_a_worker_of_text_imports_neither_torch_nor_transformers(precision: str):
    """From the service's own imports to the first answer, which fits in 600 MB."""
    command = [sys.executable, "-c", WITHOUT_TORCH.format(precision=str(precision))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@NEEDS_KERNELS
@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize("precision", LIGHT)
def test_answers_are_those_of_the_network_to_the_bit(precision: Precision, name: str):
    """Of packaged checkpoints, whether their weights came as arrays or through torch."""
    engine = load_engine(name, precision=precision)
    network = SparseEncoderForSequenceClassification.from_pretrained(CHECKPOINTS / name).eval()
    feed_forward, attention = NATIVE[precision]
    encoder = NativeEncoder.build(network, feed_forward, attention=attention)
    lines = (Path(__file__).parents[2] / "quality" / "headlines.jsonl").read_text("utf-8")
    texts = [orjson.loads(line)["text"] for line in lines.splitlines()[:96]]
    events = [NewsEvent(id=str(nth), headline=text) for nth, text in enumerate(texts)]
    batch = engine.prepare(engine.encode(events))
    config = network.config
    for effort in engine.efforts:
        thresholds = config.exit_thresholds
        if effort.exit_threshold is not None:
            thresholds = [effort.exit_threshold] * config.num_hidden_layers
        experts = effort.experts or config.experts_per_token
        scores, layers = encoder.run(batch.ids, batch.lengths, experts, thresholds)
        found = engine.run(batch, effort)
        assert [each.scores for each in found] == [tuple(row) for row in scores.tolist()]
        assert [each.layers for each in found] == layers.tolist()


@pytest.mark.parametrize("name", TEXT)
def test_arrays_are_the_tensors_to_the_bit(name: str):
    """Weights of packaged checkpoints, restored either way."""
    directory = CHECKPOINTS / name
    config = EncoderShape.of(orjson.loads((directory / "config.json").read_bytes()))
    arrays = weights.read_weights(directory, config.storage_bits)
    network = SparseEncoderForSequenceClassification.from_pretrained(directory)
    tensors = network.state_dict()
    assert arrays.keys() == tensors.keys()
    assert all(np.array_equal(arrays[key], each.numpy()) for key, each in tensors.items())
    assert all(each.dtype == np.float32 for each in arrays.values())


def test_the_nearest_bfloat16_is_torchs():
    """Ties go to even, in both directions."""
    bits = torch.randint(2**31, (4096,), generator=torch.Generator().manual_seed(0))
    bits[:512] = (bits[:512] & ~0xFFFF) | 0x8000
    drawn = bits.to(torch.int32).view(torch.float32)
    drawn = torch.cat([drawn, -drawn])
    drawn = drawn[drawn.bfloat16().isfinite()]
    assert np.array_equal(rounded_to_bfloat16(drawn.numpy()), drawn.bfloat16().float().numpy())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_experts": 1, "experts_per_token": 1},
        {"shared_expert_size": 16},
        {"num_hidden_layers": 2, "exit_thresholds": None},
    ],
    ids=str,
)
def test_the_shape_names_the_weights_of_the_network(changes: dict[str, Any]):
    """All of them, and no others."""
    network = small_network(**changes)
    shapes = {name: tuple(each.shape) for name, each in network.state_dict().items()}
    assert network.config.text_weights() == shapes
    assert network.config.misfit(shapes) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found.pop("exits.1.classify.bias"), r"exits\.1\.classify\.bias missing"),
        (lambda found: found.update(pooler=(3,)), "pooler not of this model"),
        (
            lambda found: found.update({"embedding.norm.bias": (9,)}),
            r"embedding\.norm\.bias is \(9,\), not \(32,\)",
        ),
    ],
)
def test_weights_of_another_shape_are_named(change: Any, message: str):
    """Each with what it lacks, or has too many."""
    config = small_config()
    shapes = config.text_weights()
    change(shapes)
    misfit = config.misfit(shapes)
    assert misfit is not None
    assert re.fullmatch(message, misfit)


def test_the_light_description_is_that_of_transformers():
    """Field by field, and in what it counts."""
    fields = orjson.loads((NEWS / "config.json").read_bytes())
    light, whole = EncoderShape.of(fields), SparseEncoderConfig(**fields)
    assert {name: getattr(whole, name) for name in vars(light)} == vars(light)
    assert light.labels == whole.labels == ("negative", "neutral", "positive")
    assert light.active_share(2.5, 1) == whole.active_share(2.5, 1)
    assert light.multiply_adds(2.5, 1, 20) == whole.multiply_adds(2.5, 1, 20)


def test_two_classes_without_names_are_called_as_transformers_calls_them():
    """A configuration that was saved with the default leaves them out."""
    assert EncoderShape().labels == SparseEncoderConfig().labels == ("LABEL_0", "LABEL_1")


def test_labels_that_are_no_object_are_refused(tmp_path: Path):
    """With the file's name."""
    directory = write_small_checkpoint(tmp_path / "small")
    path = directory / "config.json"
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | {"id2label": ["a", "b"]}))
    with pytest.raises(EngineError, match=r"config\.json: id2label is \['a', 'b'\]"):
        load_engine(directory)


def test_without_kernels_a_checkpoint_runs_in_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As where no compiler was found at installation."""
    directory = write_small_checkpoint(tmp_path / "small")
    monkeypatch.setattr(binding, "DIRECTORY", tmp_path)
    caches = (binding.shared_library, binding.instruction_sets)
    for each in caches:
        each.cache_clear()
    try:
        engine = load_engine(directory)
    finally:
        for each in caches:
            each.cache_clear()
    assert engine.path == TORCH
    batch = engine.prepare(engine.encode([NewsEvent(id="1", headline="profit rises")]))
    assert len(engine.run(batch, engine.efforts[0])) == 1


@pytest.mark.parametrize(("precision", "isa"), [("int8", "torch"), ("bf16-fp8-mixed", None)])
def test_what_needs_torch_is_left_to_it(precision: str, isa: str | None):
    """A path that is asked for, and weights that are rounded in torch."""
    assert native_precision(small_config(), precision, isa) is None
