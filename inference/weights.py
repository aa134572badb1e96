"""Reading weights from disk, as numpy arrays: ``model.safetensors``, large matrices in few bits.

A matrix is cut into groups of neighbouring weights; each group has one scale, and its weights are
integers of 4 or 8 bits times that scale. Next to ``name.q`` lies ``name.scale``; what is not
quantised keeps its own name. At load all of it becomes float32 again.

``inference.storage`` writes them, and reads them as tensors.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

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


def dequantise(
    stored: NDArray[Any], scale: NDArray[np.float16], shape: tuple[int, ...], bits: int
) -> NDArray[np.float32]:
    """Return a matrix of ``shape`` from its integers of ``bits`` bits, in float32."""
    if bits == 4:  # noqa: PLR2004 - two to a byte
        stored = np.stack((stored & 15, stored >> 4), axis=1).astype(np.int8) - np.int8(8)
    groups = stored.astype(np.float32).reshape(len(scale), -1)
    groups *= scale.astype(np.float32)[:, None]
    return groups.reshape(shape)


def bits_of(name: str, storage_bits: dict[str, int] | None) -> int | None:
    """Return in how many bits a tensor is stored; ``None`` for whole."""
    kind = next((kind for end, kind in KINDS.items() if name.endswith(end)), None)
    return (storage_bits or {}).get(kind) if kind else None


def read_weights(
    directory: str | os.PathLike[str],
    storage_bits: dict[str, int] | None,
    framework: str = "numpy",
    restore: Callable[[Any, Any, tuple[int, ...], int], Any] = dequantise,
) -> dict[str, Any]:
    """Read ``model.safetensors``, what is stored in few bits back in float32.

    Args:
        directory: Where the file lies.
        storage_bits: Bits per weight, by kind of tensor, as the configuration says.
        framework: What safetensors is to make: ``numpy`` for arrays, ``pt`` for tensors.
        restore: :func:`dequantise` for what is made.

    Raises:
        EngineError: The file is missing, damaged, or not what ``storage_bits`` says.
    """
    path = Path(directory) / WEIGHTS_FILE
    try:
        with safe_open(path, framework=framework) as file:
            shapes = file.metadata() or {}
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        weights = {
            name: each for name, each in stored.items() if not name.endswith((".q", ".scale"))
        }
        for name in (name.removesuffix(".q") for name in stored if name.endswith(".q")):
            shape = tuple(map(int, shapes[name].split(",")))
            bits = bits_of(name, storage_bits) or 8
            weights[name] = restore(stored[f"{name}.q"], stored[f"{name}.scale"], shape, bits)
    except FileNotFoundError as error:
        raise EngineError(
            f"{path} is missing; a checkpoint needs its weights beside config.json"
        ) from error
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise EngineError(
            f"{path} cannot be read: {error}; fetch or train the checkpoint again"
        ) from error
    return weights
