"""Rounding weights to what the kernels multiply."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVELS = 127
"""Levels to either side of zero."""
SMALLEST = 1e-30
"""What a row or channel of zeros is scaled by."""
KEPT_BITS = np.uint32(0xFFFF0000)
"""Of a float32, those that a bfloat16 has."""


def quantise_channels(
    weight: NDArray[np.float32],
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round a weight to levels, scaled by output channel.

    Args:
        weight: Output channels by inputs, [N, K].

    Returns:
        Levels of -127 to 127, [N, K] in rows; what they are multiplied by, [N].
    """
    top = np.maximum(np.abs(weight).max(axis=1), np.float32(SMALLEST))  # [N]
    shrink = np.float32(1) / top * np.float32(LEVELS)
    levels = np.rint(weight * shrink[:, None])
    return levels.astype(np.int8, order="C"), top / np.float32(LEVELS)


def rounded_to_bfloat16(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return finite float32 rounded to the nearest bfloat16, ties to even."""
    bits: NDArray[Any] = np.ascontiguousarray(weight).view(np.uint32)
    half = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    rounded: NDArray[np.float32] = ((bits + half) & KEPT_BITS).view(np.float32)
    return rounded
