"""Pictures of rolled steel, drawn from a seed: what a camera above a mill's strip might send.

They are stand-ins to warm up and to show with, grey and 128 pixels square. No photograph is behind
them, so what a model says of them says nothing about its accuracy.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

SIZE = 128
"""Pixels of a side."""
BASE = 132.0
"""Grey of plain strip, of 255."""

Grey = NDArray[np.float64]


def draw_steel(flaw: str, seed: int) -> bytes:
    """Draw a piece of strip.

    Args:
        flaw: A key of :data:`FLAWS`.
        seed: Gives the same picture again.

    Returns:
        A PNG file.
    """
    chance = np.random.default_rng([seed, sorted(FLAWS).index(flaw)])
    strip = _strip(chance)
    FLAWS[flaw](strip, chance)
    noise = chance.normal(0.0, 3.0, strip.shape)
    pixels = (strip + noise).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def _strip(chance: np.random.Generator) -> Grey:
    """Return plain strip: uneven light, faint streaks along the rolling direction."""
    rows = np.linspace(-1.0, 1.0, SIZE)
    light = np.add.outer(chance.normal(0, 5) * rows, chance.normal(0, 4) * rows)
    streaks = np.convolve(chance.normal(0, 3.0, SIZE + 8), np.ones(9) / 9, mode="valid")
    grain = _soft(chance.normal(0, 1, (SIZE, SIZE)), 1.2) * 6.0
    return BASE + chance.normal(0, 6) + light + streaks[None, :] + grain


def _scratches(strip: Grey, chance: np.random.Generator) -> None:
    """Scrape thin dark lines along the strip, with a bright burr beside them."""
    for _ in range(chance.integers(1, 4)):
        column = int(chance.integers(4, SIZE - 6))
        is_short = chance.integers(5) < 2  # noqa: PLR2004 - two of five
        top, bottom = sorted(chance.integers(0, SIZE, 2)) if is_short else (0, SIZE)
        strip[top:bottom, column] -= chance.uniform(40, 70)
        strip[top:bottom, column + 1] += chance.uniform(10, 25)


def _inclusions(strip: Grey, chance: np.random.Generator) -> None:
    """Roll slag into the strip: a long rough band of dark and bright splinters."""
    mask = Image.new("L", (SIZE, SIZE))
    pen = ImageDraw.Draw(mask)
    x, width = chance.uniform(25, SIZE - 25), chance.uniform(6, 22)
    y = chance.uniform(-30, 50)
    while y < SIZE:
        x += chance.normal(0, 1.5)
        half = width * chance.uniform(0.5, 1.0)
        pen.ellipse((x - half, y, x + half, y + 16), fill=255)
        y += 5
    rough = _soft(chance.normal(0, 1, (SIZE, SIZE)), 1.5)
    _blend(strip, mask, BASE - 75 + 75 * rough / max(rough.std(), 1e-9) * 0.5)


def _patches(strip: Grey, chance: np.random.Generator) -> None:
    """Leave ragged dark patches, drawn out along the strip."""
    coarse = chance.normal(0, 1, (SIZE // 8, SIZE // 4))
    field = np.asarray(Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    edge = _soft(chance.normal(0, 1, (SIZE, SIZE)), 1.0)
    strip[field + edge > np.quantile(field, chance.uniform(0.88, 0.96))] -= 50


def _scale(strip: Grey, chance: np.random.Generator) -> None:
    """Press many small flakes of scale into the strip: short dark dents with a bright lip."""
    for _ in range(chance.integers(40, 110)):
        row, column = chance.integers(2, SIZE - 8, 2)
        length = int(chance.integers(2, 6))
        strip[row, column : column + length] -= chance.uniform(25, 55)
        strip[row + 1, column : column + length] += chance.uniform(10, 30)


def _ash(strip: Grey, chance: np.random.Generator) -> None:
    """Drop a few round dark specks with a smoky rim."""
    for _ in range(chance.integers(1, 4)):
        x, y = chance.uniform(15, SIZE - 15, 2)
        radius = chance.uniform(3, 8)
        for part, depth in ((2.2, 18.0), (1.0, 70.0)):
            mask = Image.new("L", (SIZE, SIZE))
            half = radius * part
            ImageDraw.Draw(mask).ellipse((x - half, y - half * 0.7, x + half, y + half * 0.7), 255)
            strip -= _weights(mask) * depth


def _prints(strip: Grey, chance: np.random.Generator) -> None:
    """Print a crack of the roll: one oblique stroke, bright along one side."""
    mask = Image.new("L", (SIZE, SIZE))
    x, y = chance.uniform(10, SIZE - 10, 2)
    reach, slope = chance.uniform(30, 70), chance.uniform(-0.8, 0.8)
    ends = (x, y, x + reach, y + slope * reach)
    ImageDraw.Draw(mask).line(ends, fill=255, width=int(chance.integers(1, 4)))
    strip -= _weights(mask) * 35
    strip[1:] += _weights(mask)[:-1] * 25


FLAWS: dict[str, Callable[[Grey, np.random.Generator], None]] = {
    "scratches": _scratches,
    "inclusions": _inclusions,
    "patches": _patches,
    "scale": _scale,
    "ash": _ash,
    "prints": _prints,
}
"""What can be drawn on a strip, by name; each changes it in place."""


def _blend(strip: Grey, mask: Image.Image, inside: Grey) -> None:
    weights = _weights(mask)
    strip += weights * (inside - strip)


def _weights(mask: Image.Image) -> Grey:
    return np.asarray(mask.filter(ImageFilter.GaussianBlur(1.0)), dtype=np.float64) / 255


def _soft(values: Grey, radius: float) -> Grey:
    """Blur values by a Gaussian of so many pixels."""
    reach = int(3 * radius) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        values = np.apply_along_axis(np.convolve, axis, values, kernel, mode="same")
    return values
