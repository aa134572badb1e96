"""The stem as it is run gives what the stem as it is written gives, however it is batched."""

import copy

import numpy as np
import pytest
import torch

from inference import fused_stem
from inference.device import has_fast_bfloat16
from inference.fused_stem import PatchEmbedder, can_fuse, fuse
from inference.kernels import Layout
from inference.stem import Stem
from tests.fakes.small_image_model import small_image_network


def _pixels(count: int) -> torch.Tensor:
    chance = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 1, 64, 96), generator=chance, dtype=torch.uint8)


@pytest.mark.skipif(not can_fuse(), reason="this build of torch has no fused convolutions")
@pytest.mark.parametrize("count", [1, 3, 9])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_fused_convolutions_compute_the_same(count: int, kind: torch.dtype):
    """At the number of images they were packed for, and at others."""
    if kind == torch.bfloat16 and not has_fast_bfloat16():
        pytest.skip("this processor has no bfloat16")
    torch.manual_seed(0)
    stem = Stem(1, 4).eval().to(kind).to(memory_format=torch.channels_last)
    fused = copy.deepcopy(stem)
    fuse(fused, torch.zeros(3, 1, 64, 96, dtype=kind))
    assert not list(fused.convolutions())
    pixels = torch.randn(count, 1, 64, 96).to(kind).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        wanted, found = stem(pixels).float(), fused(pixels).float()
    assert wanted.abs().max() > 0.01
    assert (wanted - found).abs().max() <= 1e-2 * wanted.abs().max()


@pytest.mark.parametrize("fusing", [True, False])
def test_patches_are_those_of_the_model(monkeypatch: pytest.MonkeyPatch, *, fusing: bool):
    """With and without the operations, at any number of images, an image at a time or many."""
    monkeypatch.setattr(fused_stem, "TOGETHER", 4 * 64 * 96)
    if not fusing:
        monkeypatch.setattr(fused_stem, "can_fuse", lambda: False)
    network = small_image_network()
    pixels = _pixels(11)
    with torch.inference_mode():
        wanted = network.embedding(pixels, Layout((24,) * 11)).numpy()
    embed = PatchEmbedder(copy.deepcopy(network.embedding), network.config, torch.float32)
    assert np.abs(embed(pixels) - wanted).max() < 1e-4
    alone = np.concatenate([embed(each[None]) for each in pixels])
    assert np.abs(alone - wanted).max() < 1e-4
