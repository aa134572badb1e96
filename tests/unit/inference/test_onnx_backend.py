"""ONNX files: they answer as the model that they were made from, and say what is missing."""

import builtins
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from inference import Optimizer
from inference.engine import Engine
from schemas.errors import ConfigurationError, EngineError
from schemas.events import NewsEvent
from tests.fakes.hub_models import write_onnx_model
from tests.fakes.small_model import LABELS

pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnx", reason="needs the package onnx to write a file")

TEXTS = ("profit rises sharply", "bank", "court strike deal weak outlook after quarter", "port")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an ONNX file that tests may read."""
    return write_onnx_model(tmp_path_factory.mktemp("onnx"))


@pytest.fixture
def own(tmp_path: Path, written: Path) -> Path:
    """Return an ONNX file of the test's own."""
    for file in written.parent.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path / written.name


def scores(engine: Engine, texts: Sequence[str] = TEXTS) -> torch.Tensor:
    """Classify texts in one batch, [B, C]."""
    events = [NewsEvent(id=str(n), headline=text) for n, text in enumerate(texts)]
    predictions = engine.run(engine.prepare(engine.encode(events)), engine.efforts[0])
    return torch.tensor([one.scores for one in predictions])


@pytest.mark.parametrize(("precision", "close"), [("auto", 1e-5), ("fp32", 1e-5), ("int8", 0.05)])
def test_an_onnx_file_answers_as_the_model_that_it_was_made_from(
    written: Path, precision: str, close: float
):
    """Quantised, a little beside it."""
    engine = Optimizer(written).compile(precision)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(written.parent)
    events = [NewsEvent(id=str(n), headline=text) for n, text in enumerate(TEXTS)]
    with torch.inference_mode():
        logits = [
            network(input_ids=torch.tensor([encoded.data])).logits
            for encoded in engine.encode(events)
        ]
    assert (scores(engine) - torch.cat(logits).softmax(dim=1)).abs().max() < close
    assert engine.backend == "onnxruntime"
    assert engine.labels == LABELS
    assert engine.max_tokens == 24


def test_an_empty_batch_has_no_predictions(written: Path):
    """As of every engine."""
    engine = Optimizer(written).compile()
    assert engine.run(engine.prepare([]), engine.efforts[0]) == []


def test_a_file_without_its_tokenizer_is_refused(own: Path):
    """Ids cannot be guessed."""
    (own.parent / "tokenizer.json").unlink()
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json is missing.*model\.onnx"):
        Optimizer(own).compile()


def test_a_file_without_labels_is_refused(own: Path):
    """Nor can their names."""
    (own.parent / "config.json").unlink()
    with pytest.raises(ConfigurationError, match="names no labels"):
        Optimizer(own).compile()


def test_too_few_labels_fail_on_the_first_batch(own: Path):
    """Only the answer shows how many scores there are."""
    config = own.parent / "config.json"
    fields: dict[str, Any] = json.loads(config.read_text())
    config.write_text(json.dumps(fields | {"id2label": {"0": "a", "1": "b"}}))
    with pytest.raises(EngineError, match="is id2label right"):
        scores(Optimizer(own).compile())


def test_a_damaged_file_is_told(own: Path):
    """By its path."""
    own.write_bytes(b"torn")
    with pytest.raises(EngineError, match=r"model\.onnx cannot be read"):
        Optimizer(own).compile()


def test_precisions_that_a_file_cannot_be_brought_into_are_refused(written: Path):
    """With those that it can."""
    with pytest.raises(ConfigurationError, match=r"auto or fp32.*int8"):
        Optimizer(written).compile("bf16")


def test_without_onnx_runtime_the_extra_is_named(written: Path, monkeypatch: pytest.MonkeyPatch):
    """One command away."""
    real_import = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r"pip install 'headrace\[onnx\]'"):
        Optimizer(written).compile()
