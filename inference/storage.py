"""Weights on disk, for torch: how they are rounded to a few bits, written, and read as tensors.

``inference.weights`` says how the file is made up, and reads it without torch.
"""

import os
from pathlib import Path

import orjson
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from inference import weights as stored_weights
from inference.weights import GROUP, WEIGHTS_FILE, bits_of


def quantise(weight: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Store a matrix in integers of ``bits`` bits (4 or 8).

    Args:
        weight: Any shape; of an even number of weights where two share a byte.
        bits: 8 for one weight per byte, 4 for two.

    Returns:
        Integers as bytes, flat; scales in float16, one per group.

    Raises:
        ValueError: The weights cannot be paired.
    """
    if weight.numel() * bits % 8:
        raise ValueError(f"{weight.numel()} weights in {bits} bits: their number must be even")
    top = 2 ** (bits - 1) - 1
    groups = weight.detach().float().reshape(-1, group_size(weight, bits))
    scale = (groups.abs().amax(dim=1, keepdim=True) / top).clamp(min=1e-7).half()
    levels = (groups / scale.float()).round().clamp(-top, top).to(torch.int8).flatten()
    if bits == 4:  # noqa: PLR2004 - two to a byte
        levels = (levels + 8).view(torch.uint8)
        return levels[0::2] | (levels[1::2] << 4), scale.flatten()
    return levels, scale.flatten()


def dequantise(stored: Tensor, scale: Tensor, shape: tuple[int, ...], bits: int) -> Tensor:
    """Return the matrix of ``shape`` that ``quantise`` stored, in float32."""
    return torch.from_numpy(stored_weights.dequantise(stored.numpy(), scale.numpy(), shape, bits))


def rounded(weight: Tensor, bits: int) -> Tensor:
    """Return a matrix as it will be after being stored."""
    return dequantise(*quantise(weight, bits), tuple(weight.shape), bits)


@torch.no_grad()
def round_weights(network: nn.Module, storage_bits: dict[str, int] | None) -> None:
    """Give weights the values that they will have once stored; figures then hold for these.

    Weights that are frozen have been rounded before they were.
    """
    for name, weight in network.named_parameters():
        bits = bits_of(name, storage_bits)
        if bits and weight.requires_grad:
            weight.copy_(rounded(weight, bits))


def group_size(weight: Tensor, bits: int) -> int:
    """Return how many weights share a scale: the usual group, or a whole row if it does not fit."""
    width = weight.shape[-1]
    return GROUP[bits] if width % GROUP[bits] == 0 else width


def write_weights(
    directory: str | os.PathLike[str],
    weights: dict[str, Tensor],
    storage_bits: dict[str, int] | None,
) -> None:
    """Write ``model.safetensors``."""
    stored: dict[str, Tensor] = {}
    shapes: dict[str, str] = {"format": "pt"}
    for name, weight in weights.items():
        bits = bits_of(name, storage_bits)
        if bits is None:
            stored[name] = weight.detach().contiguous()
            continue
        stored[f"{name}.q"], stored[f"{name}.scale"] = quantise(weight, bits)
        shapes[name] = ",".join(map(str, weight.shape))
    path = Path(directory) / WEIGHTS_FILE
    save_file(stored, path, metadata=shapes)
    _sort_header(path)


def _sort_header(path: Path) -> None:
    """Sort the metadata, whose order safetensors leaves to chance: same weights, same digest."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = orjson.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        file.seek(8)
        file.write(orjson.dumps(header).ljust(length))


def read_weights(
    directory: str | os.PathLike[str], storage_bits: dict[str, int] | None
) -> dict[str, Tensor]:
    """Read ``model.safetensors`` back into float32, as tensors.

    Raises:
        EngineError: The file is missing, damaged, or not what ``storage_bits`` says.
    """
    return stored_weights.read_weights(directory, storage_bits, "pt", dequantise)
