"""Even grey pictures."""

import io

import numpy as np
from PIL import Image


def picture(grey: float = 100.0, *, side: int = 128, kind: str = "JPEG", noise: float = 0) -> bytes:
    """Draw an even picture, with noise that is the same each time."""
    pixels = grey + np.random.default_rng(1).normal(0, noise, (side, side))
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, kind)
    return file.getvalue()
