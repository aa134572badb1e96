"""Running the sparse encoder on packed batches: natively where that can be, in torch elsewhere."""

import contextlib
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from inference.device import has_fast_bfloat16
from inference.float8 import AT_ONCE, rounded_to_float8, tell_float8
from inference.kernels import Layout
from inference.model import SparseEncoderForSequenceClassification, TextEmbedding
from inference.native.binding import Format, is_fast
from inference.native.encoder import NativeEncoder, NotFiniteError
from inference.native.quantised import quantise_network
from inference.precision import Precision, parse_precision
from inference.serving import NATIVE, TORCH, Forward, runs_natively
from schemas.errors import ConfigurationError, EngineError

ON_GPU = (Precision.FP32, Precision.BF16, Precision.BF16_FP8)
CPU = torch.device("cpu")


class TorchForward:
    """Runs a network in torch.

    Args:
        network: In float32; changed to the precision in place.
        precision: Any; on a GPU one of ``ON_GPU``.
        device: Where the layers run. The stem of images stays where it is.
    """

    def __init__(
        self,
        network: SparseEncoderForSequenceClassification,
        precision: Precision,
        device: torch.device = CPU,
    ) -> None:
        if precision in {Precision.INT8, Precision.BF16_INT8}:
            quantise_network(network, attention=precision is Precision.INT8)
        is_whole = precision in {Precision.FP32, Precision.INT8}
        self._kind = torch.float32 if is_whole else torch.bfloat16
        network.to(self._kind)
        for part in (network.blocks, network.exits):
            cast("nn.Module", part).to(device)
        if isinstance(network.embedding, TextEmbedding):
            network.embedding.to(device)
        self.path = TORCH
        self._network = network
        self._device = device

    def run(
        self,
        tokens: NDArray[np.int32] | NDArray[np.float32],
        lengths: NDArray[np.int32],
        experts_per_token: int,
        exit_thresholds: Sequence[float],
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Classify a packed batch; see :meth:`inference.native.encoder.NativeEncoder.run`.

        Attention runs once per stretch of equal lengths, so events are sorted by length first.
        """
        order = np.argsort(lengths, kind="stable")
        parts = np.split(tokens, np.cumsum(lengths)[:-1])
        layout = Layout(tuple(lengths[order].tolist()), is_rounded=True)
        packed = np.concatenate([parts[place] for place in order])
        packed = np.pad(packed, [(0, layout.padding)] + [(0, 0)] * (packed.ndim - 1))
        # What is made on the way, such as places of rows, is made where the layers are.
        near = self._device if self._device.type != "cpu" else contextlib.nullcontext()
        try:
            with torch.inference_mode(), near:
                given = torch.from_numpy(packed).to(self._device)
                hidden = (
                    self._network.embedding(given.long(), layout)
                    if given.dim() == 1
                    else given.to(self._kind)
                )
                output = self._network.run_until_confident(
                    hidden, layout, experts_per_token, exit_thresholds
                )
                scores = output.logits.softmax(dim=1)
        except (RuntimeError, IndexError, ValueError) as error:
            raise EngineError(str(error)) from error
        if not bool(scores.isfinite().all()):
            raise NotFiniteError("an event's scores are not numbers")
        probabilities = np.empty(scores.shape, np.float32)
        layers = np.empty(len(lengths), np.int32)
        probabilities[order], layers[order] = scores.cpu().numpy(), output.layers.cpu().numpy()
        return probabilities, layers


def quickest_precision(network: SparseEncoderForSequenceClassification) -> Precision:
    """Return the precision that a network runs quickest in on this processor."""
    if runs_natively(network.config) and is_fast(Format.INT8):
        return Precision.INT8
    return Precision.BF16 if has_fast_bfloat16() else Precision.FP32


def forward_of(
    network: SparseEncoderForSequenceClassification,
    precision: str | None = None,
    *,
    threads: int = 1,
    isa: str | None = None,
    device: torch.device = CPU,
) -> Forward:
    """Make a network ready to run.

    Args:
        network: In float32, in evaluation mode; not to be used by anyone else afterwards.
        precision: A name of ``inference.precision.Precision``; ``None`` for the quickest of this
            processor, and for ``bf16`` on a GPU.
        threads: Threads that a batch is split over.
        isa: An instruction set of ``inference.native.binding.instruction_sets``, or ``torch``;
            ``None`` for the best.
        device: Where to run; ``isa`` is of a CPU.

    Raises:
        ConfigurationError: The precision or the instruction set is none that the network runs in.
        EngineError: A weight is not finite.
    """
    chosen = _chosen_precision(network, precision, device)
    if chosen is Precision.BF16_FP8:
        round_network_to_float8(network)
        tell_float8(device, AT_ONCE)
    if device.type != "cpu" or isa == TORCH or (isa is None and not runs_natively(network.config)):
        return TorchForward(network, chosen, device)
    feed_forward, attention = NATIVE[chosen]
    return NativeEncoder.build(network, feed_forward, threads, isa, attention=attention)


def _chosen_precision(
    network: SparseEncoderForSequenceClassification, precision: str | None, device: torch.device
) -> Precision:
    chosen = parse_precision(precision)
    if device.type == "cpu":
        return chosen or quickest_precision(network)
    if chosen is not None and chosen not in ON_GPU:
        raise ConfigurationError(
            f"precision {chosen} is none that a sparse checkpoint runs in on {device}; choose one "
            f"of {', '.join(ON_GPU)}"
        )
    return chosen or Precision.BF16


def round_network_to_float8(network: SparseEncoderForSequenceClassification) -> None:
    """Round the weights of a network's large products to float8, one scale per output, in place."""
    for block in network.blocks:
        for linear in (block.attention.qkv, block.attention.out):
            linear.weight.data = rounded_to_float8(linear.weight)
        feed = block.feed_forward
        for experts in (feed.experts, getattr(feed, "shared", None)):
            if experts is not None:
                experts.up.data = rounded_to_float8(experts.up.mT).mT.contiguous()
                experts.down.data = rounded_to_float8(experts.down.mT).mT.contiguous()
