"""What a training run can be told."""

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What to train, on what, how long.

    Attributes:
        data: Labelled JSONL to learn from; a part of it is held out for calibration.
        test: Labelled JSONL to report figures on; never learned or calibrated from.
        out: Directory of the checkpoint; made where it is missing.
        text_field: Field of the text.
        label_field: Field of the label.
        name: Name under which results cite the model; ``None`` for the directory's.
        version: Version under which results cite the model.
        data_notice: Source and licence of the data, for the model card.
        seed: Seeds everything that is drawn.
        teacher_epochs: Times through the data for the dense teacher.
        epochs: Times through the data for the sparse student.
        layers: Layers of the student, at most the teacher's.
        experts: Experts per layer.
        experts_per_token: Routed experts per token at full effort.
        max_tokens: Length at which texts are truncated.
        vocabulary: Pieces of the vocabulary to keep.
        batch_size: Texts per training step.
        teacher_rate: Peak learning rate of the teacher.
        rate: Peak learning rate of the student.
        held_out: Share of ``data`` held out for calibration.
        accuracy_loss: Accuracy that early exits may cost on held-out texts, 0 to 1.
        threads: Threads to train with.
    """

    data: Path
    test: Path
    out: Path
    text_field: str = "text"
    label_field: str = "label"
    name: str | None = None
    version: str = "1"
    data_notice: str = ""
    seed: int = 0
    teacher_epochs: int = 3
    epochs: int = 6
    layers: int = 6
    experts: int = 12
    experts_per_token: int = 2
    max_tokens: int = 128
    vocabulary: int = 16_000
    batch_size: int = 32
    teacher_rate: float = 1e-4
    rate: float = 2e-4
    held_out: float = 0.1
    accuracy_loss: float = 0.005
    threads: int = 2

    def command(self) -> str:
        """Return the command that trains with these settings; paths keep their last two parts."""
        words = ["python -m inference.training"]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value == field.default:
                continue
            shown = Path(*value.parts[-2:]) if isinstance(value, Path) else value
            words.append(f"--{field.name.replace('_', '-')} {shlex.quote(str(shown))}")
        return " \\\n  ".join(words)
