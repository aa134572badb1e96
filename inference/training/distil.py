"""The two training loops: fine-tune a dense teacher on labels, distil a sparse student from it."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from inference.device import has_fast_bfloat16
from inference.model import SparseEncoderForSequenceClassification
from inference.training.augment import NO_LABEL, Corruptor
from inference.training.data import Batch, TokenSet
from inference.training.learning import (
    BALANCE,
    SMOOTHING,
    LossOf,
    Schedule,
    divergence,
    draw_experts,
    learn,
    softened,
    unevenness,
)
from inference.training.progress import Report
from inference.training.resume import State

LABELS = 0.25
"""Weight of the labels beside the teacher's probabilities."""
STATES = 1.0
"""Weight of what the teacher's last layer makes of each token, as in "TinyBERT" (Jiao et al.,
2020): of few classes, the probabilities alone say little about a text."""
WARM_UP = 0.1


def fine_tune(
    teacher: SparseEncoderForSequenceClassification,
    train: TokenSet,
    schedule: Schedule,
    report: Report,
    *,
    state: State,
) -> None:
    """Train the teacher's last exit on the labels."""

    def loss(batch: Batch) -> Tensor:
        logits = teacher(batch.input_ids, batch.layout).exits[-1]  # [B, C]
        return F.cross_entropy(logits, batch.targets, label_smoothing=SMOOTHING)

    groups = _groups(teacher, schedule)
    learn(teacher, groups, train, schedule, _quick(loss), _pace, report, "teacher", state, {})


def distil(  # noqa: PLR0917 - who learns what from whom
    student: SparseEncoderForSequenceClassification,
    teacher: SparseEncoderForSequenceClassification,
    train: TokenSet,
    corruptor: Corruptor,
    schedule: Schedule,
    report: Report,
    *,
    state: State,
) -> None:
    """Train every exit of the student on the teacher's probabilities and on the labels.

    Each step takes some texts and a corrupted copy of each; of the copies, which have no label,
    the teacher says what it thinks.

    Args:
        student: A sparse encoder split off the teacher.
        teacher: Its last exit is learned from.
        train: The training texts.
        corruptor: Makes the copies.
        schedule: How long and how fast.
        report: Takes progress.
        state: Where a run that was stopped is taken up again.
    """
    chance = torch.Generator().manual_seed(schedule.seed)
    words = torch.Generator().manual_seed(schedule.seed)
    most = student.config.experts_per_token
    teacher.eval()

    def loss(batch: Batch) -> Tensor:
        batch = corruptor(batch, words)
        with torch.no_grad():
            taught = teacher(batch.input_ids, batch.layout)
            soft = softened(taught.logits)
        experts = draw_experts(most, chance)
        said = student(batch.input_ids, batch.layout, experts_per_token=experts)
        total = torch.zeros(())
        for logits in said.exits:  # [B, C]
            total = total + LABELS * F.cross_entropy(logits, batch.targets, ignore_index=NO_LABEL)
            total = total + divergence(logits, soft)
        total = total / len(said.exits) + STATES * _strayed(said.hidden, taught.hidden)
        return total + BALANCE * unevenness(student)

    groups, drawn = _groups(student, schedule), {"experts": chance, "words": words}
    learn(student, groups, train, schedule, _quick(loss), _pace, report, "student", state, drawn)


def _strayed(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return how far states [T, D] are from others; 1 is as far as these are from their mean."""
    theirs = theirs.float()
    return F.mse_loss(ours.float(), theirs) / theirs.var()


def _quick(loss_of: Callable[[Batch], Tensor]) -> LossOf:
    """Return a loss for the loop, computed in what is quick on texts."""

    def loss(batch: Batch, _epoch: int) -> Tensor:
        # The fused attention's way back is slow on short texts.
        with (
            torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bfloat16()),
            sdpa_kernel(SDPBackend.MATH),
        ):
            return loss_of(batch)

    return loss


def _pace(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step: up in a line, then down in a line."""
    warm = max(1, round(steps * WARM_UP))
    return (step + 1) / warm if step < warm else max(0.0, (steps - step) / (steps - warm + 1))


def _groups(model: nn.Module, schedule: Schedule) -> list[dict[str, Any]]:
    """Sort parameters by how far they have to go; frozen ones stay where they are."""
    fresh: list[nn.Parameter] = []
    known: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        (fresh if name.startswith("exits.") or ".router." in name else known).append(parameter)
    return [
        {"params": known, "lr": schedule.rate},
        {"params": fresh, "lr": schedule.fresh_rate},
    ]
