"""One or two models on one labelled set: load, run, sum up."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inference.comparison import Comparison, compare
from inference.engine import EffortLevel, Engine
from inference.evaluation import Answers, classify, per_class, summary
from inference.model import SparseEncoderConfig
from inference.optimizer import Optimizer
from inference.training.figures import teacher_share
from inference.training.labelled import LabelledEvents, read_labelled
from inference.training.parts import Source
from schemas.errors import ConfigurationError

ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to measure; ``headrace evaluate --help`` says what each is."""

    model: str
    data: Path
    against: str | None = None
    split: str = "test"
    effort: str | None = None
    precision: str = "auto"
    threads: int = 1
    batch_size: int = 64
    text_field: str | None = None
    label_field: str | None = None
    labels: Path | None = None
    per_class: bool = False


@dataclass(frozen=True)
class Run:
    """One model at one effort."""

    model: str
    effort: str
    answers: Answers
    labels: tuple[str, ...]
    config: SparseEncoderConfig | None
    teacher_share: float

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON can hold them."""
        return {
            "model": self.model,
            "effort": self.effort,
            "figures": summary(self.answers, self.config, self.teacher_share),
            "per_class": per_class(self.answers, self.labels),
        }


@dataclass(frozen=True)
class Measured:
    """What came of it.

    Attributes:
        data: Where the events came from.
        notes: What the user should know of how they were read.
        comparison: Of the first run with the second, where two models were measured.
    """

    data: str
    notes: Sequence[str]
    runs: Sequence[Run]
    comparison: Comparison | None

    def document(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        found: dict[str, Any] = {
            "data": self.data,
            "events": len(self.runs[0].answers.targets),
            "runs": [run.document() for run in self.runs],
        }
        if self.comparison:
            found["comparison"] = asdict(self.comparison)
        return found


def measure(request: Request) -> Measured:
    """Measure a model, and another one beside it if asked to.

    Raises:
        ConfigurationError: A model, an effort or the data cannot be used.
        EngineError: A model's file is damaged, or it failed.
    """
    source = Source(
        data=request.data, text_field=request.text_field, label_field=request.label_field
    )
    labelled = read_labelled(source, request.split, request.labels)
    runs = _runs(request.model, labelled, request)
    comparison = None
    if request.against:
        runs += _runs(request.against, labelled, request)
        first, second = runs
        comparison = compare(first.answers, second.answers, first.labels, second.labels)
    return Measured(f"{request.data} ({request.split})", labelled.notes, runs, comparison)


def _runs(model: str, labelled: LabelledEvents, request: Request) -> list[Run]:
    optimizer = Optimizer(model, threads=request.threads)
    source = optimizer.source
    engine = optimizer.compile(request.precision)
    events = labelled.events(engine.modalities)
    is_ours = source.model_type == SparseEncoderConfig.model_type
    config = SparseEncoderConfig(**source.config) if is_ours else None
    return [
        Run(
            engine.model.name,
            effort.name,
            classify(engine, events, labelled.labels, effort, batch_size=request.batch_size),
            engine.labels,
            config,
            teacher_share(source.directory) or 1.0,
        )
        for effort in _efforts(engine, request.effort)
    ]


def _efforts(engine: Engine, name: str | None) -> list[EffortLevel]:
    if name == ALL:
        return list(engine.efforts)
    if name is None:
        return [engine.efforts[0]]
    found = [each for each in engine.efforts if each.name == name]
    if not found:
        known = ", ".join(each.name for each in engine.efforts)
        raise ConfigurationError(
            f"--effort: {engine.model.name} has none that is called {name!r}; it has {known}, "
            f"and {ALL!r} measures each"
        )
    return found
