"""Products in 8-bit integers, in plain torch: what the native kernels are compared with.

Each token is scaled by its own largest value, each output channel of a weight by its own
(symmetric, 127 levels to either side); integers are multiplied and summed exactly, so a sum does
not depend on its order. Everything between products stays in float32. The method is that of
Dettmers et al., LLM.int8(), without its outlier columns.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from inference.model import Experts, SharedExpert, SparseEncoderForSequenceClassification

LEVELS = 127
"""Levels to either side of zero."""
SMALLEST = 1e-30
"""What a row or channel of zeros is scaled by."""
EXACT_IN_FLOAT32 = 2**24 // LEVELS**2
"""Longest sum of products of two levels that float32 holds exactly."""


def quantise_channels(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round a weight to levels, scaled by output channel.

    Args:
        weight: Output channels by inputs, [N, K].

    Returns:
        Levels of -127 to 127, [N, K] of int8; what they are multiplied by, [N] of float32.
    """
    top = weight.detach().float().abs().amax(dim=1).clamp(min=SMALLEST)  # [N]
    levels = (weight.detach().float() * (LEVELS / top)[:, None]).round()
    return levels.to(torch.int8), top / LEVELS


def quantise_tokens(hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Round tokens [T, K] to levels, still in float32, and give each token's scale, [T, 1]."""
    top = hidden.abs().amax(dim=1, keepdim=True).clamp(min=SMALLEST)
    return (hidden * (LEVELS / top)).round(), top / LEVELS


def integer_product(hidden: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
    """Multiply tokens [T, K] with quantised channels [N, K]: [T, N] in float32."""
    tokens, token_scale = quantise_tokens(hidden.float())
    kind = torch.float32 if hidden.shape[1] <= EXACT_IN_FLOAT32 else torch.float64
    sums = tokens.to(kind) @ levels.to(kind).T
    return sums.float() * (token_scale * scale)


class QuantisedLinear(nn.Module):
    """Stands in for ``nn.Linear``."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.levels, self.scale = quantise_channels(linear.weight)
        self.bias = linear.bias

    def forward(self, hidden: Tensor) -> Tensor:
        """Transform [T, K] to [T, N]."""
        return integer_product(hidden, self.levels, self.scale) + self.bias


class QuantisedExperts(nn.Module):
    """Stands in for ``inference.model.Experts``, one expert at a time."""

    def __init__(self, experts: Experts) -> None:
        super().__init__()
        self.up = [quantise_channels(each.T) for each in experts.up]
        self.down = [quantise_channels(each.T) for each in experts.down]
        self.up_bias, self.down_bias = experts.up_bias, experts.down_bias

    def one(self, hidden: Tensor, number: int) -> Tensor:
        """Send tokens [R, D] through one expert."""
        inner = F.gelu(integer_product(hidden, *self.up[number]) + self.up_bias[number])
        return integer_product(inner, *self.down[number])

    def forward(self, hidden: Tensor, chosen: Tensor, gates: Tensor) -> Tensor:
        """Send [T, D] through the chosen experts, [T, K]."""
        summed = torch.zeros_like(hidden)
        for number in range(len(self.up)):
            rows, nth = (chosen == number).nonzero(as_tuple=True)
            if len(rows):
                summed[rows] += gates[rows, nth][:, None] * self.one(hidden[rows], number)
        return summed + self.down_bias

    def dense(self, hidden: Tensor) -> Tensor:
        """Send [T, D] through the only expert."""
        return self.one(hidden, 0) + self.down_bias


class QuantisedShared(nn.Module):
    """Stands in for the feed-forward part that every token runs."""

    def __init__(self, shared: SharedExpert) -> None:
        super().__init__()
        self.up, self.down = (quantise_channels(each.T) for each in (shared.up, shared.down))
        self.up_bias = shared.up_bias

    def forward(self, hidden: Tensor) -> Tensor:
        """Transform [T, D]."""
        inner = F.gelu(integer_product(hidden, *self.up) + self.up_bias)
        return integer_product(inner, *self.down)


def quantise_network(
    network: SparseEncoderForSequenceClassification, *, attention: bool = True
) -> None:
    """Replace a network's large products by quantised ones, in place.

    Args:
        network: In float32.
        attention: Whether attention's are among them.
    """
    for block in network.blocks:
        if attention:
            block.attention.qkv = QuantisedLinear(block.attention.qkv)  # type: ignore[assignment]
            block.attention.out = QuantisedLinear(block.attention.out)  # type: ignore[assignment]
        if block.feed_forward.shared is not None:
            block.feed_forward.shared = QuantisedShared(block.feed_forward.shared)  # type: ignore[assignment]
        block.feed_forward.experts = QuantisedExperts(block.feed_forward.experts)  # type: ignore[assignment]
