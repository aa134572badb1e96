"""An engine without a model: answers follow from the tokens, costs and failures from the test."""

import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from inference.engine import EffortLevel, Encoded, Prediction
from schemas.events import CameraEvent, Event, Modality, NewsEvent, TranscriptEvent
from schemas.results import Model

EFFORTS = (
    EffortLevel("full"),
    EffortLevel("early_exit", exit_threshold=0.8),
    EffortLevel("low", experts=1, exit_threshold=0.6),
)
LABELS = ("negative", "neutral", "positive")
LAYERS = (12, 6, 3)
"""Layers run per effort."""

CostFunction = Callable[[int, int, EffortLevel], float]
"""Seconds of a batch of some tokens, events and effort."""


class DeviceDiedError(BaseException):
    """Something no ``except Exception`` catches, such as an interpreter that shuts down."""


@dataclass(frozen=True, slots=True)
class Poison:
    """What an event does to every batch that it is part of.

    Attributes:
        kind: ``raise`` an error, give ``nan`` scores, ``short``en the answer, or make the device
            thread ``die``.
        in_prepare: It already fails when the batch is prepared (for ``raise`` alone).
        error: What it raises.
    """

    kind: str = "raise"
    in_prepare: bool = False
    error: type[Exception] = RuntimeError


class FakeEngine:
    """Implements :class:`inference.engine.Engine`.

    An event whose text contains the word ``poison`` fails as :attr:`poison` says.

    Args:
        cost: How long a batch takes; nothing by default.
        spend: How to let that time pass: ``ManualClock.advance``, ``time.sleep``.
        efforts: The ladder.
    """

    def __init__(
        self,
        *,
        cost: CostFunction = lambda tokens, events, effort: 0.0,  # noqa: ARG005 - free of charge
        spend: Callable[[float], None] = lambda seconds: None,  # noqa: ARG005 - no time passes
        efforts: Sequence[EffortLevel] = EFFORTS,
        modalities: Iterable[Modality] = tuple(Modality),
        max_tokens: int = 512,
        poison: Poison | None = None,
    ) -> None:
        self.model = Model(name="fake", version="1", digest="sha256:" + "0" * 64)
        self.modalities = frozenset(modalities)
        self.labels = LABELS
        self.efforts = tuple(efforts)
        self.max_tokens = max_tokens
        self.cost = cost
        self.poison = poison or Poison()
        self.batches: list[tuple[int, int, str]] = []
        """Events, tokens and effort of every batch that was run, in order."""
        self.spend = spend
        self._open = threading.Event()
        self._open.set()
        self._entered = threading.Event()

    def hold(self) -> None:
        """Keep the device in its next batch until :meth:`release`."""
        self._entered.clear()
        self._open.clear()

    def release(self) -> None:
        """Let the device go on."""
        self._open.set()

    def wait_until_held(self, timeout_s: float = 10.0) -> bool:
        """Block until the device is in a held batch; ``False`` if it does not come to that."""
        return self._entered.wait(timeout_s)

    def encode(self, events: Sequence[Event]) -> list[Encoded]:
        """Make a token of every word; of an image, one of every kilobyte."""
        return [encode_words(_words(event), self.max_tokens) for event in events]

    def prepare(self, batch: Sequence[Encoded]) -> tuple[tuple[int, ...], ...]:
        """Return the token ids."""
        if self.poison.in_prepare and any(POISON in one.data for one in batch):
            raise RuntimeError("poison")
        return tuple(one.data for one in batch)

    def run(self, prepared: tuple[tuple[int, ...], ...], effort: EffortLevel) -> list[Prediction]:
        """Answer from the token ids."""
        tokens = sum(len(ids) for ids in prepared)
        self.batches.append((len(prepared), tokens, effort.name))
        self._entered.set()
        self._open.wait()
        self.spend(self.cost(tokens, len(prepared), effort))
        predictions = [self.answer(ids, effort) for ids in prepared]
        sick = [number for number, ids in enumerate(prepared) if POISON in ids]
        if sick and self.poison.kind == "raise":
            raise self.poison.error("poison")
        if sick and self.poison.kind == "die":
            raise DeviceDiedError("poison")
        if sick and self.poison.kind == "short":
            predictions.pop()
        if sick and self.poison.kind == "nan":
            predictions[sick[0]] = Prediction((float("nan"),) * len(LABELS), 0.5, 1, 1)
        return predictions

    def answer(self, ids: Sequence[int], effort: EffortLevel) -> Prediction:
        """Return what :meth:`run` says of an event, whatever else is in its batch."""
        seed = zlib.crc32(repr(tuple(ids)).encode())
        parts = [1 + (seed >> 8 * number) % 256 for number in range(len(LABELS))]
        level = self.efforts.index(effort)
        return Prediction(
            scores=tuple(part / sum(parts) for part in parts),
            active_share=1.0 / (level + 2),
            layers=LAYERS[min(level, len(LAYERS) - 1)],
            experts=effort.experts or 2,
        )


def token_of(word: str) -> int:
    """Return a word's token id."""
    return zlib.crc32(word.encode()) & 0xFFFF


POISON = token_of("poison")


def encode_words(words: Sequence[str], max_tokens: int = 512) -> Encoded:
    """Return words as the engine's input; no words count as one token."""
    ids = tuple(token_of(word) for word in words[:max_tokens]) or (0,)
    return Encoded(tokens=len(ids), data=ids)


def _words(event: Event) -> list[str]:
    match event:
        case NewsEvent():
            return f"{event.headline} {event.body or ''}".split()
        case TranscriptEvent():
            return event.text.split()
        case CameraEvent():
            return [str(zlib.crc32(event.image))] * (1 + len(event.image) // 1024)
