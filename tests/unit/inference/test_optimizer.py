"""The optimizer: whatever classifier lies at a path runs, and answers as transformers would."""

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from structlog.testing import capture_logs
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from inference import Optimizer
from inference.backends.padded import groups
from inference.engine import Engine, Prediction
from inference.precision import Precision
from schemas.errors import ConfigurationError, EngineError, InvalidEventError
from schemas.events import CameraEvent, Event, Modality, NewsEvent, TranscriptEvent
from tests.fakes.hub_models import TEXT_SHAPES, write_image_model, write_text_model
from tests.fakes.small_model import LABELS, write_small_checkpoint

TEXTS = (
    "profit rises sharply",
    "bank",
    "court strike deal weak outlook after quarter of the mill",
    "steel loss falls slightly",
    "strong record upgrade " * 12,
)
CLOSE = {
    Precision.FP32: 1e-5,
    Precision.BF16: 0.02,
    Precision.INT8: 0.03,
    Precision.BF16_INT8: 0.03,
    Precision.BF16_FP8: 0.06,
}
"""How far a score may be from that of the model in float32; twice what was seen."""
NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

News = Sequence[Event]


def news(texts: Sequence[str] = TEXTS) -> list[Event]:
    """Return events of these headlines."""
    return [NewsEvent(id=str(n), headline=text) for n, text in enumerate(texts)]


def images(count: int = 3) -> list[Event]:
    """Return events of images that are larger than the model's, and not square."""
    events: list[Event] = []
    for seed in range(count):
        pixels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).resize((64, 48)).save(file, "PNG")
        events.append(CameraEvent(id=str(seed), image=file.getvalue()))
    return events


def run(engine: Engine, events: Sequence[Event]) -> list[Prediction]:
    """Classify events in one batch."""
    return engine.run(engine.prepare(engine.encode(events)), engine.efforts[0])


def scores(predictions: Sequence[Prediction]) -> torch.Tensor:
    """Return the scores, [B, C]."""
    return torch.tensor([one.scores for one in predictions])


@torch.inference_mode()
def by_transformers(directory: Path, engine: Engine, events: Sequence[Event]) -> torch.Tensor:
    """Return the scores of transformers' own model, one text at a time."""
    network = transformers.AutoModelForSequenceClassification.from_pretrained(directory)
    logits = [
        network(input_ids=torch.tensor([encoded.data])).logits for encoded in engine.encode(events)
    ]
    return torch.cat(logits).softmax(dim=1)


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """Return the directory of a small BERT classifier."""
    return write_text_model(tmp_path / "bert")


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("family", list(TEXT_SHAPES))
@pytest.mark.parametrize("backend", ["auto", "transformers"])
def test_a_text_classifier_answers_as_transformers_does(
    tmp_path: Path, family: str, backend: str, precision: Precision
):
    """Packed or padded, in every precision, short texts beside truncated ones."""
    directory = write_text_model(tmp_path / family, family)
    engine = Optimizer(directory, backend=backend).compile(precision)
    predictions = run(engine, news())
    expected = by_transformers(directory, engine, news())
    assert (scores(predictions) - expected).abs().max() < CLOSE[precision]
    assert expected.std(dim=0).mean() > 0.01, "the texts are told apart"
    assert engine.labels == LABELS
    assert engine.modalities == {Modality.NEWS, Modality.TRANSCRIPT}
    assert engine.max_tokens == 24


def test_a_dense_model_says_that_all_of_it_ran(bert: Path):
    """Share 1, all layers, one effort."""
    engine = Optimizer(bert).compile()
    (prediction,) = run(engine, [TranscriptEvent(id="1", text="profit")])
    assert (prediction.active_share, prediction.layers, prediction.experts) == (1.0, 3, 1)
    assert [effort.name for effort in engine.efforts] == ["full"]


@pytest.mark.parametrize(
    ("family", "backend"), [("bert", "packed"), ("roberta", "packed"), ("gpt2", "transformers")]
)
def test_bert_shaped_models_run_packed_and_others_through_transformers(
    tmp_path: Path, family: str, backend: str
):
    """Whichever wastes less."""
    assert Optimizer(write_text_model(tmp_path / family, family)).backend == backend


def test_a_bert_of_another_kind_runs_through_transformers(tmp_path: Path):
    """What the packed encoder does not know, it does not try."""
    directory = write_text_model(tmp_path / "odd", hidden_act="quick_gelu")
    assert Optimizer(directory).backend == "transformers"


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_scores_do_not_depend_on_the_batch(bert: Path, precision: str):
    """Of whatever neighbours: inputs are quantised token by token."""
    engine = Optimizer(bert).compile(precision)
    together = scores(run(engine, news()))
    alone = torch.cat([scores(run(engine, [event])) for event in news()])
    assert torch.allclose(together, alone, atol=1e-5)


