"""Measuring a model: accuracy, calibration, work."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.model import SparseEncoderConfig, SparseEncoderForSequenceClassification
from inference.training.data import LabelledSet

BINS = 15
"""Bins of the expected calibration error."""
BATCH = 64


@dataclass(frozen=True)
class Quality:
    """How well a set was classified.

    Attributes:
        accuracy: Share of right answers.
        macro_f1: F1 averaged over the classes that occur or are answered.
        ece: Expected calibration error over equal bins of confidence.
        per_class: Precision, recall and F1 of each class, in order.
    """

    accuracy: float
    macro_f1: float
    ece: float
    per_class: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Walk:
    """How a set went through the exits.

    Attributes:
        scores: Probabilities at the exit each text took, [M, C].
        layers: Layers each text ran through, [M].
        tokens: Tokens of each text, [M].
    """

    scores: Tensor
    layers: Tensor
    tokens: Tensor

    def active_share(self, config: SparseEncoderConfig, experts: int) -> float:
        """Mean over texts of the share of parameters that each of its tokens met."""
        return config.active_share(self.layers.float().mean().item(), experts)

    def work(self, config: SparseEncoderConfig, experts: int) -> float:
        """Multiplications done, as a share of those of the whole encoder, counted over tokens."""
        depth = (self.layers * self.tokens).sum() / self.tokens.sum()
        return config.active_share(1, experts) * depth.item()


@torch.inference_mode()
def all_exits(
    model: SparseEncoderForSequenceClassification, texts: LabelledSet, experts: int
) -> Tensor:
    """Return the logits of every exit for every text, [N, M, C]."""
    model.eval()
    logits = torch.empty(len(model.exits), len(texts), len(model.config.id2label))
    for batch in texts.batches(BATCH):
        output = model(batch.input_ids, batch.layout, experts_per_token=experts)
        logits[:, batch.index] = output.exits
    return logits


def walk(logits: Tensor, texts: LabelledSet, thresholds: Sequence[float]) -> Walk:
    """Let each text leave at the first exit that is confident of it.

    Args:
        logits: Calibrated logits of every exit, [N, M, C].
        texts: The texts they belong to.
        thresholds: Confidence per exit; the last is never asked.
    """
    scores = logits.softmax(dim=2)  # [N, M, C]
    ready = scores.amax(dim=2) >= torch.tensor(thresholds)[:, None]  # [N, M]
    ready[-1] = True
    taken = ready.float().argmax(dim=0)  # [M]
    return Walk(scores[taken, torch.arange(len(taken))], taken + 1, texts.lengths)


def quality(scores: Tensor, targets: Tensor) -> Quality:
    """Compare probabilities [M, C] with the true classes [M]."""
    confidence, answer = scores.max(dim=1)
    right = answer == targets
    ece = 0.0
    which = (confidence * BINS).long().clamp(max=BINS - 1)
    for number in range(BINS):
        part = which == number
        if part.any():
            gap = confidence[part].mean() - right[part].float().mean()
            ece += (part.float().mean() * gap.abs()).item()
    per_class = []
    for number in range(scores.shape[1]):
        hits = (right & (targets == number)).sum().item()
        precision = hits / max(1, (answer == number).sum().item())
        recall = hits / max(1, (targets == number).sum().item())
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        per_class.append((precision, recall, f1))
    seen = {*targets.tolist(), *answer.tolist()}
    macro_f1 = sum(per_class[number][2] for number in seen) / len(seen)
    return Quality(right.float().mean().item(), macro_f1, ece, tuple(per_class))
