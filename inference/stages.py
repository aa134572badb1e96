"""The stages of EfficientNet-lite0 that images may enter through: what they are, without torch."""

from dataclasses import dataclass

FIRST_CHANNELS = 32
"""Channels after the very first convolution, which halves the image."""


@dataclass(frozen=True)
class Stage:
    """Inverted residual blocks of one width.

    Attributes:
        blocks: How many.
        kernel: Side of the depthwise convolutions.
        stride: Of the first block's depthwise convolution.
        expansion: Channels inside a block, as a multiple of those that enter it.
        channels: Channels that leave.
    """

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def halved(size: int, stages: int) -> int:
    """Return how many rows (or columns) of ``size`` are left after some stages."""
    for stride in (2, *(stage.stride for stage in STAGES[:stages])):
        size = -(-size // stride)
    return size
