"""A backend of one's own: ONNX files through OpenVINO.

    Optimizer("model.onnx", backend="openvino").compile(precision="bf16")

``tokenizer.json`` and ``config.json`` lie beside the file, as for headrace's own ONNX backend.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from inference.backends import Request, Source
from inference.backends.answers import failures_of, predictions
from inference.backends.source import identity, labels_of, longest_text, read_tokenizer
from inference.backends.text_engine import TextIngress
from inference.engine import EffortLevel, Encoded, Prediction
from inference.precision import Precision
from schemas.errors import ConfigurationError

HINTS = {None: "dynamic", Precision.FP32: "f32", Precision.BF16: "bf16"}


class OpenVinoEngine(TextIngress):
    """Labels, one effort and the tokenizer come with :class:`TextIngress`."""

    def __init__(self, compiled: Any, layers: int, *ingress: Any) -> None:
        super().__init__(*ingress)
        self._request = compiled.create_infer_request()
        self._layers = layers

    def prepare(self, batch: Sequence[Encoded]) -> dict[str, Any]:
        """Pad a batch to its longest text; called while another batch is running."""
        shape = (len(batch), max((one.tokens for one in batch), default=0))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, one in enumerate(batch):
            ids[row, : one.tokens] = one.data
            mask[row, : one.tokens] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def run(self, prepared: dict[str, Any], effort: EffortLevel) -> list[Prediction]:
        """Classify; one prediction per event, in the order of the batch."""
        del effort  # a dense model has one
        events = len(prepared["input_ids"])
        if not events:
            return []
        with failures_of(self.model, events):
            logits = self._request.infer(prepared)[0]
            return predictions(torch.from_numpy(logits.copy()), self._layers, self.model)


class OpenVinoBackend:
    """Named by the entry point."""

    def accepts(self, source: Source) -> bool:
        """Say what this can run, from names and configuration alone."""
        return source.is_onnx

    def load(self, source: Source, request: Request) -> OpenVinoEngine:
        """Load a model as an engine."""
        if request.precision not in HINTS or request.device.type != "cpu":
            raise ConfigurationError(
                f"backend 'openvino' runs auto, fp32 or bf16 on a CPU, not {request.precision} on "
                f"{request.device}"
            )
        import openvino  # noqa: PLC0415 - installed where this backend is used

        options = {"INFERENCE_NUM_THREADS": request.threads, "NUM_STREAMS": 1}
        if HINTS[request.precision] != "dynamic":
            options["INFERENCE_PRECISION_HINT"] = HINTS[request.precision]
        compiled = openvino.Core().compile_model(str(source.path), "CPU", options)
        return OpenVinoEngine(
            compiled,
            int(source.config.get("num_hidden_layers", 1)),
            read_tokenizer(source, longest_text(source)),
            identity(source),
            labels_of(source),
        )


BACKEND = OpenVinoBackend()
