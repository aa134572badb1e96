"""Calibration on held-out texts: temperatures, exit thresholds, the ladder of efforts."""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from inference.model import SparseEncoderForSequenceClassification
from inference.training.data import LabelledSet
from inference.training.evaluate import all_exits, walk

NEVER = 2.0
"""A threshold that no confidence reaches."""
EARLY_EXIT_LOSS = 0.02
"""Accuracy that the rung ``early_exit`` may cost on held-out texts."""


def calibrate(
    model: SparseEncoderForSequenceClassification, held_out: LabelledSet, *, accuracy_loss: float
) -> None:
    """Set the model's temperatures, thresholds and efforts from held-out texts.

    Args:
        model: Trained, not yet calibrated; changed in place.
        held_out: Texts it has not learned from.
        accuracy_loss: What early exits may lose at full effort, 0 to 1.
    """
    config = model.config
    logits = all_exits(model, held_out, config.experts_per_token)  # [N, M, C]
    temperatures = fit_temperatures(logits, held_out.targets)
    config.exit_temperatures = temperatures
    for leave, temperature in zip(model.exits, temperatures, strict=True):
        leave.temperature = temperature
    logits = logits / torch.tensor(temperatures)[:, None, None]
    usual = choose_threshold(logits, held_out, accuracy_loss=accuracy_loss)
    lower = choose_threshold(logits, held_out, accuracy_loss=max(EARLY_EXIT_LOSS, accuracy_loss))
    config.exit_thresholds = [usual] * len(temperatures)
    config.efforts = ladder(usual, lower, config.experts_per_token)


def ladder(usual: float, early_exit: float, experts: int) -> list[dict[str, Any]]:
    """Return the efforts, full first, each next one cheaper.

    Args:
        usual: Threshold at full effort.
        early_exit: Threshold of the efforts below; where it is the same, the rung that only exits
            earlier is left out.
        experts: Experts per token at full effort.
    """
    rungs: list[dict[str, Any]] = [{"name": "full", "experts": None, "exit_threshold": None}]
    if early_exit < usual:
        rungs.append({"name": "early_exit", "experts": None, "exit_threshold": early_exit})
    if experts > 1:
        rungs.append({"name": "single_expert", "experts": 1, "exit_threshold": early_exit})
    return [*rungs, {"name": "first_exit", "experts": 1, "exit_threshold": 0.0}]


def fit_temperatures(logits: Tensor, targets: Tensor) -> list[float]:
    """Return for each exit the temperature that makes its held-out likelihood best.

    Args:
        logits: Uncalibrated logits of every exit on held-out texts, [N, M, C].
        targets: Their classes, [M].
    """
    candidates = torch.logspace(-0.7, 0.7, 141).tolist()
    chosen = []
    for each in logits:
        losses = [F.cross_entropy(each / warmth, targets).item() for warmth in candidates]
        chosen.append(round(candidates[losses.index(min(losses))], 4))
    return chosen


def choose_threshold(logits: Tensor, texts: LabelledSet, *, accuracy_loss: float) -> float:
    """Choose the confidence from which texts may leave early.

    One number for all exits: as they are calibrated, it means the same at each, and one number
    cannot be fitted to chance as a number per exit can.

    Args:
        logits: Calibrated logits of every exit on held-out texts, [N, M, C].
        texts: These texts.
        accuracy_loss: What may be lost against running every layer, 0 to 1.

    Returns:
        The lowest threshold down to which the loss stays within bounds.
    """

    def accuracy(threshold: float) -> float:
        answers = walk(logits, texts, [threshold] * len(logits)).scores.argmax(dim=1)
        return (answers == texts.targets).float().mean().item()

    floor = accuracy(NEVER) - accuracy_loss
    chosen = NEVER
    for percent in range(99, 33, -1):
        if accuracy(percent / 100) < floor:
            break
        chosen = percent / 100
    return chosen
