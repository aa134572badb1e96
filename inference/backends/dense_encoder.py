"""A dense BERT-shaped encoder on packed batches, in reading order: embedding, block, head, model.

Packed means that the tokens of all events lie one after another, so no product runs on padding.
The weights are those of a Hugging Face checkpoint; see ``inference.backends.dense``. Shapes in
comments: T tokens in the batch, B events, D width, F feed-forward neurons, C classes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from inference.kernels import Layout, attention

SAMPLE_TEXTS, SAMPLE_TOKENS = 16, 32

Activation = Callable[[Tensor], Tensor]

ACTIVATIONS: dict[str, Activation] = {
    "gelu": F.gelu,
    "gelu_new": lambda hidden: F.gelu(hidden, approximate="tanh"),
    "gelu_pytorch_tanh": lambda hidden: F.gelu(hidden, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
    "tanh": torch.tanh,
}
"""By the name that a configuration gives them."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of an encoder.

    Attributes:
        embedding: Width of the token embedding; projected to ``width`` if it differs.
        first_position: Number of an event's first position; some families start behind the padding.
        activation: Of the feed-forward layers.
        head_activation: Between the head's two products.
    """

    vocabulary: int
    positions: int
    embedding: int
    width: int
    neurons: int
    layers: int
    heads: int
    classes: int
    epsilon: float
    activation: Activation
    head_activation: Activation
    first_position: int = 0

    @property
    def is_gelu(self) -> bool:
        """Whether the feed-forward activation is the exact GELU."""
        return self.activation is F.gelu

    @property
    def longest(self) -> int:
        """Most tokens of an event."""
        return self.positions - self.first_position


class Embedding(nn.Module):
    """Token and position embeddings; the only token type is part of the positions."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.tokens = nn.Embedding(shape.vocabulary, shape.embedding)
        self.positions = nn.Embedding(shape.longest, shape.embedding)
        self.norm = nn.LayerNorm(shape.embedding, eps=shape.epsilon)
        projects = shape.embedding != shape.width
        self.project = nn.Linear(shape.embedding, shape.width) if projects else nn.Identity()

    def forward(self, input_ids: Tensor, layout: Layout) -> Tensor:
        """Embed ids [T] as [T, D]."""
        places = layout.positions().to(input_ids.device)
        hidden = self.norm(self.tokens(input_ids) + self.positions(places))
        return self.project(hidden)  # type: ignore[no-any-return]


class Block(nn.Module):
    """One layer: attention, then feed-forward, each added and normalised."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.activation = shape.activation
        self.attention_qkv = nn.Linear(shape.width, 3 * shape.width)
        self.attention_out = nn.Linear(shape.width, shape.width)
        self.attention_norm = nn.LayerNorm(shape.width, eps=shape.epsilon)
        self.up = nn.Linear(shape.width, shape.neurons)
        self.down = nn.Linear(shape.neurons, shape.width)
        self.norm = nn.LayerNorm(shape.width, eps=shape.epsilon)

    def forward(self, hidden: Tensor, layout: Layout) -> Tensor:
        """Transform [T, D]."""
        mixed = attention(self.attention_qkv(hidden), layout, self.heads)
        hidden = self.attention_norm(hidden + self.attention_out(mixed))
        inner = self.activation(self.up(hidden))  # [T, F]
        return self.norm(hidden + self.down(inner))  # type: ignore[no-any-return]


class Head(nn.Module):
    """Classifies an event from its first token."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.activation = shape.head_activation
        self.inner = nn.Linear(shape.width, shape.width)
        self.outer = nn.Linear(shape.width, shape.classes)

    def forward(self, first: Tensor) -> Tensor:
        """Return the logits [B, C] of events whose first tokens are [B, D]."""
        return self.outer(self.activation(self.inner(first)))  # type: ignore[no-any-return]


class DenseEncoder(nn.Module):
    """The encoder with its head."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embedding = Embedding(shape)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.head = Head(shape)

    def forward(self, input_ids: Tensor, layout: Layout) -> Tensor:
        """Classify a packed batch: ids [T] to logits [B, C] in float32."""
        hidden = self.embedding(input_ids, layout)  # [T, D]
        for block in self.blocks:
            hidden = block(hidden, layout)
        first = layout.bags[: len(layout.lengths)].to(hidden.device)  # [B]
        return self.head(hidden.index_select(0, first)).float()  # type: ignore[no-any-return]


def run_sample(network: DenseEncoder, shape: Shape) -> None:
    """Run some texts of random pieces."""
    layout = Layout((min(SAMPLE_TOKENS, shape.longest),) * SAMPLE_TEXTS)
    chance = torch.Generator().manual_seed(0)
    network(torch.randint(shape.vocabulary, (layout.tokens,), generator=chance), layout)
