"""The real image model, small enough for unit tests, with weights drawn from a seed."""

from typing import Any

import torch
from torch import nn

from inference.model import SparseEncoderConfig, SparseEncoderForImageClassification
from tests.fakes.labelled_images import KINDS

SMALL_IMAGES = {
    "modality": "image",
    "image_height": 64,
    "image_width": 96,
    "image_channels": 1,
    "image_mean": [0.4],
    "image_std": [0.4],
    "stem_stages": 3,
    "patch_size": 2,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "num_experts": 4,
    "experts_per_token": 2,
    "exit_thresholds": [0.6] * 3,
    "efforts": [
        {"name": "full", "experts": None, "exit_threshold": None},
        {"name": "single_expert", "experts": 1, "exit_threshold": 0.5},
        {"name": "first_exit", "experts": 1, "exit_threshold": 0.0},
    ],
    "id2label": dict(enumerate(KINDS)),
    "checkpoint_name": "small-images",
    "checkpoint_version": "3",
}


def small_image_config(**changes: Any) -> SparseEncoderConfig:
    """Return a configuration of 24 patches and three layers of four experts."""
    return SparseEncoderConfig(**SMALL_IMAGES | changes)


def small_image_network(seed: int = 0, **changes: Any) -> SparseEncoderForImageClassification:
    """Return a network whose exits and routers differ from image to image."""
    network = SparseEncoderForImageClassification(small_image_config(**changes))
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "convolve" in name and weight.dim() > 1:
                nn.init.kaiming_normal_(weight, generator=chance)
            elif not name.endswith(("norm.weight", "convolve.bias")):
                nn.init.normal_(weight, std=0.2, generator=chance)
            if name.startswith("exits."):
                weight.mul_(4)
    return network.eval()
