"""What a training run can be told."""

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Chosen = TypeVar("Chosen")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What to train, on what, how long.

    Attributes:
        data: What to learn from: a table of texts, a folder of such tables or of images, or an
            ``.npz`` of images.
        out: Directory of the checkpoint; made where it is missing.
        test: Table to report figures on; never learned or calibrated from. ``None`` for the test
            part of ``data``, which is split off at random where it has none.
        val: Table to calibrate on; ``None`` for the validation part of ``data``, which is split
            off at random where it has none.
        labels: Table of the labels of images, where it does not lie with them.
        text_field: Column of the texts; ``None`` to go by its name.
        label_field: Column of the labels; likewise.
        test_share: Share of the data that is split off for testing.
        held_out: Share of the training data that is held out for calibration; ``None`` for what
            suits the kind and size of the data.
        keep_duplicates: Whether texts that are tested on may be learned from.
        name: Name under which results cite the model; ``None`` for the directory's.
        version: Version under which results cite the model.
        data_name: What the data set is called, for the model card.
        data_licence: Licence of the data, for the model card.
        data_notice: Source of the data and whatever else is to be said of it, likewise.
        licence: Licence of the checkpoint, likewise.
        seed: Seeds everything that is drawn.
        teacher_epochs: Times through the data for the dense teacher; ``None`` for as many as the
            size of the data asks for.
        epochs: Times through the data for the sparse student; likewise.
        layers: Layers of the student; ``None`` for what suits the kind of data.
        experts: Experts per layer; likewise.
        experts_per_token: Routed experts per token at full effort.
        max_tokens: Length at which texts are truncated.
        vocabulary: Pieces of the vocabulary to keep.
        batch_size: Examples per training step; ``None`` for what suits the kind of data.
        teacher_rate: Peak learning rate of the teacher; likewise.
        rate: Peak learning rate of the student; likewise.
        width: Of a token in a student of images; ``None`` for the recipe's own.
        expert_size: Neurons of an expert in a student of images; likewise.
        flips: Whether a mirrored image is still of its class.
        accuracy_loss: Accuracy that early exits may cost on held-out examples, 0 to 1.
        most_work: Share of the dense encoder's work that full effort may take on held-out texts,
            which goes before ``accuracy_loss``.
        threads: Threads to train with; ``None`` for as many as the process has cores.
        resume: Whether a run that was stopped is taken up again: ``None`` where it was of the
            same data and settings, ``True`` or an error, ``False`` never.
    """

    data: Path
    out: Path
    test: Path | None = None
    val: Path | None = None
    labels: Path | None = None
    text_field: str | None = None
    label_field: str | None = None
    test_share: float = 0.2
    held_out: float | None = None
    keep_duplicates: bool = False
    name: str | None = None
    version: str = "1"
    data_name: str = ""
    data_licence: str = ""
    data_notice: str = ""
    licence: str = ""
    seed: int = 0
    teacher_epochs: int | None = None
    epochs: int | None = None
    layers: int | None = None
    experts: int | None = None
    experts_per_token: int = 2
    max_tokens: int = 128
    vocabulary: int = 16_000
    batch_size: int | None = None
    teacher_rate: float | None = None
    rate: float | None = None
    width: int | None = None
    expert_size: int | None = None
    flips: bool = True
    accuracy_loss: float = 0.003
    most_work: float = 0.185
    threads: int | None = None
    resume: bool | None = None

    def command(self) -> str:
        """Return the command that trains with these settings; paths keep their last two parts."""
        words = [f"headrace train {shlex.quote(_shown(self.data))}"]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value == field.default or field.name in {"data", "resume"}:
                continue
            name = field.name.replace("_", "-")
            if isinstance(value, bool):
                words.append(f"--{'' if value else 'no-'}{name}")
            else:
                words.append(f"--{name} {shlex.quote(_shown(value))}")
        return " \\\n  ".join(words)

    def what_matters(self) -> dict[str, Any]:
        """Return the settings that the trained weights depend on, besides the data."""
        return {name: each for name, each in vars(self).items() if name not in WITHOUT_EFFECT}

    def chosen(self, kind: type[Chosen]) -> Chosen:
        """Return the settings of one kind of data: what was chosen, and its own defaults else.

        Args:
            kind: A dataclass whose fields go by the same names.
        """
        named = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
        values = {name: value for name, value in vars(self).items() if name in named}
        return kind(**{name: value for name, value in values.items() if value is not None})


WITHOUT_EFFECT = {
    *("out", "name", "version", "licence", "resume", "threads"),
    *("accuracy_loss", "most_work"),
    *("data_name", "data_licence", "data_notice"),
    *("data", "test", "val", "labels", "text_field", "label_field"),
    *("test_share", "held_out", "keep_duplicates"),
}
"""Settings that may differ when a run is taken up again; what is learned from goes by a digest."""


def _shown(value: object) -> str:
    return str(Path(*value.parts[-2:]) if isinstance(value, Path) else value)
