"""What the scheduler needs of a model: four calls, no tensors in sight."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from schemas.events import Event, Modality
from schemas.results import Model


@dataclass(frozen=True, slots=True)
class Encoded:
    """An event made ready for the model at ingress.

    Attributes:
        tokens: Length after truncation; the unit that batches, queues and costs are counted in.
        data: Whatever the engine that made it needs (for text, the token ids).
    """

    tokens: int
    data: Any


@dataclass(frozen=True, slots=True)
class EffortLevel:
    """One rung of the ladder from full effort down.

    Attributes:
        name: For people and metrics: ``full``, ``early_exit``, …
        experts: Routed experts per token; ``None`` leaves the model's own number.
        exit_threshold: Calibrated confidence at which an event leaves before the last layer;
            ``None`` leaves the model's own thresholds.
    """

    name: str
    experts: int | None = None
    exit_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """The model's answer for one event, in the order of the batch.

    Attributes:
        scores: Calibrated probabilities, one per label of the engine, in its order.
        active_share: Share of the encoder's parameters that ran for this event, 0 to 1.
        layers: Layers run before the event left.
        experts: Routed experts per token.
    """

    scores: tuple[float, ...]
    active_share: float
    layers: int
    experts: int


class Engine(Protocol):
    """A loaded model.

    ``encode`` runs at ingress on the caller's thread, ``prepare`` while another batch is running,
    ``run`` on the device thread alone.
    """

    model: Model
    modalities: frozenset[Modality]
    labels: tuple[str, ...]
    efforts: tuple[EffortLevel, ...]
    """Full effort first, each next one cheaper."""
    max_tokens: int
    """Longest event; longer ones are truncated by ``encode``."""

    def encode(self, events: Sequence[Event]) -> list[Encoded]:
        """Tokenise (or cut into patches) a poll's worth of events.

        Raises:
            InvalidEventError: An event holds nothing that this model can read.
        """
        ...

    def prepare(self, batch: Sequence[Encoded]) -> Any:
        """Pack a batch into what ``run`` takes."""
        ...

    def run(self, prepared: Any, effort: EffortLevel) -> list[Prediction]:
        """Classify a prepared batch; one prediction per event, in order.

        Raises:
            EngineError: The model failed; the caller bisects to find the culprit.
        """
        ...
