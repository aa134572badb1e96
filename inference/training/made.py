"""What a recipe hands over to be measured and described."""

from dataclasses import dataclass

from torch import Tensor

from inference.model import SparseEncoderForSequenceClassification
from inference.text import TextEncoder
from inference.training.data import LabelledSet


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """The dense teacher, once it was fine-tuned.

    Attributes:
        name: What its weights were before.
        source: Where they come from.
        licence: Theirs.
        scores: Its probabilities for the test examples, [M, C].
        multiply_adds: Per test example, mean.
        parameters: Those that every example meets.
    """

    name: str
    source: str
    licence: str
    scores: Tensor
    multiply_adds: float
    parameters: int


@dataclass(frozen=True, kw_only=True)
class Made:
    """A calibrated model, not yet written.

    Attributes:
        model: Its weights are what they will be once stored.
        encoder: The tokenizer of a text model.
        test: The test examples, as the model reads them.
        counts: Examples learned from, held out, and tested on.
        notes: What the user was told of the data.
        sentences: For the card, how it was made.
    """

    model: SparseEncoderForSequenceClassification
    encoder: TextEncoder | None
    test: LabelledSet
    counts: tuple[int, int, int]
    teacher: Teacher
    notes: tuple[str, ...]
    sentences: str
