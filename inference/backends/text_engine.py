"""Dense text classifiers as engines: packed where the network takes packed batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from inference.backends.answers import FULL, failures_of, predictions
from inference.engine import EffortLevel, Encoded, Prediction
from inference.kernels import Layout
from inference.text import TextEncoder
from schemas.events import Event, Modality
from schemas.results import Model

TEXT = frozenset({Modality.NEWS, Modality.TRANSCRIPT})

Classify = Callable[[Tensor, Layout], Tensor]
"""Ids of a packed batch, [T], to logits, [B, C]."""
Network = TypeVar("Network")


class TextIngress:
    """What all engines for text have: labels, one effort, and a tokenizer."""

    modalities: frozenset[Modality] = TEXT

    def __init__(self, tokenizer: TextEncoder, model: Model, labels: tuple[str, ...]) -> None:
        self.model = model
        self.labels = labels
        self.efforts: tuple[EffortLevel, ...] = FULL
        self.max_tokens = tokenizer.max_tokens
        self._tokenizer = tokenizer

    def encode(self, events: Sequence[Event]) -> list[Encoded]:
        """Tokenise events.

        Raises:
            InvalidEventError: An event is of a modality that this model cannot read.
        """
        return self._tokenizer.encode_events(events)


class TorchTextEngine(TextIngress, Generic[Network]):
    """What engines of a dense network in torch have besides.

    Args:
        network: In the precision and on the device that it is to run in and on.
        tokenizer: Its tokenizer.
        model: How results cite it.
        labels: Names of its classes.
        layers: How many it has.
        device: Where it lies.
    """

    def __init__(
        self,
        network: Network,
        tokenizer: TextEncoder,
        model: Model,
        labels: tuple[str, ...],
        *,
        layers: int,
        device: torch.device,
    ) -> None:
        super().__init__(tokenizer, model, labels)
        self._network = network
        self._layers = layers
        self._device = device


@dataclass(frozen=True, slots=True)
class Packed:
    """A batch ready to run, its events sorted by length.

    Attributes:
        input_ids: Ids of all events, one after another, [T].
        places: For each event as it was given, its place in the sorted batch, [B].
    """

    input_ids: Tensor
    layout: Layout
    places: Tensor


class PackedTextEngine(TorchTextEngine[Classify]):
    """Runs a dense encoder on packed batches."""

    @property
    def path(self) -> str:
        """What multiplies: an instruction set of the native kernels, or ``torch``."""
        return getattr(self._network, "path", "torch")

    def prepare(self, batch: Sequence[Encoded]) -> Packed:
        """Pack a batch, shortest event first."""
        order = sorted(range(len(batch)), key=lambda place: batch[place].tokens)
        ids = [token for place in order for token in batch[place].data]
        places = torch.empty(len(order), dtype=torch.long)
        places[order] = torch.arange(len(order))
        layout = Layout(tuple(batch[place].tokens for place in order), is_rounded=True)
        return Packed(torch.tensor(ids + [0] * layout.padding), layout, places)

    def run(self, prepared: Packed, effort: EffortLevel) -> list[Prediction]:  # noqa: ARG002 - there is one
        """Classify a prepared batch; one prediction per event, in the order given to ``prepare``.

        Raises:
            EngineError: The model failed, or some event's scores are not numbers.
        """
        if not prepared.layout.lengths:
            return []
        with failures_of(self.model, len(prepared.places)):
            logits = self._network(prepared.input_ids.to(self._device), prepared.layout)
            return predictions(logits.cpu()[prepared.places], self._layers, self.model)
