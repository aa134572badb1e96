"""Random views differ from their image as far as they may, and alike at every resolution."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention

from inference.training.views import Mix, Views

STILL = Views(flips=False, rotation=0, shift=0, scale=0, brightness=0, contrast=0, moved=1)


def _chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _smooth(count: int = 4, side: int = 32) -> torch.Tensor:
    """Draw images without fine detail, which look alike at any resolution."""
    rough = torch.rand(count, 1, 4, 4, generator=_chance()) * 255
    return F.interpolate(rough, (side, side), mode="bicubic").clamp(0, 255)


def test_a_view_of_nothing_random_is_the_image():
    """In its very pixels."""
    pixels = _smooth()
    assert torch.allclose(STILL.draw(4, _chance()).show(pixels), pixels, atol=0.01)


def test_flips_mirror_whole_images():
    """Each of the four ways occurs, and nothing else does."""
    pixels = _smooth(1).expand(64, 1, 32, 32)
    views = Views(flips=True, moved=0, brightness=0, contrast=0).draw(64, _chance()).show(pixels)
    ways = [pixels[0], pixels[0].flip(1), pixels[0].flip(2), pixels[0].flip(1, 2)]
    found = [[torch.allclose(view, way, atol=0.01) for way in ways] for view in views]
    assert all(sum(each) == 1 for each in found)
    assert all(any(each[way] for each in found) for way in range(4))


def test_views_are_the_same_at_every_resolution():
    """A teacher and a student of half its size are shown the same."""
    view = Views().draw(4, _chance(3))
    large = view.show(_smooth(4, 64))
    small = view.show(_smooth(4, 32))
    shrunk = F.avg_pool2d(large, 2)
    assert (shrunk - small)[:, :, 4:-4, 4:-4].abs().mean() < 4
    other = Views().draw(4, _chance(4)).show(_smooth(4, 32))
    assert (other - small).abs().mean() > 20


def test_views_stay_within_the_range_of_pixels():
    """However bright."""
    views = Views(brightness=1, contrast=2).draw(16, _chance()).show(_smooth(16))
    assert views.min() >= 0
    assert views.max() <= 255


def test_a_shift_moves_by_its_share():
    """An eighth of 32 pixels is at most 4."""
    pixels = torch.zeros(32, 1, 32, 32)
    pixels[:, :, 16, 16] = 255
    shifted = Views(
        flips=False, rotation=0, scale=0, brightness=0, contrast=0, shift=0.125, moved=1
    )
    views = shifted.draw(32, _chance()).show(pixels)
    rows = (views.sum((1, 3)) * torch.arange(32)).sum(1) / views.sum((1, 2, 3)) - 16
    assert 2.5 < rows.abs().max() <= 4.01


def test_rotation_keeps_shapes_of_oblong_images():
    """A disc stays a disc: a turn is one of pixels, not of shares of the sides."""
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(96.0), indexing="ij")
    disc = ((rows - 15.5) ** 2 + (columns - 47.5) ** 2 < 100).float()[None, None] * 255
    turned = Views(flips=False, rotation=45, shift=0, scale=0, brightness=0, contrast=0, moved=1)
    views = turned.draw(8, _chance()).show(disc.expand(8, 1, 32, 96))
    assert (views - disc).abs().mean() < 3


def test_a_mixture_is_of_two_images_of_the_batch():
    """One of them prevails, and the same pairs are laid over each other at every resolution."""
    mix = Mix.draw(8, _chance())
    levels = torch.arange(8.0) * 10
    mixed = mix.show(levels[:, None, None, None].expand(8, 1, 4, 4))
    expected = levels * (1 - mix.share) + levels[mix.partner] * mix.share
    assert torch.allclose(mixed, expected[:, None, None, None].expand(8, 1, 4, 4))
    assert mix.share.min() >= 0
    assert mix.share.max() <= 0.5
