"""The model card: what a checkpoint was made from and what it measures."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from inference.model import SparseEncoderForSequenceClassification
from inference.processor import processor_name
from inference.training.data import TokenSet
from inference.training.evaluate import Quality, Walk, all_exits, quality, walk
from inference.training.progress import Report
from inference.training.settings import TrainingSettings
from inference.training.teacher import TEACHER, TEACHER_LICENCE

CARD_FILE = "README.md"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the files of a checkpoint do not say themselves.

    Attributes:
        settings: What it was trained with.
        seconds: Time it took.
        texts: Texts learned from, held out, and tested on.
        teacher: The dense teacher's quality on the test texts.
    """

    settings: TrainingSettings
    seconds: float
    texts: tuple[int, int, int]
    teacher: Quality


@dataclass(frozen=True)
class Rung:
    """One effort, measured."""

    name: str
    experts: int
    walk: Walk
    quality: Quality


def write_card(directory: Path, facts: Facts, test: TokenSet, report: Report) -> None:
    """Measure a checkpoint as it lies on disk and write its card.

    Args:
        directory: The checkpoint.
        facts: What it was made from.
        test: Test texts, tokenised for it.
        report: Takes a line per effort.
    """
    model = SparseEncoderForSequenceClassification.from_pretrained(directory).eval()
    rungs = list(measure(model, test))
    for rung in rungs:
        share = rung.walk.active_share(model.config, rung.experts)
        report(
            f"{rung.name}: accuracy {rung.quality.accuracy:.4f}, "
            f"macro-F1 {rung.quality.macro_f1:.4f}, active share {share:.1%}"
        )
    parts = [
        _heading(model, facts),
        _results(model, facts, rungs),
        _per_class(model, rungs[0].quality),
        _per_exit(model, test, rungs[0]),
        _making(facts),
    ]
    (directory / CARD_FILE).write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def measure(model: SparseEncoderForSequenceClassification, test: TokenSet) -> Iterator[Rung]:
    """Measure every effort of a model on a test set."""
    config = model.config
    for effort in config.efforts:
        experts = effort["experts"] or config.experts_per_token
        threshold = effort["exit_threshold"]
        thresholds = config.exit_thresholds
        if threshold is not None:
            thresholds = [threshold] * len(thresholds)
        gone = walk(all_exits(model, test, experts), test, thresholds)
        yield Rung(effort["name"], experts, gone, quality(gone.scores, test.targets))


def _heading(model: SparseEncoderForSequenceClassification, facts: Facts) -> str:
    config = model.config
    learned, held, tested = facts.texts
    shape = (
        f"{config.num_hidden_layers} layers of width {config.hidden_size}, "
        f"{config.num_experts} experts per layer of which {config.experts_per_token} run for a "
        f"token, an exit after every layer"
    )
    return f"""# {config.checkpoint_name} {config.checkpoint_version}

A sparse text classifier: {shape}. Labels: {", ".join(config.labels)}.
{config.vocab_size} word pieces, at most {config.max_position_embeddings} tokens a text.

Learned from {learned} texts; temperatures and exit thresholds were set on {held} held-out texts of
the same file; all figures below are of {tested} test texts that neither saw."""


def _results(model: SparseEncoderForSequenceClassification, facts: Facts, rungs: list[Rung]) -> str:
    rows = [
        "## Results on the test texts",
        "",
        (
            "| effort | experts | exit from | accuracy | macro-F1 | ECE "
            "| mean layers | active share | work |"
        ),
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for rung, effort in zip(rungs, model.config.efforts, strict=True):
        threshold = effort["exit_threshold"]
        start = model.config.exit_thresholds[0] if threshold is None else threshold
        rows.append(
            f"| {rung.name} | {rung.experts} | {start:.2f} | {rung.quality.accuracy:.4f} "
            f"| {rung.quality.macro_f1:.4f} | {rung.quality.ece:.4f} "
            f"| {rung.walk.layers.float().mean():.2f} "
            f"| {rung.walk.active_share(model.config, rung.experts):.1%} "
            f"| {rung.walk.work(model.config, rung.experts):.1%} |"
        )
    dense = facts.teacher
    rows.append(
        f"| dense teacher | all | - | {dense.accuracy:.4f} | {dense.macro_f1:.4f} "
        f"| {dense.ece:.4f} | - | - | - |"
    )
    rows += [
        "",
        (
            "Exit from: confidence from which a text leaves before the last layer. Active share: "
            "mean over texts of the share of the encoder's parameters (embeddings apart) that each "
            "token met. Work: the same, counted over tokens. ECE: expected calibration error, "
            "15 bins."
        ),
    ]
    return "\n".join(rows)


def _per_class(model: SparseEncoderForSequenceClassification, full: Quality) -> str:
    rows = [
        "## Per class, at full effort",
        "",
        "| label | precision | recall | F1 |",
        "|---|---|---|---|",
    ]
    rows += [
        f"| {label} | {precision:.3f} | {recall:.3f} | {f1:.3f} |"
        for label, (precision, recall, f1) in zip(model.config.labels, full.per_class, strict=True)
    ]
    return "\n".join(rows)


def _per_exit(model: SparseEncoderForSequenceClassification, test: TokenSet, full: Rung) -> str:
    rows = [
        "## Per exit, at full effort",
        "",
        (
            "| exit after layer | texts that leave here | their accuracy "
            "| accuracy if all left here | temperature |"
        ),
        "|---|---|---|---|---|",
    ]
    right = full.walk.scores.argmax(dim=1) == test.targets
    exits = all_exits(model, test, full.experts).argmax(dim=2) == test.targets  # [N, M]
    for number, temperature in enumerate(model.config.exit_temperatures):
        here = full.walk.layers == number + 1
        own = f"{right[here].float().mean():.4f}" if here.any() else "-"
        rows.append(
            f"| {number + 1} | {here.float().mean():.1%} | {own} "
            f"| {exits[number].float().mean():.4f} | {temperature} |"
        )
    return "\n".join(rows)


def _making(facts: Facts) -> str:
    settings = facts.settings
    cited = f"{settings.data_notice}\n\n" if settings.data_notice else ""
    return f"""## How it was made

{cited}Teacher: [{TEACHER}](https://huggingface.co/{TEACHER}),
{TEACHER_LICENCE}; fine-tuned on the texts, its feed-forward neurons cut into experts, then
distilled. The token embedding is the teacher's own.

```
{settings.command()}
```

Seed {settings.seed}, {settings.threads} threads of {processor_name()}, torch {torch.__version__},
{facts.seconds / 60:.0f} minutes."""
