"""From the logits of a dense model to predictions; shared by all that run one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from inference.engine import EffortLevel, Prediction
from schemas.errors import EngineError
from schemas.results import Model

FULL = (EffortLevel("full"),)
"""The ladder of a dense model: every event is given all of it."""


def predictions(logits: Tensor, layers: int, model: Model) -> list[Prediction]:
    """Turn logits [B, C] of events that ran through the whole model into predictions.

    Raises:
        EngineError: A score is not a number.
    """
    scores = logits.float().softmax(dim=1)
    if not bool(scores.isfinite().all()):
        raise EngineError(f"{model.name} returned scores that are not numbers")
    return [
        Prediction(scores=tuple(each), active_share=1.0, layers=layers, experts=1)
        for each in scores.tolist()
    ]


@contextmanager
def failures_of(model: Model, events: int) -> Iterator[None]:
    """Raise what a model raises on a batch as an ``EngineError``."""
    try:
        with torch.inference_mode():
            yield
    except EngineError:
        raise
    except Exception as error:
        raise EngineError(f"{model.name} failed on a batch of {events}: {error}") from error
