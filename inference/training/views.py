"""Augmentation: random views of images, cheap enough to draw anew at every step."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor


@dataclass(frozen=True)
class Views:
    """How far views may differ from their image; each is drawn evenly within its range.

    Attributes:
        flips: Whether to mirror, left to right and top to bottom, each by half of the chance.
        rotation: Most degrees.
        shift: Most of a side, as a share.
        scale: Most that is zoomed in or out, as a share.
        brightness: Most that is added or taken away, as a share of the full range.
        contrast: Most that the distance from the image's mean is stretched, as a share.
        moved: Share of views that are rotated, shifted and scaled; the others keep the image's
            very pixels, as it will be seen in use.
    """

    flips: bool = True
    rotation: float = 10.0
    shift: float = 0.08
    scale: float = 0.12
    brightness: float = 0.03
    contrast: float = 0.1
    moved: float = 0.7

    def draw(self, count: int, chance: torch.Generator) -> "View":
        """Draw a view for each of ``count`` images."""

        def within(most: float) -> Tensor:
            return (torch.rand(count, generator=chance) * 2 - 1) * most

        moved = (torch.rand(count, generator=chance) < self.moved).float()
        angle = within(self.rotation) * moved * math.pi / 180
        zoom = 1 + within(self.scale) * moved
        mirror = torch.randint(0, 2, (2, count), generator=chance) * 2.0 - 1
        if not self.flips:
            mirror = mirror.abs()
        shift = torch.stack((within(2 * self.shift) * moved, within(2 * self.shift) * moved))
        return View(angle, zoom, mirror, shift, within(self.brightness), 1 + within(self.contrast))


@dataclass(frozen=True)
class View:
    """A view drawn for each image of a batch; the same holds at any resolution.

    Attributes:
        angle: Radians, [B].
        zoom: Side of what is seen, as a share of the image's, [B].
        mirror: -1 or 1, for columns and rows, [2, B].
        shift: Along columns and rows, where an image reaches from -1 to 1, [2, B].
        brightness: Added, as a share of the full range, [B].
        contrast: Factor on the distance from the image's mean, [B].
    """

    angle: Tensor
    zoom: Tensor
    mirror: Tensor
    shift: Tensor
    brightness: Tensor
    contrast: Tensor

    def show(self, pixels: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Return the views of images [B, P, H, W], of 0 to 255, in float32.

        Args:
            pixels: The images.
            size: Height and width of the views, if not the images' own.
        """
        count, channels, *own = pixels.shape
        height, width = size or own
        sine, cosine = self.angle.sin() * self.zoom, self.angle.cos() * self.zoom
        theta = torch.stack(
            (
                torch.stack((cosine, -sine * own[0] / own[1], self.shift[0]), dim=1),
                torch.stack((sine * own[1] / own[0], cosine, self.shift[1]), dim=1),
            ),
            dim=1,
        )  # [B, 2, 3]
        theta[:, :, :2] *= self.mirror.T[:, None]
        grid = F.affine_grid(theta, [count, channels, height, width], align_corners=False)
        views = F.grid_sample(pixels.float(), grid, padding_mode="reflection", align_corners=False)
        mean = views.mean(dim=(1, 2, 3), keepdim=True)
        views = (views - mean) * _each(self.contrast) + mean + 255 * _each(self.brightness)
        return views.clamp_(0, 255)


@dataclass(frozen=True)
class Mix:
    """Pairs of images of a batch laid over each other.

    Attributes:
        partner: The other image of each, [B].
        share: Its share of the mixture, 0 to 0.5, [B].
    """

    partner: Tensor
    share: Tensor

    @classmethod
    def draw(cls, count: int, chance: torch.Generator) -> "Mix":
        """Draw a partner and its share for each of ``count`` images."""
        share = torch.rand(count, generator=chance) / 2
        return cls(torch.randperm(count, generator=chance), share)

    def show(self, pixels: Tensor) -> Tensor:
        """Return the mixtures of images [B, P, H, W]."""
        share = _each(self.share)
        return pixels * (1 - share) + pixels[self.partner] * share


def _each(values: Tensor) -> Tensor:
    """Shape a number per image [B] to meet pixels."""
    return values[:, None, None, None]
