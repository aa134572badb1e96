"""Calibration on held-out texts: temperatures, exit thresholds, the ladder of efforts."""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from inference.model import SparseEncoderForSequenceClassification
from inference.training.data import LabelledSet
from inference.training.evaluate import all_exits, walk

LEAST_LEFT = 30
"""Held-out texts without which the last exit is not calibrated on those that get there alone."""
NEVER = 2.0
"""A threshold that no confidence reaches."""
EARLY_EXIT_LOSS = 0.02
"""Accuracy that the rung ``early_exit`` may cost on held-out texts."""
THRESHOLDS = tuple(percent / 100 for percent in range(99, 33, -1))
"""Thresholds to choose from, the most careful first."""


def calibrate(
    model: SparseEncoderForSequenceClassification,
    held_out: LabelledSet,
    *,
    accuracy_loss: float,
    most_layers: float | None = None,
) -> None:
    """Set the model's temperatures, thresholds and efforts from held-out texts.

    Args:
        model: Trained, not yet calibrated; changed in place.
        held_out: Texts it has not learned from.
        accuracy_loss: What early exits may lose at full effort, 0 to 1.
        most_layers: Layers that a token may run through on average at full effort, which goes
            before; ``None`` for as many as it needs.
    """
    config = model.config
    raw = all_exits(model, held_out, config.experts_per_token)  # [N, M, C]
    temperatures = fit_temperatures(raw, held_out.targets)
    logits = raw / torch.tensor(temperatures)[:, None, None]
    usual = choose_threshold(logits, held_out, accuracy_loss=accuracy_loss)
    lower = choose_threshold(logits, held_out, accuracy_loss=max(EARLY_EXIT_LOSS, accuracy_loss))
    if most_layers is not None:
        usual = min(usual, affordable_threshold(logits, held_out, layers=most_layers))
        lower = min(usual, lower)
    temperatures[-1] = _temperature_of_the_last(raw[-1], logits, held_out, usual, temperatures[-1])
    config.exit_temperatures = temperatures
    for leave, temperature in zip(model.exits, temperatures, strict=True):
        leave.temperature = temperature
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


def _temperature_of_the_last(
    raw: Tensor, logits: Tensor, texts: LabelledSet, threshold: float, otherwise: float
) -> float:
    """Return the last exit's temperature for the texts that get there, which are the hard ones.

    It changes no label and lets nobody leave elsewhere: whoever is there leaves.
    """
    left = walk(logits, texts, [threshold] * len(logits)).layers == len(logits)  # [M]
    if left.sum() < LEAST_LEFT:
        return otherwise
    return fit_temperatures(raw[None, left], texts.targets[left])[0]


def choose_threshold(logits: Tensor, texts: LabelledSet, *, accuracy_loss: float) -> float:
    """Choose the confidence from which texts may leave early.

    One number for all exits: as they are calibrated, it means the same at each, and one number
    cannot be fitted to chance as a number per exit can. For the same reason the loss is taken one
    standard error above what was counted: few held-out texts prove little.

    Args:
        logits: Calibrated logits of every exit on held-out texts, [N, M, C].
        texts: These texts.
        accuracy_loss: What may be lost against running every layer, 0 to 1.

    Returns:
        The lowest threshold down to which the loss stays within bounds.
    """
    whole = (logits[-1].argmax(dim=1) == texts.targets).float()  # [M]
    chosen = NEVER
    for threshold in THRESHOLDS:
        answers = walk(logits, texts, [threshold] * len(logits)).scores.argmax(dim=1)
        lost = whole - (answers == texts.targets).float()  # [M]
        if lost.mean() + lost.square().mean().sqrt() / len(lost) ** 0.5 > accuracy_loss:
            break
        chosen = threshold
    return chosen


def affordable_threshold(logits: Tensor, texts: LabelledSet, *, layers: float) -> float:
    """Return the highest threshold with which tokens run through so many layers on average.

    Args:
        logits: Calibrated logits of every exit on held-out texts, [N, M, C].
        texts: These texts.
        layers: Layers per token.

    Returns:
        A threshold; the lowest one where even that takes more layers.
    """
    for threshold in (NEVER, *THRESHOLDS):
        gone = walk(logits, texts, [threshold] * len(logits))
        if (gone.layers * gone.tokens).sum() <= layers * gone.tokens.sum():
            return threshold
    return THRESHOLDS[-1]
