"""Running the sparse encoder on packed batches: natively where that can be, in torch elsewhere."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from inference.device import has_fast_bfloat16
from inference.engine import EffortLevel, Prediction
from inference.kernels import Layout
from inference.model import SparseEncoderConfig, SparseEncoderForSequenceClassification
from inference.native.encoder import NativeEncoder, NotFiniteError, is_supported
from inference.native.library import Format, instruction_sets, is_fast
from inference.native.quantised import quantise_network
from inference.precision import Precision
from schemas.errors import ConfigurationError, EngineError
from schemas.results import Model

PRECISIONS = (Precision.FP32, Precision.BF16, Precision.INT8)
PORTABLE = "portable"
"""Kernels without instructions of any processor; torch's are quicker."""


class Forward(Protocol):
    """A network that takes packed batches."""

    def run(
        self,
        tokens: NDArray[np.int32] | NDArray[np.float32],
        lengths: NDArray[np.int32],
        experts_per_token: int,
        exit_thresholds: Sequence[float],
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Classify a packed batch; see :meth:`inference.native.encoder.NativeEncoder.run`."""
        ...


class TorchForward:
    """Runs a network in torch.

    Args:
        network: In float32; changed to the precision in place.
        precision: One of ``PRECISIONS``.
    """

    def __init__(
        self, network: SparseEncoderForSequenceClassification, precision: Precision
    ) -> None:
        if precision is Precision.INT8:
            quantise_network(network)
        elif precision is Precision.BF16:
            network.to(torch.bfloat16)
        self._network = network
        self._kind = torch.bfloat16 if precision is Precision.BF16 else torch.float32

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
        try:
            with torch.inference_mode():
                given = torch.from_numpy(packed)
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
        probabilities[order], layers[order] = scores.numpy(), output.layers.numpy()
        return probabilities, layers


def quickest_precision(network: SparseEncoderForSequenceClassification) -> Precision:
    """Return the precision that a network runs quickest in on this processor."""
    if _runs_natively(network) and is_fast(Format.INT8):
        return Precision.INT8
    return Precision.BF16 if has_fast_bfloat16() else Precision.FP32


def forward_of(
    network: SparseEncoderForSequenceClassification,
    precision: str | None = None,
    *,
    threads: int = 1,
    isa: str | None = None,
) -> Forward:
    """Make a network ready to run.

    Args:
        network: In float32, in evaluation mode; not to be used by anyone else afterwards.
        precision: ``fp32``, ``bf16`` or ``int8``; ``None`` for the quickest of this processor.
        threads: Threads that a batch is split over.
        isa: An instruction set of ``inference.native.library.instruction_sets``, or ``torch``;
            ``None`` for the best.

    Raises:
        ConfigurationError: The precision or the instruction set is none that the network runs in.
        EngineError: A weight is not finite.
    """
    chosen = quickest_precision(network) if precision is None else precision
    if chosen not in PRECISIONS:
        raise ConfigurationError(
            f"precision {chosen} is none that a sparse checkpoint runs in; choose one of "
            f"{', '.join(PRECISIONS)}"
        )
    if isa == "torch" or (isa is None and not _runs_natively(network)):
        return TorchForward(network, Precision(chosen))
    return NativeEncoder.build(network, chosen, threads, isa)


def _runs_natively(network: SparseEncoderForSequenceClassification) -> bool:
    return is_supported(network.config) and instruction_sets()[0] != PORTABLE


def classify(  # noqa: PLR0917 - a batch and all that it is run with
    forward: Forward,
    config: SparseEncoderConfig,
    model: Model,
    tokens: NDArray[np.int32] | NDArray[np.float32],
    lengths: NDArray[np.int32],
    effort: EffortLevel,
) -> list[Prediction]:
    """Run a packed batch at an effort; one prediction per event, in order.

    Args:
        forward: What runs it.
        config: The network's.
        model: How results cite it.
        tokens: Ids of all events, one after another, [T]; or their embeddings, [T, D].
        lengths: Tokens of each event, [B].
        effort: How much of the network to use.

    Raises:
        EngineError: The model failed, or some event's scores are not numbers.
    """
    if not len(lengths):
        return []
    experts = min(effort.experts or config.experts_per_token, config.num_experts)
    thresholds = config.exit_thresholds or [1.0] * config.num_hidden_layers
    if effort.exit_threshold is not None:
        thresholds = [effort.exit_threshold] * len(thresholds)
    try:
        scores, layers = forward.run(tokens, lengths, experts, thresholds)
    except NotFiniteError as error:
        raise EngineError(f"{model.name} returned scores that are not numbers") from error
    except EngineError as error:
        raise EngineError(f"{model.name} failed on a batch of {len(lengths)}: {error}") from error
    share = [config.active_share(count, experts) for count in range(len(thresholds) + 1)]
    return [
        Prediction(scores=tuple(each), active_share=share[count], layers=count, experts=experts)
        for each, count in zip(scores.tolist(), layers.tolist(), strict=True)
    ]
