"""Texts that nobody wrote: corrupted copies, of which a student learns what its teacher thinks.

A labelled set is small beside what a teacher knows. Masked, replaced and dropped words, spans cut
out and halves of two texts joined show more of it, as in "Distilling Task-Specific Knowledge from
BERT into Simple Neural Networks" (Tang et al., 2019). They have no label: only the teacher's
probabilities are learned.
"""

import random
from collections.abc import Sequence

import torch

from inference.kernels import Layout
from inference.training.data import Batch, TokenSet

NO_LABEL = -100
"""Class number of a text without a label; what torch's cross entropy leaves out."""
SPAN, JOINED = 0.25, 0.5
"""Up to the first, a copy is cut to a span; up to the second, joined with half of another text."""
RATES = (0.05, 0.1, 0.2)
"""Shares of a copy's tokens that are masked, replaced or dropped; one is drawn per copy."""
MASKED, REPLACED = 0.4, 0.8
"""Of those tokens, the shares up to which one is masked, and else replaced; the rest is dropped."""
SHORTEST = 4
"""Texts of so few tokens are not cut."""


class Corruptor:
    """Adds a corrupted copy of each text to a batch.

    Args:
        texts: Where halves and replacements come from; each begins and ends with a special token.
        mask: Id of the mask token.
    """

    def __init__(self, texts: TokenSet, mask: int) -> None:
        self._ids = texts.ids
        self._longest = max(map(len, texts.ids))
        self._pool = [token for ids in texts.ids for token in ids[1:-1]] or [mask]
        self._mask = mask

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return the batch and its copies, shortest first; copies have the class ``NO_LABEL``.

        Args:
            batch: Packed texts.
            generator: All chance comes from it.
        """
        seed = int(torch.randint(2**62, (), generator=generator))
        chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
        whole = [ids.tolist() for ids in torch.split(batch.input_ids, list(batch.layout.lengths))]
        copies = [self.corrupt(ids, chance) for ids in whole]
        targets = torch.cat((batch.targets, torch.full_like(batch.targets, NO_LABEL)))
        both = whole + copies
        order = sorted(range(len(both)), key=lambda place: len(both[place]))
        places = torch.tensor(order)
        return Batch(
            torch.tensor([token for place in order for token in both[place]]),
            Layout(tuple(len(both[place]) for place in order)),
            targets[places],
            batch.index.repeat(2)[places],
        )

    def corrupt(self, ids: Sequence[int], chance: random.Random) -> list[int]:
        """Return a corrupted copy of a text; never empty, never longer than the longest."""
        body = self._cut(list(ids[1:-1]), chance)
        rate = chance.choice(RATES)
        changed = [[token] if chance.random() >= rate else self._change(chance) for token in body]
        kept = [token for each in changed for token in each] or body[:1] or [self._mask]
        return [ids[0], *kept[: max(1, self._longest - 2)], ids[-1]]

    def _cut(self, body: list[int], chance: random.Random) -> list[int]:
        way = chance.random()
        if way < SPAN and len(body) > SHORTEST:
            size = chance.randint(max(2, len(body) // 3), len(body) - 1)
            start = chance.randint(0, len(body) - size)
            return body[start : start + size]
        if SPAN <= way < JOINED:
            other = chance.choice(self._ids)[1:-1]
            return body[: max(1, len(body) // 2)] + list(other[len(other) // 2 :])
        return body

    def _change(self, chance: random.Random) -> list[int]:
        """Return what stands in a token's place; nothing if it is dropped."""
        way = chance.random()
        if way < MASKED:
            return [self._mask]
        return [chance.choice(self._pool)] if way < REPLACED else []
