"""Weights on disk: ``model.safetensors``, with large matrices in a few bits per weight.

A matrix is cut into groups of neighbouring weights; each group has one scale, and its weights are
integers of 4 or 8 bits times that scale. Next to ``name.q`` lies ``name.scale``; what is not
quantised keeps its own name. At load all of it becomes float32 again.
"""

import os
from pathlib import Path

import orjson
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from schemas.errors import EngineError

WEIGHTS_FILE = "model.safetensors"
GROUP = {4: 32, 8: 128}
"""Weights that share a scale, by bits."""

KINDS = {
    "embedding.tokens.weight": "embedding",
    "embedding.positions.weight": "attention",
    "attention.qkv.weight": "attention",
    "attention.out.weight": "attention",
    "experts.up": "experts",
    "experts.down": "experts",
    "shared.up": "experts",
    "shared.down": "experts",
    "classify.weight": "exits",
}
"""Which entry of ``storage_bits`` rules a tensor, by how its name ends; all others stay whole."""


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
    if bits == 4:  # noqa: PLR2004 - two to a byte
        stored = torch.stack((stored & 15, stored >> 4), dim=1).to(torch.int8) - 8
    return (stored.float().view(len(scale), -1) * scale.float()[:, None]).view(shape)


def rounded(weight: Tensor, bits: int) -> Tensor:
    """Return a matrix as it will be after being stored."""
    return dequantise(*quantise(weight, bits), tuple(weight.shape), bits)


def group_size(weight: Tensor, bits: int) -> int:
    """Return how many weights share a scale: the usual group, or a whole row if it does not fit."""
    width = weight.shape[-1]
    return GROUP[bits] if width % GROUP[bits] == 0 else width


def bits_of(name: str, storage_bits: dict[str, int] | None) -> int | None:
    """Return in how many bits a tensor is stored; ``None`` for whole."""
    kind = next((kind for end, kind in KINDS.items() if name.endswith(end)), None)
    return (storage_bits or {}).get(kind) if kind else None


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
    """Read ``model.safetensors`` back into float32.

    Raises:
        EngineError: The file is missing, damaged, or not what ``storage_bits`` says.
    """
    path = Path(directory) / WEIGHTS_FILE
    try:
        with safe_open(path, framework="pt") as file:
            shapes = file.metadata() or {}
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        weights = {
            name: each for name, each in stored.items() if not name.endswith((".q", ".scale"))
        }
        for name in (name.removesuffix(".q") for name in stored if name.endswith(".q")):
            shape = tuple(map(int, shapes[name].split(",")))
            bits = bits_of(name, storage_bits) or 8
            weights[name] = dequantise(stored[f"{name}.q"], stored[f"{name}.scale"], shape, bits)
    except FileNotFoundError as error:
        raise EngineError(
            f"{path} is missing; a checkpoint needs its weights beside config.json"
        ) from error
    except (SafetensorError, KeyError, ValueError, RuntimeError, OSError) as error:
        raise EngineError(
            f"{path} cannot be read: {error}; fetch or train the checkpoint again"
        ) from error
    return weights
