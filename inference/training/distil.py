"""The two training loops: fine-tune a dense teacher on labels, distil a sparse student from it."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from inference.device import has_fast_bfloat16
from inference.model import SparseEncoderForSequenceClassification
from inference.training.augment import NO_LABEL, Corruptor
from inference.training.data import Batch, TokenSet
from inference.training.progress import Report
from inference.training.resume import State

SOFTENING = 2.0
"""Temperature at which the student learns the teacher's probabilities."""
SMOOTHING = 0.05
"""Label smoothing while the teacher learns."""
LABELS = 0.25
"""Weight of the labels beside the teacher's probabilities."""
WARM_UP = 0.1
CLIP = 1.0
BALANCE = 0.01
"""Weight of the routers' load balance in the loss."""
FEWER_EXPERTS = 0.25
"""Share of a student's steps that run with fewer experts, so that lower efforts stay good."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        epochs: Times through the data.
        batch_size: Texts per step.
        rate: Peak learning rate of pretrained weights.
        fresh_rate: Peak learning rate of exits and routers, which begin from little.
        seed: Orders the data and the dropout.
    """

    epochs: int
    rate: float
    fresh_rate: float
    batch_size: int = 32
    seed: int = 0


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

    _learn(teacher, train, schedule, loss, report, "teacher", state, {})


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
            taught = teacher(batch.input_ids, batch.layout).exits[-1]  # [B, C]
            soft = (taught / SOFTENING).softmax(dim=1)
        fewer = torch.rand((), generator=chance) < FEWER_EXPERTS
        exits = student(
            batch.input_ids, batch.layout, experts_per_token=max(1, most - 1) if fewer else most
        ).exits  # [N, B, C]
        total = torch.zeros(())
        for logits in exits:
            ours = (logits / SOFTENING).log_softmax(dim=1)
            total = total + LABELS * F.cross_entropy(logits, batch.targets, ignore_index=NO_LABEL)
            total = total + SOFTENING**2 * F.kl_div(ours, soft, reduction="batchmean")
        return total / len(exits) + BALANCE * _uneven(student)

    _learn(
        student,
        train,
        schedule,
        loss,
        report,
        "student",
        state,
        {"experts": chance, "words": words},
    )


def _uneven(student: SparseEncoderForSequenceClassification) -> Tensor:
    """Return how uneven the routers' load was in the last step; 1 is even."""
    routers = [block.feed_forward.router for block in student.blocks]
    loads = [router.load for router in routers if router is not None and router.load is not None]
    return torch.stack(loads).mean()


def _learn(  # noqa: PLR0917 - one loop for both
    model: SparseEncoderForSequenceClassification,
    train: TokenSet,
    schedule: Schedule,
    loss_of: Callable[[Batch], Tensor],
    report: Report,
    who: str,
    state: State,
    generators: Mapping[str, torch.Generator],
) -> None:
    """Run the schedule, from where ``state`` says; ``generators`` are those of ``loss_of``."""
    torch.manual_seed(schedule.seed)
    order = torch.Generator().manual_seed(schedule.seed)
    optimiser = torch.optim.AdamW(_groups(model, schedule), weight_decay=0.01, fused=True)
    per_epoch = math.ceil(len(train) / schedule.batch_size)
    steps = schedule.epochs * per_epoch
    pace = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _pace(step, steps))
    drawn = {"order": order, **generators}
    done = state.load(model, optimiser, pace, drawn)
    model.train()
    report.begin(who, steps, done * per_epoch)
    for epoch in range(done + 1, schedule.epochs + 1):
        began, seen = time.perf_counter(), []
        for batch in train.batches(schedule.batch_size, chance=order):
            # The fused attention's way back is slow on short texts.
            with (
                torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bfloat16()),
                sdpa_kernel(SDPBackend.MATH),
            ):
                loss = loss_of(batch)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimiser.step()
            pace.step()
            seen.append(loss.item())
            report.step()
        took = time.perf_counter() - began
        mean = sum(seen) / len(seen)
        state.save(epoch, model, optimiser, pace, drawn)
        report(f"{who}: epoch {epoch}/{schedule.epochs}, loss {mean:.4f}, {took:.0f} s")
    report.end()
    model.eval()


def _pace(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step: up in a line, then down in a line."""
    warm = max(1, round(steps * WARM_UP))
    return (step + 1) / warm if step < warm else max(0.0, (steps - step) / (steps - warm + 1))


def _groups(model: nn.Module, schedule: Schedule) -> list[dict[str, object]]:
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
