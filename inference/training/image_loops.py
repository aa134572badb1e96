"""The two training loops for images: fine-tune the dense teacher, distil the sparse student."""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from inference.kernels import event_means
from inference.model import SparseEncoderForImageClassification
from inference.training.data import Batch
from inference.training.image_teacher import ImageTeacher, quick_copy
from inference.training.images import ImageSet
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
from inference.training.views import Mix, Views

SMALL_SHARE = 0.6
"""Share of the teacher's epochs that run on smaller images, which cost half."""
SMALLER = 0.72
"""Their side, as a share of the full one ("progressive learning": Tan and Le, EfficientNetV2)."""
TINY = 96 * 96
"""Images of up to so many pixels are never shown smaller."""
LABELS_WEIGHT = 0.25
"""Weight of the labels in the student's loss; the teacher's probabilities have the rest."""
MIXED = 0.5
"""Share of a student's steps on pairs of images laid over each other, which show it more of what
the teacher thinks ("mixup": Zhang et al., 2018)."""
MIXED_UNTIL = 0.7
"""Share of the epochs after which there are no more of these, so that norms fit whole images."""
LIKENESS = 1.0
"""Weight of how alike the images of a batch are to the teacher ("Similarity-Preserving Knowledge
Distillation": Tung and Mori, 2019): of few classes, the probabilities alone say little."""
WARM_UP = 0.08
DECAY = 0.05


@dataclass(frozen=True)
class Normal:
    """How the teacher takes pixels of 0 to 255: per channel, less ``mean``, by ``std``."""

    mean: list[float]
    std: list[float]

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return normalised pixels."""
        mean, std = (torch.tensor(each).mul(255)[:, None, None] for each in (self.mean, self.std))
        return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)


def fine_tune_images(
    teacher: ImageTeacher,
    train: ImageSet,
    schedule: Schedule,
    report: Report,
    *,
    normal: Normal,
    views: Views,
    state: State,
) -> None:
    """Train the teacher on the labels, on smaller images first where they are large."""
    chance = torch.Generator().manual_seed(schedule.seed + 1)
    height, width = train.pixels.shape[2:]
    small = [round(side * SMALLER / 16) * 16 for side in (height, width)]
    shrunk = SMALL_SHARE * schedule.epochs if height * width > TINY else 0

    def loss(batch: Batch, epoch: int) -> Tensor:
        size = (small[0], small[1]) if epoch < shrunk else (height, width)
        view = views.draw(len(batch.targets), chance)
        logits = teacher(normal(view.show(batch.input_ids, size)))
        return F.cross_entropy(logits, batch.targets, label_smoothing=SMOOTHING)

    groups = _groups(teacher, schedule, fresh=("classify.",))
    of, drawn = _of_several(loss), {"views": chance}
    learn(teacher, groups, train, schedule, of, _pace, report, "teacher", state, drawn)


def distil_images(  # noqa: PLR0917 - what learns, from whom, on what, how long
    student: SparseEncoderForImageClassification,
    teacher: ImageTeacher,
    train: ImageSet,
    teachers: ImageSet,
    schedule: Schedule,
    report: Report,
    *,
    normal: Normal,
    views: Views,
    state: State,
) -> None:
    """Train every exit of the student on what the teacher says of the same view, and on the labels.

    Teacher and student see the same random view of an image, or of two mixed, at every step
    ("Knowledge distillation: A good teacher is patient and consistent", Beyer et al., 2022).

    Args:
        student: With batch norms in its stem; see ``student_from_teacher``.
        teacher: Fine-tuned.
        train: The training images at the student's size.
        teachers: The same images, in the same order, at the teacher's size.
        schedule: How long and how fast.
        report: Takes progress lines.
        normal: How the teacher takes pixels.
        views: What to draw.
        state: Where a run that was stopped is taken up again.
    """
    chance = torch.Generator().manual_seed(schedule.seed + 2)
    most = student.config.experts_per_token
    quick = quick_copy(teacher, teachers.pixels[: schedule.batch_size].float())
    kind = next(quick.parameters()).dtype

    def loss(batch: Batch, epoch: int) -> Tensor:
        view = views.draw(len(batch.targets), chance)
        mixes = torch.rand((), generator=chance) < MIXED and epoch < MIXED_UNTIL * schedule.epochs
        mix = Mix.draw(len(batch.targets), chance) if mixes else None

        def show(pixels: Tensor) -> Tensor:
            shown = view.show(pixels)
            return mix.show(shown) if mix else shown

        with torch.no_grad():
            features = quick.features(normal(show(teachers.pixels[batch.index])).to(kind))
            soft = softened(quick.classify(features).float())
        experts = draw_experts(most, chance)
        said = student(show(batch.input_ids), batch.layout, experts_per_token=experts)
        total = torch.zeros(())
        weight = 0.0 if mix else LABELS_WEIGHT  # two images mixed have no one label
        for logits in said.exits:  # [B, C]
            true = F.cross_entropy(logits, batch.targets)
            total = total + weight * true + (1 - weight) * divergence(logits, soft)
        ours = event_means(said.hidden, batch.layout)[: len(soft)]  # [B, D]
        total = total / len(said.exits) + LIKENESS * misjudged(ours, features)
        return total + BALANCE * unevenness(student)

    groups = _groups(student, schedule, fresh=("blocks.", "exits.", "embedding.p"))
    of, drawn = _of_several(loss), {"views": chance}
    learn(student, groups, train, schedule, of, _pace, report, "student", state, drawn)


def misjudged(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return how far images' likenesses are from the teacher's; 1 is as far as knowing nothing.

    Args:
        ours: What the student makes of each image, [B, D].
        theirs: What the teacher makes of it, [B, F].
    """
    alike, wanted = (_likenesses(each.float()) for each in (ours, theirs))
    return F.mse_loss(alike, wanted) / wanted.square().mean()


def _likenesses(features: Tensor) -> Tensor:
    """Return the cosines between examples of a batch [B, F], around their mean, [B, B].

    Nothing is said of an example and itself: that would be right whatever a student learned.
    """
    around = F.normalize(features - features.mean(dim=0), dim=1)
    return (around @ around.T).fill_diagonal_(0.0)


def _of_several(loss_of: LossOf) -> LossOf:
    """Return a loss that leaves batches of one image out: a batch norm needs more."""

    def loss(batch: Batch, epoch: int) -> Tensor | None:
        return loss_of(batch, epoch) if len(batch.targets) > 1 else None

    return loss


def _groups(model: nn.Module, schedule: Schedule, fresh: tuple[str, ...]) -> list[dict[str, Any]]:
    """Sort parameters by how far they have to go; biases and norms do not decay."""
    sorted_out: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        key = name.startswith(fresh), weight.dim() > 1
        sorted_out.setdefault(key, []).append(weight)
    return [
        {
            "params": weights,
            "lr": schedule.fresh_rate if is_fresh else schedule.rate,
            "weight_decay": DECAY if decays else 0.0,
        }
        for (is_fresh, decays), weights in sorted_out.items()
    ]


def _pace(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step: up in a line, then down as a cosine."""
    warm = max(1, round(steps * WARM_UP))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


@torch.inference_mode()
def teacher_logits(teacher: ImageTeacher, images: ImageSet, normal: Normal) -> Tensor:
    """Return what the teacher says of images of its size, [M, C]."""
    teacher.eval()
    said = [teacher(normal(batch.input_ids)) for batch in images.batches(64)]
    return torch.cat(said)
