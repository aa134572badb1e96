"""What serving a sparse encoder takes on the native kernels: no torch, so little memory."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inference.engine import EffortLevel, Prediction
from inference.native.binding import Format, instruction_sets, is_fast
from inference.native.encoder import NativeEncoder, NotFiniteError, is_supported
from inference.precision import Precision, parse_precision
from inference.shape import EncoderShape
from schemas.errors import EngineError
from schemas.results import Model

NATIVE = {
    Precision.FP32: ("fp32", "fp32"),
    Precision.BF16: ("bf16", "bf16"),
    Precision.INT8: ("int8", "int8"),
    Precision.BF16_INT8: ("int8", "bf16"),
    Precision.BF16_FP8: ("bf16", "bf16"),
}
"""Of feed-forward products, and of attention's; float8 is widened when a model is laid out."""
TORCH = "torch"
PORTABLE = "portable"
"""Kernels without instructions of any processor; torch's are quicker."""


class Forward(Protocol):
    """A network that takes packed batches.

    Attributes:
        path: What multiplies: an instruction set of the native kernels, or ``torch``.
    """

    path: str

    def run(
        self,
        tokens: NDArray[np.int32] | NDArray[np.float32],
        lengths: NDArray[np.int32],
        experts_per_token: int,
        exit_thresholds: Sequence[float],
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Classify a packed batch; see :meth:`inference.native.encoder.NativeEncoder.run`."""
        ...


def runs_natively(config: EncoderShape) -> bool:
    """Say whether the native kernels run a model of this shape, and quicker than torch."""
    return is_supported(config) and instruction_sets()[0] != PORTABLE


def native_precision(
    config: EncoderShape, precision: str | None, isa: str | None
) -> Precision | None:
    """Return the precision that a text model runs in without torch.

    Args:
        config: Its shape.
        precision: A name of ``inference.precision.Precision``; ``None`` for the quickest.
        isa: An instruction set, or ``torch``; ``None`` for the best.

    Returns:
        ``None`` where torch is needed: to run it, or to round its weights to float8.

    Raises:
        ConfigurationError: There is no such precision.
    """
    chosen = parse_precision(precision)
    if config.modality != "text" or isa == TORCH or (isa is None and not runs_natively(config)):
        return None
    if chosen is None:
        return Precision.INT8 if runs_natively(config) and is_fast(Format.INT8) else None
    return None if chosen is Precision.BF16_FP8 else chosen


def native_forward(
    config: EncoderShape,
    weights: Mapping[str, NDArray[Any]],
    precision: Precision,
    threads: int,
    isa: str | None,
) -> NativeEncoder:
    """Make a model ready to run on the native kernels.

    Args:
        config: Its shape.
        weights: All of them, in float32.
        precision: One that :func:`native_precision` returned.
        threads: Threads that a batch is split over.
        isa: An instruction set; ``None`` for the best.

    Raises:
        ConfigurationError: The instruction set is none that the model runs in.
        EngineError: A weight is not finite.
    """
    feed_forward, attention = NATIVE[precision]
    return NativeEncoder.of_weights(
        config, weights, feed_forward, threads, isa, attention=attention
    )


def classify(  # noqa: PLR0917 - a batch and all that it is run with
    forward: Forward,
    config: EncoderShape,
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
