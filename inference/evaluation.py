"""Measuring an engine on labelled events: how right, how well calibrated, at what cost."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from inference.engine import EffortLevel, Encoded, Engine
from inference.model import SparseEncoderConfig
from inference.training.evaluate import quality
from inference.training.figures import losses
from schemas.errors import ConfigurationError
from schemas.events import Event

BATCH = 64


@dataclass(frozen=True)
class Answers:
    """What an engine said of events, in their order.

    Attributes:
        scores: Probabilities, [M, C].
        targets: The true classes, [M].
        layers: Layers run, [M].
        active_share: Share of the parameters that ran, [M].
        tokens: Lengths, [M].
        experts: Routed experts per token.
        seconds: Time that the engine took for all of them.
    """

    scores: Tensor
    targets: Tensor
    layers: Tensor
    active_share: Tensor
    tokens: Tensor
    experts: int
    seconds: float

    @property
    def right(self) -> Tensor:
        """Which of them are right, [M]."""
        return self.scores.argmax(dim=1) == self.targets


def classify(
    engine: Engine,
    events: Sequence[Event],
    labels: Sequence[str],
    effort: EffortLevel,
    *,
    batch_size: int = BATCH,
    clock: Callable[[], float] = time.perf_counter,
) -> Answers:
    """Run events through an engine as a worker does, in batches of about equal lengths.

    Args:
        engine: Any.
        events: Of a modality that it reads.
        labels: Their true labels; in any case of letters.
        effort: One of the engine's own.
        batch_size: Events per batch.
        clock: Seconds, for the time that preparing and running take; encoding is left out.

    Raises:
        ConfigurationError: The engine does not know some label.
        InvalidEventError: It cannot read some event.
        EngineError: It failed.
    """
    targets = number_labels(labels, engine.labels)
    encoded = engine.encode(events)
    order = sorted(range(len(encoded)), key=lambda place: encoded[place].tokens)
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    _run(engine, [encoded[place] for place in batches[-1]], effort)  # the first is slower
    found: dict[int, Any] = {}
    began = clock()
    for places in batches:
        found |= zip(
            places, _run(engine, [encoded[place] for place in places], effort), strict=True
        )
    seconds = clock() - began
    in_order = [found[place] for place in range(len(encoded))]
    return Answers(
        scores=torch.tensor([each.scores for each in in_order]),
        targets=targets,
        layers=torch.tensor([each.layers for each in in_order]),
        active_share=torch.tensor([each.active_share for each in in_order]),
        tokens=torch.tensor([each.tokens for each in encoded]),
        experts=in_order[0].experts,
        seconds=seconds,
    )


def _run(engine: Engine, batch: Sequence[Encoded], effort: EffortLevel) -> list[Any]:
    return list(engine.run(engine.prepare(batch), effort))


def number_labels(labels: Sequence[str], known: Sequence[str]) -> Tensor:
    """Return the number of each label among a model's, [M].

    Case does not matter, and numbers find the ``LABEL_0``, … of Hugging Face models without names.

    Raises:
        ConfigurationError: The model does not know some.
    """
    exact = {label: number for number, label in enumerate(known)}
    alike = {label.removeprefix("LABEL_").casefold(): number for label, number in exact.items()}
    numbers = {label: exact.get(label, alike.get(label.casefold())) for label in set(labels)}
    unknown = sorted(label for label, number in numbers.items() if number is None)
    if unknown:
        raise ConfigurationError(
            f"the data has {len(unknown)} labels that the model does not know: {unknown[:10]}; "
            f"it knows {list(known[:10])}{', …' if len(known) > 10 else ''}"  # noqa: PLR2004 - likewise
        )
    return torch.tensor([numbers[label] for label in labels])


def summary(
    answers: Answers, config: SparseEncoderConfig | None, teacher_share: float = 1.0
) -> dict[str, float | None]:
    """Return the figures of one effort.

    Args:
        answers: What the engine said.
        config: Of a sparse encoder, whose multiply-adds can be counted; ``None`` for others.
        teacher_share: What running every layer and expert of it costs against its teacher.

    Returns:
        ``work`` is ``multiply_adds``, a mean over events, against the teacher's for these events.
    """
    found = quality(answers.scores, answers.targets)
    mean, whole = _multiply_adds(answers, config) if config else (None, None)
    return {
        "accuracy": found.accuracy,
        "macro_f1": found.macro_f1,
        "ece": found.ece,
        **losses(answers.scores, answers.targets),
        "mean_layers": answers.layers.float().mean().item(),
        "active_share": answers.active_share.mean().item(),
        "multiply_adds": mean,
        "work": mean / whole * teacher_share if mean and whole else None,
        "events_per_s": len(answers.targets) / max(answers.seconds, 1e-9),
    }


def _multiply_adds(answers: Answers, config: SparseEncoderConfig) -> tuple[float, float]:
    """Return the multiply-adds per event: those done, and those of the whole model."""
    depth, all_experts = config.num_hidden_layers, config.num_experts
    done = whole = 0.0
    for layers, tokens in zip(answers.layers.tolist(), answers.tokens.tolist(), strict=True):
        done += config.multiply_adds(layers, answers.experts, tokens)
        whole += config.multiply_adds(depth, all_experts, tokens)
    return done / len(answers.targets), whole / len(answers.targets)


def per_class(answers: Answers, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return precision, recall, F1 and events of each class that occurs or is answered."""
    found = quality(answers.scores, answers.targets).per_class
    support = torch.bincount(answers.targets, minlength=len(labels)).tolist()
    answered = torch.bincount(answers.scores.argmax(dim=1), minlength=len(labels)).tolist()
    return [
        {"label": label, "precision": each[0], "recall": each[1], "f1": each[2], "events": count}
        for label, each, count, said in zip(labels, found, support, answered, strict=True)
        if count or said
    ]
