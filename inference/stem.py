"""The convolutional stem through which images enter: the first stages of EfficientNet-lite0.

A few early convolutions in place of one large patch projection make a transformer learn images
faster and more robustly (Xiao et al., "Early Convolutions Help Transformers See Better", 2021).
These are the first stages of EfficientNet-lite0 (Tan and Le, "EfficientNet", 2019, in the variant
without squeeze-and-excitation), so that they can begin as a trained teacher's.

Shapes in comments: B images, C channels, H and W pixels.
"""

from collections.abc import Iterator
from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from inference.stages import FIRST_CHANNELS, STAGES, Stage


class Convolution(nn.Module):
    """A convolution, what normalises it while it is trained, and ReLU6 where asked for."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        activates: bool = True,
    ) -> None:
        super().__init__()
        self.convolve = nn.Conv2d(
            inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups
        )
        self.norm: nn.Module = nn.Identity()  # a batch norm while training, then folded
        self.activates = activates

    def forward(self, maps: Tensor) -> Tensor:
        """Transform [B, C, H, W]; a stride of 2 halves H and W, rounded up."""
        maps = self.norm(self.convolve(maps))
        return F.relu6(maps, inplace=not maps.requires_grad) if self.activates else maps


class InvertedResidual(nn.Module):
    """Widen, convolve each channel, narrow; add what entered where the shape allows it."""

    def __init__(self, inputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        inner = inputs * stage.expansion
        layers = [Convolution(inputs, inner)] if stage.expansion > 1 else []
        layers += [
            Convolution(inner, inner, kernel=stage.kernel, stride=stride, groups=inner),
            Convolution(inner, stage.channels, activates=False),
        ]
        self.layers = nn.Sequential(*layers)
        self.adds = stride == 1 and inputs == stage.channels

    def forward(self, maps: Tensor) -> Tensor:
        """Transform [B, C, H, W]."""
        changed: Tensor = self.layers(maps)
        return changed + maps if self.adds else changed


class Stem(nn.Sequential):
    """The first convolution and the first ``stages`` stages.

    Args:
        channels: Channels of the image.
        stages: How many of ``STAGES``.
    """

    def __init__(self, channels: int, stages: int) -> None:
        layers: list[nn.Module] = [Convolution(channels, FIRST_CHANNELS, kernel=3, stride=2)]
        inputs = FIRST_CHANNELS
        for stage in STAGES[:stages]:
            for number in range(stage.blocks):
                stride = stage.stride if number == 0 else 1
                layers.append(InvertedResidual(inputs, stage, stride))
                inputs = stage.channels
        super().__init__(*layers)

    def convolutions(self) -> Iterator[Convolution]:
        """Go through the convolutions in the order in which they run."""
        return (module for module in self.modules() if isinstance(module, Convolution))


@cache
def stem_parameters(channels: int, stages: int) -> int:
    """Count the weights and biases of a stem."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in Stem(channels, stages).parameters())


@cache
def stem_multiply_adds(size: tuple[int, int], channels: int, stages: int) -> int:
    """Count the multiply-adds of a stem for one image.

    Args:
        size: Height and width in pixels.
        channels: Channels of the image.
        stages: How many of ``STAGES``.
    """
    total = 0
    with torch.device("meta"):
        stem = Stem(channels, stages)
    height, width = size
    for convolution in stem.convolutions():
        layer = convolution.convolve
        height, width = (-(-side // layer.stride[0]) for side in (height, width))
        total += height * width * layer.weight.numel()
    return total


@torch.no_grad()
def fold_norms(module: nn.Module) -> None:
    """Fold every trained batch norm in ``module`` into the convolution before it."""
    for each in module.modules():
        if isinstance(each, Convolution) and isinstance(each.norm, nn.BatchNorm2d):
            norm, layer = each.norm, each.convolve
            assert norm.running_mean is not None  # noqa: S101 - ours all keep statistics
            assert norm.running_var is not None  # noqa: S101 - likewise
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()  # [C]
            bias = layer.bias if layer.bias is not None else torch.zeros_like(scale)
            layer.weight.mul_(scale[:, None, None, None])
            layer.bias = nn.Parameter((bias - norm.running_mean) * scale + norm.bias)
            each.norm = nn.Identity()
