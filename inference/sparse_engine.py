"""The sparse encoder as an engine: events in, predictions out."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from inference.engine import EffortLevel, Encoded, Prediction
from inference.serving import Forward, classify
from inference.shape import EncoderShape
from inference.text import TextEncoder
from schemas.events import Event, Modality
from schemas.results import Model


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """A batch ready to run.

    Attributes:
        ids: Token ids of all events, one after another, [T].
        lengths: Tokens of each event, [B].
    """

    ids: NDArray[np.int32]
    lengths: NDArray[np.int32]


class SparseEngine:
    """Implements ``inference.engine.Engine`` for text.

    Args:
        forward: What runs the model.
        config: Its shape, labels and efforts.
        tokenizer: Its tokenizer.
        model: How results cite it.
    """

    modalities: frozenset[Modality] = frozenset({Modality.NEWS, Modality.TRANSCRIPT})

    def __init__(
        self,
        forward: Forward,
        config: EncoderShape,
        tokenizer: TextEncoder,
        model: Model,
    ) -> None:
        self.model = model
        self.labels: tuple[str, ...] = config.labels
        self.efforts = tuple(EffortLevel(**effort) for effort in config.efforts or ())
        self.max_tokens = tokenizer.max_tokens
        self._forward = forward
        self._config = config
        self._tokenizer = tokenizer

    @property
    def path(self) -> str:
        """What multiplies: an instruction set of the native kernels, or ``torch``."""
        return self._forward.path

    def encode(self, events: Sequence[Event]) -> list[Encoded]:
        """Tokenise events.

        Raises:
            InvalidEventError: An event is of a modality that this model cannot read.
        """
        return self._tokenizer.encode_events(events)

    def prepare(self, batch: Sequence[Encoded]) -> PackedBatch:
        """Pack a batch: its token ids one after another."""
        ids = np.fromiter(chain.from_iterable(encoded.data for encoded in batch), np.int32)
        return PackedBatch(ids, np.fromiter((encoded.tokens for encoded in batch), np.int32))

    def run(self, prepared: PackedBatch, effort: EffortLevel) -> list[Prediction]:
        """Classify a prepared batch; one prediction per event, in the order given to ``prepare``.

        Raises:
            EngineError: The model failed, or some event's scores are not numbers.
        """
        return classify(
            self._forward, self._config, self.model, prepared.ids, prepared.lengths, effort
        )
