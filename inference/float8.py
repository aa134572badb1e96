"""Weights in float8 (e4m3), with one scale per row."""

import torch
from torch import Tensor

from inference.log import Log

log = Log(__name__)

FP8 = torch.float8_e4m3fn
FP8_TOP = 448.0
LEAST_SCALE = 1e-12
WIDENING = 2.0**120
"""What separates a float8 whose bits stand in a bfloat16 from its value: the two exponents' biases
are 7 and 127."""
AS_USED = (
    "weights are stored in it and widened to bfloat16 as they are used, which halves their memory "
    "and costs time; precision bf16 is quicker"
)
AT_ONCE = (
    "weights are rounded to it and laid out in bfloat16, and products are as quick as in precision "
    "bf16"
)


def to_float8(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Store rows in float8.

    Returns:
        The rows as float8 of the same shape, and one float32 scale per row, [..., 1].
    """
    scale = (rows.abs().amax(dim=-1, keepdim=True).float() / FP8_TOP).clamp(min=LEAST_SCALE)
    return (rows.float() / scale).clamp(-FP8_TOP, FP8_TOP).to(FP8), scale


def widened(stored: Tensor, scale: Tensor) -> Tensor:
    """Return float8 rows times their scales in bfloat16.

    Moves bits, which takes a tenth of the time of torch's conversion on a CPU. The few values below
    2**-6 of a scale, 1/28,672 of the row's largest, may become 0.
    """
    bits = stored.view(torch.int8).to(torch.int16)  # the sign fills the upper byte
    moved = bits.bitwise_left_shift_(4).bitwise_and_(~0x7800)
    return moved.view(torch.bfloat16) * (scale * WIDENING).to(torch.bfloat16)


def rounded_to_float8(rows: Tensor) -> Tensor:
    """Return rows as they are after being stored in float8, in float32."""
    return widened(*to_float8(rows.detach())).float()


def multiplies_float8(device: torch.device) -> bool:
    """Say whether a device multiplies float8: NVIDIA's from Ada and Hopper on."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 9)


def tell_float8(device: torch.device, how: str | None) -> None:
    """Log what becomes of float8 on a device.

    Args:
        device: Where the model runs.
        how: What is done in place of float8 products; ``None`` where there are such.
    """
    if how is None:
        log.info("float8", products="float8", device=str(device))
    else:
        reason = f"this device multiplies no float8: {how}"
        log.info("float8", products="bfloat16", device=str(device), reason=reason)
