"""Labelled text from JSONL files, checked line by line, and batches made of it."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson
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


def read_examples(path: Path, *, text_field: str, label_field: str) -> list[Example]:
    """Read a JSONL file of labelled texts; blank lines are skipped.

    Raises:
        ConfigurationError: The file, a line or a field cannot be used; names the line.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    examples = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ConfigurationError(f"{where}: is not JSON ({error})") from error
        if not isinstance(row, dict):
            raise ConfigurationError(f"{where}: must be a JSON object, got {line[:60]!r}")
        text = _field(row, text_field, where, flag="--text-field")
        examples.append(Example(text, _field(row, label_field, where, flag="--label-field")))
    if not examples:
        raise ConfigurationError(f"{path}: holds no examples")
    return examples


def _field(row: dict[str, Any], name: str, where: str, *, flag: str) -> str:
    """Return a field as text; labels may also be integers or booleans."""
    if name not in row:
        raise ConfigurationError(
            f"{where}: has no field {name!r} but {sorted(row)}; name the right one with {flag}"
        )
    value = row[name]
    if isinstance(value, int) and flag == "--label-field":
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{where}: field {name!r} must be non-empty text, got {value!r}")
    return value


def check_labels(train: Sequence[Example], test: Sequence[Example]) -> tuple[str, ...]:
    """Return the labels, sorted.

    Raises:
        ConfigurationError: There are fewer than two, one is too rare, or the test set has others.
    """
    counts = Counter(example.label for example in train)
    labels = tuple(sorted(counts))
    if len(labels) < 2:  # noqa: PLR2004 - one class leaves nothing to learn
        raise ConfigurationError(
            f"the training data has one label only, {labels[0]!r}; at least two are needed"
        )
    rare = {label: count for label, count in counts.items() if count < LEAST_PER_LABEL}
    if rare:
        raise ConfigurationError(
            f"labels with fewer than {LEAST_PER_LABEL} training examples: {rare}; "
            "add examples or leave these labels out"
        )
    unknown = sorted({example.label for example in test} - set(labels))
    if unknown:
        raise ConfigurationError(
            f"the test data has labels that the training data lacks: {unknown[:10]}"
        )
    return labels


def check_apart(train: Sequence[Example], test: Sequence[Example]) -> None:
    """Make sure that no test text is learned from.

    Raises:
        ConfigurationError: Some text is in both.
    """
    known = {example.text for example in train}
    both = [example.text for example in test if example.text in known]
    if both:
        raise ConfigurationError(
            f"{len(both)} of {len(test)} test texts are training texts too, the first "
            f"{both[0][:60]!r}; leave them out of one file, else the figures say nothing"
        )


def hold_out(
    examples: Sequence[Example], share: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """Split examples into a part to learn from and a held-out part, label by label."""
    by_label: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_label[example.label].append(example)
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    kept: list[Example] = []
    held: list[Example] = []
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
    """

    ids: list[list[int]]
    targets: Tensor

    def __len__(self) -> int:
        """Count the texts."""
        return len(self.ids)

    @property
    def lengths(self) -> Tensor:
        """Tokens of each text, [M]."""
        return torch.tensor([len(each) for each in self.ids])

    def batches(self, size: int, *, chance: torch.Generator | None = None) -> Iterator[Batch]:
        """Go through the set once, shuffled by ``chance``, else from short to long.

        Shuffled batches are cut from pools sorted by length: texts of equal length are attended to
        in one call.
        """
        lengths = self.lengths
        if chance is None:
            order = lengths.argsort(stable=True)
            yield from (self._pack(index) for index in torch.split(order, size))
            return
        pools = torch.split(torch.randperm(len(self), generator=chance), size * POOL)
        sorted_pools = [pool[lengths[pool].argsort(stable=True)] for pool in pools]
        batches = [index for pool in sorted_pools for index in torch.split(pool, size)]
        for place in torch.randperm(len(batches), generator=chance).tolist():
            yield self._pack(batches[place])

    def _pack(self, index: Tensor) -> Batch:
        chosen = [self.ids[place] for place in index.tolist()]
        input_ids = torch.tensor([token for ids in chosen for token in ids])
        layout = Layout(tuple(len(ids) for ids in chosen))
        return Batch(input_ids, layout, self.targets[index], index)
