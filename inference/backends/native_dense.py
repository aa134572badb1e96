"""Dense BERT-shaped encoders on the native kernels, which the sparse encoder runs on too.

Layers, attention and norms run natively on packed batches; the head, one small product of each
event's first token, in torch.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inference.backends.dense_encoder import DenseEncoder, Shape, run_sample
from inference.backends.linear import input_peaks, layer_products, stretch_of
from inference.bert import as_single_experts
from inference.kernels import Layout
from inference.model import SparseEncoderConfig, SparseEncoderForSequenceClassification
from inference.native.binding import Format, instruction_sets, is_fast
from inference.native.encoder import NativeEncoder, is_supported
from inference.native.laid_out import Stretch
from inference.precision import Precision

PORTABLE = "portable"
FORMATS = {
    Precision.FP32: ("fp32", "fp32"),
    Precision.BF16: ("bf16", "bf16"),
    Precision.INT8: ("int8", "int8"),
    Precision.BF16_INT8: ("int8", "bf16"),
}
"""Of feed-forward products, and of attention's."""


def runs_natively(shape: Shape, precision: Precision) -> bool:
    """Say whether there are kernels for a shape and precision on this processor."""
    sets = instruction_sets()
    return (
        bool(sets)
        and sets[0] != PORTABLE
        and precision in FORMATS
        and shape.embedding == shape.width
        and shape.is_gelu
        and shape.neurons % 8 == 0
        and is_supported(_config_of(shape))
    )


def quickest_native(shape: Shape) -> Precision | None:
    """Return the precision that native kernels run quickest in; ``None`` if there are none."""
    for precision, number_format in (
        (Precision.INT8, Format.INT8),
        (Precision.BF16, Format.BF16),
    ):
        if runs_natively(shape, precision) and is_fast(number_format):
            return precision
    return None


class NativeDense:
    """Stands in for a :class:`DenseEncoder`.

    Args:
        network: In float32; what is not the head is not used afterwards.
        shape: Its sizes.
        precision: One that :func:`runs_natively` accepts.
        threads: Threads that a batch is split over.

    Raises:
        EngineError: A weight is not finite.
    """

    def __init__(
        self, network: DenseEncoder, shape: Shape, precision: Precision, threads: int
    ) -> None:
        feed_forward, attention = FORMATS[precision]
        stretch = _stretch(network, shape) if feed_forward == "int8" else None
        self._head = network.head
        self._encoder = NativeEncoder.build(
            _as_sparse(network, shape),
            feed_forward,
            threads,
            attention=attention,
            stretch=stretch,
        )
        self.path = self._encoder.path

    def __call__(self, input_ids: Tensor, layout: Layout) -> Tensor:
        """Classify a packed batch: ids [T] to logits [B, C]."""
        ids: NDArray[np.int32] = input_ids[: layout.tokens].to(torch.int32).numpy()
        lengths = np.array(layout.lengths, np.int32)
        return self._head(torch.from_numpy(self._encoder.first_tokens(ids, lengths)))  # type: ignore[no-any-return]


def _stretch(network: DenseEncoder, shape: Shape) -> Stretch:
    """Return by how much each layer's input channels are evened out."""
    peaks = input_peaks(network, lambda: run_sample(network, shape))
    found = {
        name: stretch_of(linear.weight, peaks[name]) for name, linear in layer_products(network)
    }
    return [
        (found[f"blocks.{number}.attention_qkv"].numpy(), found[f"blocks.{number}.up"].numpy())
        for number in range(shape.layers)
    ]


def _as_sparse(network: DenseEncoder, shape: Shape) -> SparseEncoderForSequenceClassification:
    """Return the encoder as one of a single expert, whose exits say nothing."""
    config = _config_of(shape)
    theirs = network.state_dict()
    ours = {name: each for name, each in theirs.items() if name.startswith("embedding.")}
    ours |= as_single_experts(theirs, shape.layers)
    for number in range(shape.layers):
        ours[f"exits.{number}.classify.weight"] = torch.zeros(len(config.id2label), shape.width)
        ours[f"exits.{number}.classify.bias"] = torch.zeros(len(config.id2label))
    with torch.device("meta"):
        sparse = SparseEncoderForSequenceClassification(config)
    sparse.load_state_dict(ours, assign=True)
    return sparse.eval()  # type: ignore[no-any-return]


def _config_of(shape: Shape) -> SparseEncoderConfig:
    return SparseEncoderConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.neurons,
        num_experts=1,
        experts_per_token=1,
        max_position_embeddings=shape.longest,
        layer_norm_eps=shape.epsilon,
        num_labels=2,
    )
