"""Labelled texts, and batches made of them."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from inference.kernels import Layout
from schemas.errors import ConfigurationError

LEAST_PER_LABEL = 4
"""Fewer examples of a label cannot be split into one part to learn from and one to calibrate on."""

POOL = 8
"""Batches that are drawn together and sorted by length."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text."""

    text: str
    label: str


def check_labels(examples: Sequence[Example], *, least: int = LEAST_PER_LABEL) -> tuple[str, ...]:
    """Return the labels, sorted.

    Args:
        examples: What is learned from, and what is to be split off it.
        least: Examples that each label needs.

    Raises:
        ConfigurationError: There are fewer than two labels, or one is too rare.
    """
    counts = Counter(example.label for example in examples)
    labels = tuple(sorted(counts))
    if len(labels) < 2:  # noqa: PLR2004 - one class leaves nothing to learn
        raise ConfigurationError(
            f"the training data has one label only, {labels[0]!r}; at least two are needed"
        )
    rare = {label: counts[label] for label in labels if counts[label] < least}
    if rare:
        raise ConfigurationError(
            f"labels with fewer than {least} training examples: {rare}; "
            "add examples, or leave these labels out or join them into one"
        )
    return labels


def check_known(train: Sequence[Example], other: Sequence[Example], what: str) -> None:
    """Make sure that a part has no labels that the training part lacks.

    Raises:
        ConfigurationError: It has; names some of them.
    """
    unknown = sorted({each.label for each in other} - {each.label for each in train})
    if unknown:
        raise ConfigurationError(
            f"the {what} data has {len(unknown)} labels that the training data lacks: "
            f"{unknown[:10]}; add training examples of them, or leave them out of it"
        )


class Labelled(Protocol):
    """A text or an image with its label."""

    @property
    def label(self) -> str:
        """Name of its class."""
        ...


OfLabel = TypeVar("OfLabel", bound=Labelled)


def hold_out(
    examples: Sequence[OfLabel], share: float, seed: int
) -> tuple[list[OfLabel], list[OfLabel]]:
    """Split examples into a part to learn from and a held-out part, label by label."""
    by_label: dict[str, list[OfLabel]] = defaultdict(list)
    for example in examples:
        by_label[example.label].append(example)
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    kept: list[OfLabel] = []
    held: list[OfLabel] = []
    for label in sorted(by_label):
        group = by_label[label]
        chance.shuffle(group)
        cut = max(1, round(len(group) * share))
        held += group[:cut]
        kept += group[cut:]
    return kept, held


@dataclass(frozen=True)
class Batch:
    """Some texts, packed.

    Attributes:
        input_ids: Ids of all texts, one after another, [T].
        targets: Class numbers, [B].
        index: Places of the texts in their set, [B].
    """

    input_ids: Tensor
    layout: Layout
    targets: Tensor
    index: Tensor


class LabelledSet(Protocol):
    """What calibrating and measuring need of a labelled set, of texts or of images."""

    @property
    def targets(self) -> Tensor:
        """Class number of each event, [M]."""
        ...

    @property
    def lengths(self) -> Tensor:
        """Tokens of each event, [M]."""
        ...

    def __len__(self) -> int:
        """Count the events."""
        ...

    def batches(self, size: int) -> Iterator[Batch]:
        """Go through the set once."""
        ...


@dataclass(frozen=True)
class TokenSet:
    """A tokenised, labelled set.

    Attributes:
        ids: Token ids of each text.
        targets: Class number of each text, [M].
        per_round: Texts of one shuffled round, drawn anew for each; ``None`` for all.
    """

    ids: list[list[int]]
    targets: Tensor
    per_round: int | None = None

    def __len__(self) -> int:
        """Count the texts of a round."""
        return min(len(self.ids), self.per_round or len(self.ids))

    @property
    def lengths(self) -> Tensor:
        """Tokens of each text, [M]."""
        return torch.tensor([len(each) for each in self.ids])

    def batches(self, size: int, *, chance: torch.Generator | None = None) -> Iterator[Batch]:
        """Go through one round, shuffled by ``chance``, else through the set from short to long.

        Shuffled batches are cut from pools sorted by length: texts of equal length are attended to
        in one call.
        """
        lengths = self.lengths
        if chance is None:
            order = lengths.argsort(stable=True)
            yield from (self._pack(index) for index in torch.split(order, size))
            return
        drawn = torch.randperm(len(self.ids), generator=chance)[: len(self)]
        pools = torch.split(drawn, size * POOL)
        sorted_pools = [pool[lengths[pool].argsort(stable=True)] for pool in pools]
        batches = [index for pool in sorted_pools for index in torch.split(pool, size)]
        for place in torch.randperm(len(batches), generator=chance).tolist():
            yield self._pack(batches[place])

    def _pack(self, index: Tensor) -> Batch:
        chosen = [self.ids[place] for place in index.tolist()]
        input_ids = torch.tensor([token for ids in chosen for token in ids])
        layout = Layout(tuple(len(ids) for ids in chosen))
        return Batch(input_ids, layout, self.targets[index], index)
