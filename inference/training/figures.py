"""Everything that is measured of a new checkpoint, as plain values that JSON can hold."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import torch
from torch import Tensor

from inference.model import (
    SparseEncoderConfig,
    SparseEncoderForSequenceClassification,
    network_class,
)
from inference.processor import processor_name
from inference.training.data import LabelledSet
from inference.training.evaluate import Quality, Walk, all_exits, quality, walk
from inference.training.made import Made
from inference.training.reliability import reliability
from inference.training.settings import TrainingSettings

FIGURES_FILE = "evaluation.json"
CONFUSIONS = 20


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the files of a checkpoint do not say themselves.

    Attributes:
        settings: What it was trained with.
        threads: With how many.
        seconds: Time it took; of a run that was taken up again, since then.
        resumed: Whether it was one.
        made: What was trained.
    """

    settings: TrainingSettings
    threads: int
    seconds: float
    resumed: bool = False
    made: Made


@dataclass(frozen=True)
class Rung:
    """One effort, measured; ``threshold`` is the confidence from which events leave early."""

    name: str
    experts: int
    threshold: float
    walk: Walk
    quality: Quality


def load_model(directory: Path) -> SparseEncoderForSequenceClassification:
    """Load a checkpoint of either modality as it lies on disk."""
    config = SparseEncoderConfig.from_pretrained(directory)
    model = network_class(config).from_pretrained(directory)
    return model.eval()  # type: ignore[no-any-return]


def measure(model: SparseEncoderForSequenceClassification, test: LabelledSet) -> Iterator[Rung]:
    """Measure every effort of a model on a test set."""
    config = model.config
    for effort in config.efforts:
        experts = effort["experts"] or config.experts_per_token
        thresholds = config.exit_thresholds
        if effort["exit_threshold"] is not None:
            thresholds = [effort["exit_threshold"]] * len(thresholds)
        gone = walk(all_exits(model, test, experts), test, thresholds)
        found = quality(gone.scores, test.targets)
        yield Rung(effort["name"], experts, thresholds[0], gone, found)


def figures(model: SparseEncoderForSequenceClassification, facts: Facts) -> dict[str, Any]:
    """Measure a model on the test examples.

    Returns:
        What is written as ``evaluation.json``; ``docs/training.md`` says what each entry is.
    """
    made, config = facts.made, model.config
    test = made.test
    rungs = list(measure(model, test))
    full = rungs[0]
    learned, held, tested = made.counts
    return {
        "name": config.checkpoint_name,
        "version": config.checkpoint_version,
        "modality": config.modality,
        "labels": list(config.labels),
        "examples": {"train": learned, "held_out": held, "test": tested},
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "multiply_adds": round(_whole(config, test)),
        "teacher": {
            "name": made.teacher.name,
            **_overall(quality(made.teacher.scores, test.targets)),
            **losses(made.teacher.scores, test.targets),
            "multiply_adds": round(made.teacher.multiply_adds),
            "parameters": made.teacher.parameters,
        },
        "efforts": {rung.name: _effort(rung, config, made) for rung in rungs},
        "per_class": _per_class(full, test.targets, config.labels),
        "confusions": confusions(full.walk.scores, test.targets, config.labels),
        "exits": _exits(model, test, full),
        "reliability": [asdict(each) for each in reliability(full.walk.scores, test.targets)],
        "cpu": processor_name(),
        "threads": facts.threads,
        "torch": torch.__version__,
        "seed": facts.settings.seed,
        "seconds": round(facts.seconds, 1),
        "resumed": facts.resumed,
    }


def losses(scores: Tensor, targets: Tensor) -> dict[str, float]:
    """Return two proper scores of probabilities [M, C] for true classes [M]; less is better.

    ``nll``: mean negative logarithm of the true class's. ``brier``: mean squared distance to
    certainty of the true class, from 0 to 2.
    """
    true = scores.gather(1, targets[:, None]).squeeze(1)
    brier = scores.square().sum(dim=1) - 2 * true + 1
    return {
        "nll": true.clamp(min=1e-12).log().neg().mean().item(),
        "brier": brier.mean().item(),
    }


def confusions(scores: Tensor, targets: Tensor, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return what is most often taken for what, worst first."""
    answers, classes = scores.argmax(dim=1), len(labels)
    counts = torch.bincount(targets * classes + answers, minlength=classes * classes)
    counts[torch.arange(classes) * (classes + 1)] = 0  # right answers
    worst = counts.argsort(descending=True, stable=True)[:CONFUSIONS].tolist()
    return [
        {"true": labels[each // classes], "answer": labels[each % classes], "count": count}
        for each in worst
        if (count := int(counts[each]))
    ]


def _whole(config: SparseEncoderConfig, test: LabelledSet) -> float:
    """Return the multiply-adds per event if every layer and expert ran."""
    layers, experts = config.num_hidden_layers, config.num_experts
    counts = [config.multiply_adds(layers, experts, tokens) for tokens in test.lengths.tolist()]
    return sum(counts) / len(counts)


def teacher_share(directory: Path) -> float | None:
    """Return what a checkpoint's whole student costs against its teacher, in multiply-adds.

    Returns:
        ``None`` where no figures lie beside the checkpoint, or none that say so.
    """
    try:
        found = orjson.loads((directory / FIGURES_FILE).read_bytes())
        return float(found["multiply_adds"]) / float(found["teacher"]["multiply_adds"])
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _overall(found: Quality) -> dict[str, float]:
    return {"accuracy": found.accuracy, "macro_f1": found.macro_f1, "ece": found.ece}


def _effort(rung: Rung, config: SparseEncoderConfig, made: Made) -> dict[str, Any]:
    pairs = zip(rung.walk.layers.tolist(), rung.walk.tokens.tolist(), strict=True)
    counts = [config.multiply_adds(layers, rung.experts, tokens) for layers, tokens in pairs]
    mean = sum(counts) / len(counts)
    return {
        "experts": rung.experts,
        "exit_threshold": rung.threshold,
        **_overall(rung.quality),
        **losses(rung.walk.scores, made.test.targets),
        "mean_layers": rung.walk.layers.float().mean().item(),
        "active_share": rung.walk.active_share(config, rung.experts),
        "work": mean / made.teacher.multiply_adds,
        "multiply_adds": round(mean),
    }


def _per_class(full: Rung, targets: Tensor, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    support = torch.bincount(targets, minlength=len(labels)).tolist()
    rows = zip(labels, full.quality.per_class, support, strict=True)
    return [
        {"label": label, "precision": each[0], "recall": each[1], "f1": each[2], "examples": count}
        for label, each, count in rows
    ]


def _exits(
    model: SparseEncoderForSequenceClassification, test: LabelledSet, full: Rung
) -> list[dict[str, Any]]:
    right = full.walk.scores.argmax(dim=1) == test.targets
    exits = all_exits(model, test, full.experts).argmax(dim=2) == test.targets  # [N, M]
    rows = []
    for number, temperature in enumerate(model.config.exit_temperatures):
        here = full.walk.layers == number + 1
        rows.append(
            {
                "layer": number + 1,
                "leave_here": here.float().mean().item(),
                "accuracy_of_these": right[here].float().mean().item() if here.any() else None,
                "accuracy_of_all": exits[number].float().mean().item(),
                "temperature": temperature,
            }
        )
    return rows
