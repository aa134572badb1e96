"""Image files as the model reads them: decoded, in its channels, at its size.

Training reads files through the same function as the engine, so both see the same pixels.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from schemas.errors import InvalidEventError, OversizedError

FORMATS = ("JPEG", "PNG")
MOST_PIXELS = 50_000_000
"""Larger images are refused before they are decoded: a small file can hold a huge image."""
SPARE = 2
"""A JPEG is decoded at a fraction of its size, but not below so many times the model's size."""
REMEDY = f"at most {MOST_PIXELS // 1_000_000} million pixels are decoded, so send a smaller image"
GREY, COLOUR = "L", "RGB"

Pixels = NDArray[np.uint8]


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
        try:
            image = Image.open(io.BytesIO(file), formats=FORMATS)
            _check_size(image.width, image.height)
            image.draft(self.mode, (SPARE * self.width, SPARE * self.height))
            image.load()
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise OversizedError(f"image: {error}; {REMEDY}", field="image") from error
        except (OSError, SyntaxError, ValueError) as error:
            raise InvalidEventError(
                f"image of {len(file)} bytes cannot be decoded: {error}; send a whole JPEG or PNG "
                "file",
                field="image",
            ) from error
        return self.fit(image)

    def fit(self, image: Image.Image) -> Pixels:
        """Convert an image's channels and resize it, [channels, height, width]."""
        if image.mode.startswith("I"):  # 16 bits, as of thermal cameras: the upper 8 are kept
            image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
        image = image.convert(self.mode)
        if image.size != (self.width, self.height):
            image = image.resize((self.width, self.height), Image.Resampling.BILINEAR)
        array = np.asarray(image)
        return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)  # noqa: PLR2004 - grey


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise OversizedError(f"image is {width} x {height} pixels; {REMEDY}", field="image")
