"""The sparse encoder as an engine: events in, predictions out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.engine import EffortLevel, Encoded, Prediction
from inference.kernels import Layout
from inference.model import SparseEncoderForSequenceClassification
from inference.text import TextEncoder, text_of
from schemas.errors import EngineError
from schemas.events import Event, Modality
from schemas.results import Model


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """A batch ready to run, its events sorted by length.

    Attributes:
        input_ids: Ids of all events, one after another, [T].
        places: For each event as it was given, its place in the sorted batch, [B].
    """

    input_ids: Tensor
    layout: Layout
    places: Tensor


class SparseEngine:
    """Implements ``inference.engine.Engine`` for text.

    Args:
        network: The model, in evaluation mode, in the number format it is to run in.
        tokenizer: Its tokenizer.
        model: How results cite it.
    """

    modalities: frozenset[Modality] = frozenset({Modality.NEWS, Modality.TRANSCRIPT})

    def __init__(
        self,
        network: SparseEncoderForSequenceClassification,
        tokenizer: TextEncoder,
        model: Model,
    ) -> None:
        config = network.config
        self.model = model
        self.labels: tuple[str, ...] = config.labels
        self.efforts = tuple(EffortLevel(**effort) for effort in config.efforts)
        self.max_tokens = tokenizer.max_tokens
        self._network = network
        self._config = config
        self._tokenizer = tokenizer

    def encode(self, events: Sequence[Event]) -> list[Encoded]:
        """Tokenise events.

        Raises:
            InvalidEventError: An event is of a modality that this model cannot read.
        """
        texts = [text_of(event) for event in events]
        return [Encoded(tokens=len(ids), data=ids) for ids in self._tokenizer.encode(texts)]

    def prepare(self, batch: Sequence[Encoded]) -> PackedBatch:
        """Pack a batch, shortest event first."""
        order = sorted(range(len(batch)), key=lambda place: batch[place].tokens)
        ids = [token for place in order for token in batch[place].data]
        places = torch.empty(len(order), dtype=torch.long)
        places[order] = torch.arange(len(order))
        layout = Layout(tuple(batch[place].tokens for place in order), is_rounded=True)
        ids += [0] * layout.padding
        return PackedBatch(torch.tensor(ids), layout, places)

    def run(self, prepared: PackedBatch, effort: EffortLevel) -> list[Prediction]:
        """Classify a prepared batch; one prediction per event, in the order given to ``prepare``.

        Raises:
            EngineError: The model failed, or some event's scores are not numbers.
        """
        if not prepared.layout.lengths:
            return []
        config = self._config
        experts = min(effort.experts or config.experts_per_token, config.num_experts)
        thresholds = config.exit_thresholds
        if effort.exit_threshold is not None:
            thresholds = [effort.exit_threshold] * len(thresholds)
        try:
            with torch.inference_mode():
                output = self._network(
                    prepared.input_ids,
                    prepared.layout,
                    experts_per_token=experts,
                    exit_thresholds=thresholds,
                )
                scores = output.logits.softmax(dim=1)[prepared.places]
                layers = output.layers[prepared.places].tolist()
                sound = bool(scores.isfinite().all())
        except (RuntimeError, IndexError, ValueError) as error:
            raise EngineError(
                f"{self.model.name} failed on a batch of {len(prepared.places)}: {error}"
            ) from error
        if not sound:
            raise EngineError(f"{self.model.name} returned scores that are not numbers")
        share = [config.active_share(count, experts) for count in range(len(thresholds) + 1)]
        return [
            Prediction(scores=tuple(each), active_share=share[count], layers=count, experts=experts)
            for each, count in zip(scores.tolist(), layers, strict=True)
        ]
