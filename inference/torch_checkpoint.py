"""Loading a checkpoint that torch is needed for: of images, on a GPU, or without native kernels."""

from pathlib import Path
from typing import Any

import torch

from inference.device import settle_torch
from inference.engine import Engine
from inference.forward import forward_of
from inference.image_engine import ImageEngine
from inference.model import (
    SparseEncoderConfig,
    SparseEncoderForImageClassification,
    SparseEncoderForSequenceClassification,
    network_class,
)
from inference.sparse_engine import SparseEngine
from inference.storage import read_weights
from inference.text import TextEncoder
from inference.weights import WEIGHTS_FILE
from schemas.errors import EngineError
from schemas.results import Model


def load(
    directory: Path,
    fields: dict[str, Any],
    tokenizer: TextEncoder | None,
    model: Model,
    *,
    precision: str | None,
    threads: int,
    isa: str | None,
    device: torch.device | str,
) -> Engine:
    """Load a checkpoint; see :func:`inference.checkpoint.load_engine`.

    Args:
        directory: Where it lies.
        fields: Its configuration, checked.
        tokenizer: Of text; images have none.
        model: How results cite it.
        precision: As of ``load_engine``, and so the others.
        threads: Likewise.
        isa: Likewise.
        device: Likewise.

    Raises:
        ConfigurationError: It does not run as asked for.
        EngineError: A file of it is damaged.
    """
    settle_torch(threads)
    try:
        config = SparseEncoderConfig(**fields)
    except (TypeError, ValueError, KeyError) as error:
        raise EngineError(f"{directory / 'config.json'}: {error}") from error
    network = _build(directory, config)
    how: Any = {
        "precision": precision,
        "threads": threads,
        "isa": isa,
        "device": torch.device(device),
    }
    if isinstance(network, SparseEncoderForImageClassification):
        return ImageEngine(network, model, **how)
    assert tokenizer is not None  # noqa: S101 - what is not of images is of text
    return SparseEngine(forward_of(network, **how), config, tokenizer, model)


def _build(directory: Path, config: SparseEncoderConfig) -> SparseEncoderForSequenceClassification:
    weights = read_weights(directory, config.storage_bits)
    with torch.device("meta"):
        network = network_class(config)(config)
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise EngineError(
            f"{directory / WEIGHTS_FILE} does not fit config.json: {error}"
        ) from error
    return network.eval().requires_grad_(requires_grad=False)  # type: ignore[no-any-return]
