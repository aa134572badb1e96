"""Image files as the model reads them: decoded, in its channels, at its size.

Training reads files through the same function as the engine, so both see the same pixels.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.image_work import check_parts, check_pixels
from schemas.errors import InvalidEventError, OversizedError

FORMATS = ("JPEG", "PNG")
MOST_PIXELS = 50_000_000
"""Larger images are refused before they are decoded: a small file can hold a huge image."""
SPARE = 2
"""A JPEG is decoded at a fraction of its size, but not below so many times the model's size."""
REMEDY = f"at most {MOST_PIXELS // 1_000_000} million pixels are decoded, so send a smaller image"
GREY, COLOUR = "L", "RGB"
THUMBNAIL = 16
"""Pixels of a side; a JPEG of up to 128 is decoded at this size without ever being larger."""

Pixels = NDArray[np.uint8]
Thumbnail = NDArray[np.int16]
"""Grey levels of 0 to 255, [16, 16]."""


@dataclass(frozen=True)
class PixelFormat:
    """What the model takes.

    Attributes:
        height: Rows.
        width: Columns.
        channels: 1 for grey, 3 for red, green and blue.
    """

    height: int
    width: int
    channels: int

    @property
    def mode(self) -> str:
        """Return Pillow's name of the channels."""
        return GREY if self.channels == 1 else COLOUR

    def decode(self, file: bytes) -> Pixels:
        """Return the pixels of a JPEG or PNG file, [channels, height, width].

        Raises:
            InvalidEventError: The file is neither, or is damaged.
            OversizedError: It holds too many pixels.
        """
        return self.fit(_load(file, self.mode, (SPARE * self.width, SPARE * self.height)))

    def fit(self, image: Image.Image) -> Pixels:
        """Convert an image's channels and resize it, [channels, height, width]."""
        image = _in_eight_bits(image).convert(self.mode)
        if image.size != (self.width, self.height):
            image = image.resize((self.width, self.height), Image.Resampling.BILINEAR)
        array = np.asarray(image)
        return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)  # noqa: PLR2004 - grey


def thumbnail_of(file: bytes) -> Thumbnail:
    """Return what a JPEG or PNG file shows, in grey and very small, [16, 16].

    Of a JPEG the least is decoded that this takes, which is half of what the model needs.

    Raises:
        InvalidEventError: The file is neither, or is damaged.
        OversizedError: It holds too many pixels.
    """
    size = (THUMBNAIL, THUMBNAIL)
    image = _in_eight_bits(_load(file, GREY, size)).convert(GREY)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BOX)
    return np.asarray(image, np.int16)


def difference(one: Thumbnail, other: Thumbnail) -> float:
    """Return the mean absolute difference of two thumbnails in grey levels, 0 to 255."""
    return float(np.abs(one - other).mean())


def _load(file: bytes, mode: str, least: tuple[int, int]) -> Image.Image:
    """Decode a file, a JPEG at a fraction of its size that is not below ``least``."""
    try:
        check_parts(file)
        image = Image.open(io.BytesIO(file), formats=FORMATS)
        _check_size(image.width, image.height)
        check_pixels(file, image.width, image.height)
        image.draft(mode, least)
        image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise OversizedError(f"image: {error}; {REMEDY}", field="image") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidEventError(
            f"image of {len(file)} bytes cannot be decoded: {error}; send a whole JPEG or PNG file",
            field="image",
        ) from error
    return image


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """Keep the upper 8 of 16 bits, as thermal cameras send them."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise OversizedError(f"image is {width} x {height} pixels; {REMEDY}", field="image")