def test_an_empty_batch_has_no_predictions(bert: Path):
    """Of every kind of engine."""
    assert run(Optimizer(bert).compile(), []) == []
    assert run(Optimizer(bert, backend="transformers").compile(), []) == []


def test_an_image_classifier_sees_what_transformers_would_show_it(tmp_path: Path):
    """Decoded, resized and normalised alike."""
    directory = write_image_model(tmp_path / "vit")
    engine = Optimizer(directory).compile("fp32")
    files = [event.image for event in images() if isinstance(event, CameraEvent)]
    processor = ViTImageProcessorPil.from_pretrained(directory)
    shown = processor([Image.open(io.BytesIO(file)) for file in files], return_tensors="pt")
    network = transformers.ViTForImageClassification.from_pretrained(directory)
    with torch.inference_mode():
        expected = network(**shown).logits.softmax(dim=1)
    assert (scores(run(engine, images())) - expected).abs().max() < 1e-4
    assert engine.modalities == {Modality.CAMERA}
    assert engine.max_tokens == 16


@pytest.mark.parametrize("precision", list(Precision))
def test_an_image_classifier_runs_in_every_precision(tmp_path: Path, precision: Precision):
    """Close to float32."""
    directory = write_image_model(tmp_path / "vit")
    whole, few = (
        scores(run(Optimizer(directory).compile(name), images())) for name in ("fp32", precision)
    )
    assert (whole - few).abs().max() < CLOSE[precision]


def test_an_image_classifier_refuses_text(tmp_path: Path):
    """And a text classifier images."""
    engine = Optimizer(write_image_model(tmp_path / "vit")).compile()
    with pytest.raises(InvalidEventError, match="reads images"):
        engine.encode(news())


def test_a_checkpoint_of_ours_runs_as_the_sparse_engine(tmp_path: Path):
    """With its own efforts and name."""
    engine = Optimizer(write_small_checkpoint(tmp_path / "small")).compile()
    assert engine.model.name == "small"
    assert [effort.name for effort in engine.efforts] == ["full", "single_expert", "first_exit"]
    assert run(engine, news(["profit"]))[0].experts == 2


def test_a_packaged_checkpoint_is_found_by_its_name():
    """As everywhere else."""
    assert Optimizer("news-sentiment").backend == "packed"


def test_the_choice_of_a_strategy_stays_with_the_compiled_model(bert: Path):
    """Where the scheduler finds it."""
    assert Optimizer(bert, batch_strategy="fifo").compile().batch_strategy == "fifo"
    assert Optimizer(bert).compile().batch_strategy == "dynamic_priority"


def test_a_model_is_cited_by_its_directory_and_content(bert: Path, tmp_path: Path):
    """The same weights are the same version, wherever they lie; others are not."""
    other = write_text_model(tmp_path / "other", hidden_dropout_prob=0.2)
    first, second = (Optimizer(path).compile("fp32").model for path in (bert, other))
    assert first.name == "bert"
    assert first.digest.startswith(f"sha256:{first.version}")
    assert first.digest != second.digest


def _change(directory: Path, file: str = "config.json", **changes: Any) -> None:
    path = directory / file
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id2label": None}, "names no labels"),
        ({"id2label": {"1": "a", "2": "b"}}, "numbered from 0"),
        ({"id2label": {"0": "a"}}, "two labels or more"),
        ({"problem_type": "multi_label_classification"}, "problem_type"),
    ],
)
def test_labels_that_cannot_be_scored_are_refused(
    bert: Path, changes: dict[str, Any], message: str
):
    """Saying which file, and what it should say."""
    _change(bert, **changes)
    with pytest.raises(ConfigurationError, match=message):
        Optimizer(bert).compile()


def test_a_model_that_is_no_classifier_is_refused_with_what_can_be_run(bert: Path):
    """An encoder alone has no answer to give."""
    _change(bert, architectures=["BertModel"])
    with pytest.raises(ConfigurationError, match=r"BertModel.*no backend can run.*onnxruntime"):
        Optimizer(bert)


def test_weights_that_run_code_are_never_opened(bert: Path):
    """A pickle is refused by its name."""
    (bert / "model.safetensors").rename(bert / "pytorch_model.bin")
    for backend in ("packed", "transformers"):
        with pytest.raises(ConfigurationError, match=r"lacks model\.safetensors"):
            Optimizer(bert, backend=backend).compile()


