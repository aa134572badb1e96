"""What learning from texts and from images has in common: the loop, and how a student is taught."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from inference.model import SparseEncoderForSequenceClassification
from inference.training.data import Batch
from inference.training.progress import Report
from inference.training.resume import State

SOFTENING = 2.0
"""Temperature at which a student learns its teacher's probabilities."""
SMOOTHING = 0.05
"""Label smoothing while a teacher learns."""
BALANCE = 0.01
"""Weight of the routers' load balance in a student's loss."""
FEWER_EXPERTS = 0.25
"""Share of a student's steps that run with fewer experts, so that lower efforts stay good."""
CLIP = 1.0

LossOf = Callable[[Batch, int], Tensor | None]
"""The loss of a batch in an epoch, counted from 0; ``None`` leaves the batch out."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        epochs: Times through the data.
        batch_size: Examples per step.
        rate: Peak learning rate of pretrained weights.
        fresh_rate: Peak learning rate of what begins from little or nothing.
        seed: Orders the data, what is drawn of it, and the dropout.
    """

    epochs: int
    rate: float
    fresh_rate: float
    batch_size: int = 32
    seed: int = 0


class Learnable(Protocol):
    """What the loop needs of a training set."""

    def __len__(self) -> int:
        """Count the examples of a round."""
        ...

    def batches(self, size: int, *, chance: torch.Generator) -> Iterator[Batch]:
        """Go through one round, shuffled."""
        ...


def learn(  # noqa: PLR0917 - who learns what, how long, and where it is kept
    model: nn.Module,
    groups: list[dict[str, Any]],
    train: Learnable,
    schedule: Schedule,
    loss_of: LossOf,
    pace: Callable[[int, int], float],
    report: Report,
    who: str,
    state: State,
    generators: Mapping[str, torch.Generator],
) -> None:
    """Run a schedule, from where ``state`` says.

    Args:
        model: Changed in place; in evaluation mode afterwards.
        groups: Its parameters, with their peak learning rates.
        train: What it learns from.
        schedule: How long and how fast.
        loss_of: What is to become small.
        pace: Share of the peak learning rate at a step, of so many.
        report: Takes progress.
        who: What the stage is called there.
        state: Where a run that was stopped is taken up again.
        generators: What ``loss_of`` draws from, by the names that ``state`` keeps them under.
    """
    torch.manual_seed(schedule.seed)
    order = torch.Generator().manual_seed(schedule.seed)
    optimiser = torch.optim.AdamW(groups, fused=True)
    per_epoch = math.ceil(len(train) / schedule.batch_size)
    steps = schedule.epochs * per_epoch
    paced = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: pace(step, steps))
    drawn = {"order": order, **generators}
    done = state.load(model, optimiser, paced, drawn)
    model.train()
    report.begin(who, steps, done * per_epoch)
    for epoch in range(done, schedule.epochs):
        began, seen = time.perf_counter(), []
        for batch in train.batches(schedule.batch_size, chance=order):
            loss = loss_of(batch, epoch)
            if loss is not None:
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(model.parameters(), CLIP)
                optimiser.step()
                paced.step()
                seen.append(loss.item())
            report.step()
        mean, took = sum(seen) / max(1, len(seen)), time.perf_counter() - began
        state.save(epoch + 1, model, optimiser, paced, drawn)
        report(f"{who}: epoch {epoch + 1}/{schedule.epochs}, loss {mean:.4f}, {took:.0f} s")
    report.end()
    model.eval()


def draw_experts(most: int, chance: torch.Generator) -> int:
    """Return with how many experts per token a step runs, at most ``most``."""
    return max(1, most - 1) if torch.rand((), generator=chance) < FEWER_EXPERTS else most


def softened(logits: Tensor) -> Tensor:
    """Return a teacher's probabilities as a student learns them, [B, C]."""
    return (logits / SOFTENING).softmax(dim=1)


def divergence(logits: Tensor, soft: Tensor) -> Tensor:
    """Return how far a student's logits [B, C] are from what :func:`softened` returned."""
    ours = (logits / SOFTENING).log_softmax(dim=1)
    return SOFTENING**2 * F.kl_div(ours, soft, reduction="batchmean")


def unevenness(student: SparseEncoderForSequenceClassification) -> Tensor:
    """Return how uneven the routers' load was in the last step; 1 is even."""
    routers = [block.feed_forward.router for block in student.blocks]
    loads = [router.load for router in routers if router is not None and router.load is not None]
    return torch.stack(loads).mean()
