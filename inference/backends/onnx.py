"""Text classifiers that come as ONNX files, run by ONNX Runtime.

The file takes ``input_ids`` and ``attention_mask`` (and ``token_type_ids``), [B, L], and gives
``logits`` (or its first output), [B, C], with B and L left open. ``tokenizer.json`` and
``config.json`` with ``id2label`` lie beside it. The precision is what the file was made in;
``int8`` has its products quantised as it is loaded: weights with one scale per output, inputs with
one per group of texts, so scores depend a little on a text's neighbours.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inference.backends import Request, Source
from inference.backends.answers import failures_of, predictions
from inference.backends.padded import groups
from inference.backends.source import identity, labels_of, longest_text, read_tokenizer
from inference.backends.text_engine import TextIngress
from inference.engine import EffortLevel, Encoded, Engine, Prediction
from inference.log import Log
from inference.precision import Precision
from inference.text import TextEncoder
from schemas.errors import ConfigurationError, EngineError
from schemas.results import Model

log = Log(__name__)

INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
OUTPUT = "logits"


class OnnxBackend:
    """Runs ONNX files."""

    def accepts(self, source: Source) -> bool:
        """Say whether a path is an ONNX file."""
        return source.is_onnx

    def load(self, source: Source, request: Request) -> Engine:
        """Load a model; see :meth:`inference.backends.Backend.load`."""
        labels = labels_of(source)
        if request.precision not in {None, Precision.FP32, Precision.INT8}:
            raise ConfigurationError(
                f"precision {request.precision}: an ONNX file runs in the precision that it was "
                "made in (auto or fp32), or is quantised (int8)"
            )
        tokenizer = read_tokenizer(source, longest_text(source))
        session = open_session(source.path, request)
        layers = int(source.config.get("num_hidden_layers", 1))
        return OnnxTextEngine(session, tokenizer, identity(source), labels, layers=layers)


def open_session(path: Path, request: Request) -> Any:
    """Open an ONNX file.

    Raises:
        ConfigurationError: ONNX Runtime is not installed or lacks the device, or the file takes
            something other than tokens.
        EngineError: The file is damaged.
    """
    try:
        import onnxruntime as ort  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError(
            f"{path} needs ONNX Runtime, which is not installed; run: pip install 'headrace[onnx]'"
        ) from error
    options = ort.SessionOptions()
    options.intra_op_num_threads = request.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = _providers(request.device, ort.get_available_providers())
    try:
        if request.precision is Precision.INT8:
            session = ort.InferenceSession(_quantised(path), options, providers=providers)
        else:
            session = ort.InferenceSession(str(path), options, providers=providers)
    except ConfigurationError:
        raise
    except Exception as error:  # the library raises nothing narrower
        raise EngineError(f"{path} cannot be read: {error}") from error
    taken = {each.name for each in session.get_inputs()}
    if "input_ids" not in taken or not taken <= INPUTS:
        raise ConfigurationError(
            f"{path} takes {', '.join(sorted(taken))}; a text classifier takes input_ids, and "
            "attention_mask and token_type_ids if need be"
        )
    return session


def _providers(device: torch.device, available: Sequence[str]) -> list[Any]:
    if device.type == "cpu":
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in available:
        raise ConfigurationError(
            f"device_map {device}: this ONNX Runtime has no CUDA; install onnxruntime-gpu, or give "
            "device_map='cpu'"
        )
    return [("CUDAExecutionProvider", {"device_id": device.index or 0})]


def _quantised(path: Path) -> bytes:
    """Return a model with its products in int8: weights per output, inputs as they come.

    Raises:
        ConfigurationError: The package that rewrites models is not installed.
    """
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError(
            f"precision int8: {path} needs the package onnx to be rewritten; run: "
            "pip install 'headrace[onnx]'"
        ) from error
    with tempfile.TemporaryDirectory(prefix="headrace-onnx-") as directory:
        target = Path(directory) / "int8.onnx"
        quantize_dynamic(str(path), str(target), per_channel=True, weight_type=QuantType.QInt8)
        log.info("onnx_quantised", path=str(path), bytes=target.stat().st_size)
        return target.read_bytes()


class OnnxTextEngine(TextIngress):
    """Runs an ONNX session on groups of texts of nearly equal lengths.

    Args:
        session: An ``onnxruntime.InferenceSession``.
        tokenizer: Its tokenizer.
        model: How results cite it.
        labels: Names of its classes.
        layers: How many it has.
    """

    def __init__(
        self,
        session: Any,
        tokenizer: TextEncoder,
        model: Model,
        labels: tuple[str, ...],
        *,
        layers: int,
    ) -> None:
        super().__init__(tokenizer, model, labels)
        self._session = session
        self._layers = layers
        self._inputs = {each.name for each in session.get_inputs()}
        outputs = [each.name for each in session.get_outputs()]
        self._output = OUTPUT if OUTPUT in outputs else outputs[0]

    def prepare(self, batch: Sequence[Encoded]) -> list[tuple[list[int], dict[str, Any]]]:
        """Pad a batch in groups, shortest texts first."""
        lengths = [encoded.tokens for encoded in batch]
        # Without a mask the model takes padding for text.
        cut = (
            groups(lengths)
            if "attention_mask" in self._inputs
            else [[n] for n in range(len(batch))]
        )
        return [(places, self._feed([batch[place].data for place in places])) for places in cut]

    def run(
        self,
        prepared: list[tuple[list[int], dict[str, Any]]],
        effort: EffortLevel,  # noqa: ARG002 - there is one
    ) -> list[Prediction]:
        """Classify a prepared batch; one prediction per event, in the order given to ``prepare``.

        Raises:
            EngineError: The model failed, or its answer is not one score per label and event.
        """
        if not prepared:
            return []
        places = [place for some, _ in prepared for place in some]
        logits = np.empty((len(places), len(self.labels)), np.float32)
        with failures_of(self.model, len(places)):
            for some, feed in prepared:
                (answer,) = self._session.run([self._output], feed)
                if answer.shape != (len(some), len(self.labels)):
                    raise EngineError(
                        f"{self.model.name} gave {self._output} of shape {list(answer.shape)} for "
                        f"{len(some)} texts and {len(self.labels)} labels; is id2label right?"
                    )
                logits[some] = answer
            return predictions(torch.from_numpy(logits), self._layers, self.model)

    def _feed(self, texts: Sequence[Sequence[int]]) -> dict[str, NDArray[np.int64]]:
        shape = (len(texts), max(map(len, texts)))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return {name: each for name, each in feed.items() if name in self._inputs}


BACKEND = OnnxBackend()