def test_code_that_comes_with_a_model_is_not_run(bert: Path):
    """Nor asked for permission on the terminal."""
    (bert / "own.py").write_text("raise SystemExit('it ran')")
    _change(
        bert,
        model_type="own",
        architectures=["OwnForSequenceClassification"],
        auto_map={
            "AutoConfig": "own.OwnConfig",
            "AutoModelForSequenceClassification": "own.OwnForSequenceClassification",
        },
    )
    with pytest.raises(ConfigurationError, match="cannot load OwnForSequenceClassification"):
        Optimizer(bert).compile()


def test_damaged_weights_are_told_from_wrong_ones(bert: Path):
    """Fetching again mends the one, not the other."""
    (bert / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(EngineError, match=r"model\.safetensors cannot be read"):
        Optimizer(bert).compile()


def test_weights_of_other_sizes_are_refused(bert: Path):
    """The configuration of another model."""
    _change(bert, intermediate_size=128)
    with pytest.raises(EngineError, match="do not fit"):
        Optimizer(bert).compile()


def test_a_head_that_was_never_trained_is_refused(tmp_path: Path):
    """Transformers would make one up."""
    directory = write_text_model(tmp_path / "gpt2", "gpt2")
    weights = directory / "model.safetensors"
    kept = {name: each for name, each in load_file(weights).items() if name != "score.weight"}
    save_file(kept, weights, metadata={"format": "pt"})
    with pytest.raises(ConfigurationError, match=r"score\.weight"):
        Optimizer(directory).compile()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"batch_strategy": "fofi"}, r"batch strategy 'fofi' is not known.*dynamic_priority, fifo"),
        ({"backend": "tensorflow"}, r"backend 'tensorflow' is not known.*packed, transformers"),
        ({"backend": "onnxruntime"}, "backend 'onnxruntime' can run"),
        ({"device_map": "tpu"}, "give auto, cpu, cuda"),
        ({"device_map": "cuda:17"}, "CUDA devices"),
        ({"threads": 0}, "at least 1"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused_with_the_others(
    bert: Path, argument: dict[str, Any], message: str
):
    """Before anything is loaded."""
    with pytest.raises(ConfigurationError, match=message):
        Optimizer(bert, **argument)


def test_an_unknown_precision_is_refused_with_the_known_ones(bert: Path):
    """Likewise."""
    with pytest.raises(ConfigurationError, match=r"'fp16'.*auto, fp32, bf16, int8, bf16-int8"):
        Optimizer(bert).compile("fp16")


def test_a_path_where_nothing_lies_is_refused(tmp_path: Path):
    """As are a directory of something else, and a file that is not there."""
    with pytest.raises(ConfigurationError, match="neither a directory nor one of"):
        Optimizer(tmp_path / "absent")
    with pytest.raises(ConfigurationError, match=r"lacks config\.json"):
        Optimizer(tmp_path)
    with pytest.raises(ConfigurationError, match="no such file"):
        Optimizer(tmp_path / "absent.onnx")


def test_texts_are_grouped_with_little_padding():
    """Sorted by length; a long one does not stretch the short ones."""
    lengths = [100, 10, 11, 12, 100, 10, 99]
    cut = groups(lengths)
    assert [sorted(lengths[place] for place in group) for group in cut] == [
        [10, 10, 11, 12],
        [99, 100, 100],
    ]
    assert sorted(place for group in cut for place in group) == list(range(7))


def test_importing_inference_alone_does_not_import_torch():
    """The front door is opened only when it is used."""
    code = "import sys, inference; print('torch' in sys.modules, 'Optimizer' in inference.__all__)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert answer.stdout.split() == [b"False", b"True"]


@NEEDS_CUDA
@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("backend", ["packed", "transformers"])
def test_a_gpu_answers_as_the_cpu_does(bert: Path, backend: str, precision: Precision):
    """In every precision; float8 in hardware where the card has it."""
    on_cpu = scores(run(Optimizer(bert, device_map="cpu").compile("fp32"), news()))
    engine = Optimizer(bert, device_map="cuda", backend=backend).compile(precision)
    assert (scores(run(engine, news())) - on_cpu).abs().max() < 2 * CLOSE[precision]


def test_the_log_says_what_becomes_of_float8(bert: Path):
    """Asked for float8, one should know when it is stored and not multiplied."""
    with capture_logs() as lines:
        Optimizer(bert, device_map="cpu").compile("bf16-fp8-mixed")
    (line,) = (each for each in lines if each["event"] == "float8")
    assert line["products"] == "bfloat16"
    assert "multiplies no float8" in line["reason"]
