"""Small drawn images of three kinds that a model can learn to tell apart in seconds."""

import csv
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

KINDS = ("disc", "plain", "stripe")


def draw(kind: str, chance: np.random.Generator, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """Draw an image of a kind, (width, height) pixels, grey, with noise and at any place."""
    image = Image.new("L", size, int(chance.integers(60, 110)))
    pen = ImageDraw.Draw(image)
    x, y = (int(chance.integers(8, side - 8)) for side in size)
    if kind == "disc":
        pen.ellipse((x - 7, y - 7, x + 7, y + 7), fill=220)
    elif kind == "stripe":
        pen.line((x - 30, y - 4, x + 30, y + 4), fill=220, width=3)
    noise = chance.normal(0, 6, (size[1], size[0]))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def file_of(image: Image.Image, form: str = "PNG") -> bytes:
    """Encode an image."""
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def write_folder(folder: Path, train: int = 24, test: int = 8, seed: int = 0) -> Path:
    """Write a folder of images with ``labels.csv``, so many of each kind and split."""
    chance = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    rows = [
        (f"images/{split}_{kind}_{number}.png", kind, split)
        for split, count in (("train", train), ("test", test))
        for kind in KINDS
        for number in range(count)
    ]
    for name, kind, _ in rows:
        (folder / name).write_bytes(file_of(draw(kind, chance)))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label", "split"), *rows])
    return folder
