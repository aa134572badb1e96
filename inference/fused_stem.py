"""The stem as it is run: each convolution one call, with its bias, its ReLU6 and packed weights.

oneDNN does all of that in one pass over the data, and wants weights in an order of its own, which
they are brought to once. The operations are those that torch's compiler uses; where this build of
torch lacks them, the stem runs as it is, with the same numbers.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inference.kernels import Layout
from inference.model import ImageEmbedding, SparseEncoderConfig
from inference.stem import Convolution

TOGETHER = 175_000
"""Pixels that run through the stem at once, give or take half: their maps still fit in the
processor's cache, and what a call costs by itself is shared by as many images as can be."""
RELU6 = ("hardtanh", [0.0, 6.0], "")
NOTHING: tuple[str, list[float], str] = ("none", [], "")


class PatchEmbedder:
    """Turns images into embedded patches.

    Args:
        embedding: The model's own, its norms folded; not to be used by anyone else afterwards.
        config: The model's.
        kind: Number format to run in.
    """

    def __init__(
        self, embedding: ImageEmbedding, config: SparseEncoderConfig, kind: torch.dtype
    ) -> None:
        self._embedding = embedding.to(dtype=kind, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._tokens = config.max_position_embeddings
        self._together = max(1, TOGETHER // (config.image_size[0] * config.image_size[1]))
        if can_fuse():
            images = (self._together, config.image_channels, *config.image_size)
            fuse(embedding.stem, torch.zeros(images, dtype=kind))

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> NDArray[np.float32]:
        """Embed images [B, P, H, W] of values 0 to 255 as [T, D]."""
        count = max(1, round(len(pixels) / self._together))
        parts = [
            self._embedding(part, Layout((self._tokens,) * len(part)))
            for part in torch.tensor_split(pixels, count)
        ]
        embedded: NDArray[np.float32] = torch.cat(parts).float().numpy()
        return embedded


def can_fuse() -> bool:
    """Tell whether this build of torch has the operations."""
    operations: Any = torch.ops.mkldnn
    return bool(torch.backends.mkldnn.is_available()) and all(  # type: ignore[no-untyped-call]
        hasattr(operations, name)
        for name in ("_convolution_pointwise", "_reorder_convolution_weight")
    )


class FusedConvolution(nn.Module):
    """A convolution without a norm, and its ReLU6, in one call.

    Args:
        convolution: What it does; its norm must be folded.
        shape: Of what it is usually given, [B, C, H, W]; any other runs too.
    """

    def __init__(self, convolution: Convolution, shape: list[int]) -> None:
        super().__init__()
        layer = convolution.convolve
        self._geometry: Any = (list(layer.padding), list(layer.stride), [1, 1], layer.groups)
        operations: Any = torch.ops.mkldnn
        self._weight = operations._reorder_convolution_weight(  # noqa: SLF001 - no public name
            layer.weight.detach().contiguous(), *self._geometry, shape
        )
        self._bias = layer.bias
        self._then: Any = RELU6 if convolution.activates else NOTHING

    def forward(self, maps: Tensor) -> Tensor:
        """Transform [B, C, H, W]."""
        operations: Any = torch.ops.mkldnn
        return operations._convolution_pointwise(  # type: ignore[no-any-return]  # noqa: SLF001
            maps, self._weight, self._bias, *self._geometry, *self._then
        )


@torch.inference_mode()
def fuse(module: nn.Module, sample: Tensor) -> None:
    """Replace a network's convolutions by fused ones, in place.

    Args:
        module: In the number format that it is to run in, its norms folded.
        sample: What it will usually be given, [B, C, H, W]; the values do not matter.
    """
    shapes: dict[Convolution, list[int]] = {}
    hooks = [
        each.register_forward_pre_hook(
            lambda module, inputs: shapes.update({module: list(inputs[0].shape)})
        )
        for each in module.modules()
        if isinstance(each, Convolution)
    ]
    module(sample.contiguous(memory_format=torch.channels_last))
    for hook in hooks:
        hook.remove()
    _replace(module, shapes)


def _replace(module: nn.Module, shapes: dict[Convolution, list[int]]) -> None:
    for name, child in module.named_children():
        if isinstance(child, Convolution):
            setattr(module, name, FusedConvolution(child, shapes[child]))
        else:
            _replace(child, shapes)
