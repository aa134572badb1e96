"""Labelled images: a folder with ``labels.csv``, or an ``.npz``, read and checked row by row."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from inference.kernels import Layout
from inference.pixels import PixelFormat
from inference.training.data import Batch
from inference.training.parts import SPLITS, TRAIN
from schemas.errors import ConfigurationError, ContractError

LABELS_FILE = "labels.csv"
SPLIT = "split"
GREY_TOLERANCE = 1.0
"""Mean difference between colours, of 255, up to which images count as grey."""
LOOKED_AT = 64
"""Images that are decoded whole to find out their size and whether they are grey."""


@dataclass(frozen=True)
class LabelledImage:
    """One image as it was found.

    Attributes:
        image: The encoded file, or decoded pixels [H, W] or [H, W, 3] of an ``.npz``.
        label: Its class.
        split: ``train``, ``held_out`` or ``test``.
        name: Where it came from, for messages.
    """

    image: bytes | np.ndarray
    label: str
    split: str
    name: str

    def open(self) -> Image.Image:
        """Decode it whole, for a look at its size and colours.

        Raises:
            ConfigurationError: It cannot be decoded.
        """
        if not isinstance(self.image, bytes):
            return Image.fromarray(self.image)
        try:
            image = Image.open(io.BytesIO(self.image))
            image.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise ConfigurationError(f"{self.name}: cannot be decoded: {error}") from error
        return image

    def pixels(self, form: PixelFormat) -> np.ndarray:
        """Return its pixels as a model of this format reads them, [channels, height, width].

        Raises:
            ConfigurationError: It cannot be decoded.
        """
        if not isinstance(self.image, bytes):
            return form.fit(Image.fromarray(self.image))
        try:
            return form.decode(self.image)
        except ContractError as error:
            raise ConfigurationError(f"{self.name}: {error}") from error


def read_images(path: Path, labels: Path | None = None) -> list[LabelledImage]:
    """Read labelled images.

    Args:
        path: A folder of JPEG and PNG files with a table ``labels.csv`` of columns ``file`` (path
            within the folder), ``label`` and ``split`` (train, test, and validation where there
            is one; without this column all are to learn from); or an ``.npz`` with ``images``
            [M, H, W] or [M, H, W, 3] in uint8, and ``label`` and ``split`` [M] unless a table
            has them.
        labels: The table, if it lies elsewhere; for an ``.npz``, row by row as its images.

    Raises:
        ConfigurationError: A file, a row or an image cannot be used; names it.
    """
    if path.is_dir():
        return _read_folder(path, labels or path / LABELS_FILE)
    if path.suffix == ".npz":
        return _read_npz(path, labels)
    raise ConfigurationError(
        f"{path}: is neither a folder of images with {LABELS_FILE} nor an .npz file"
    )


def is_image_data(path: Path, labels: Path | None = None) -> bool:
    """Tell whether this is what ``read_images`` reads, rather than texts."""
    is_folder = path.is_dir() and (labels is not None or (path / LABELS_FILE).is_file())
    return path.suffix == ".npz" or is_folder


def _read_folder(folder: Path, table: Path) -> list[LabelledImage]:
    found = []
    for number, row in enumerate(_rows(table, ("file", "label")), start=2):
        file = folder / row["file"]
        if not file.resolve().is_relative_to(folder.resolve()):
            raise ConfigurationError(f"{table}, line {number}: {row['file']!r} leaves the folder")
        try:
            image = file.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"{table}, line {number}: {file} cannot be read: {error.strerror}"
            ) from error
        found.append(LabelledImage(image, row["label"], _split(row, table, number), str(file)))
    return found


def _read_npz(path: Path, table: Path | None) -> list[LabelledImage]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    images = arrays.get("images")
    if images is None or images.dtype != np.uint8 or images.ndim not in {3, 4}:
        shown = {name: f"{array.dtype} {array.shape}" for name, array in arrays.items()}
        raise ConfigurationError(
            f"{path}: must hold uint8 'images' of [M, H, W] or [M, H, W, 3]; it holds {shown}"
        )
    if images.ndim == 4 and images.shape[3] == 1:  # noqa: PLR2004 - a channel of its own
        images = images[..., 0]
    source = table or path
    rows = _rows(table, ("label",)) if table else _columns(arrays, path)
    if len(rows) != len(images):
        raise ConfigurationError(f"{source}: has {len(rows)} rows for {len(images)} images")
    return [
        LabelledImage(image, row["label"], _split(row, source, number), f"{path}, image {number}")
        for number, (image, row) in enumerate(zip(images, rows, strict=True))
    ]


def _columns(arrays: dict[str, np.ndarray], path: Path) -> list[dict[str, str]]:
    if "label" not in arrays:
        raise ConfigurationError(
            f"{path}: has no array 'label'; add one, or name a table with --labels"
        )
    names = [name for name in ("label", SPLIT) if name in arrays]
    columns = [[str(value) for value in arrays[name].tolist()] for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _rows(table: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{table}: cannot be read: {error}") from error
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise ConfigurationError(
            f"{table}: has no column {', '.join(missing)} but {reader.fieldnames}"
        )
    for number, row in enumerate(rows, start=2):
        empty = [name for name in columns if not row[name]]
        if empty:
            raise ConfigurationError(f"{table}, line {number}: {', '.join(empty)} is empty")
    return rows


def _split(row: dict[str, str], source: Path, number: int) -> str:
    if SPLIT not in row:
        return TRAIN
    split = SPLITS.get(row[SPLIT].strip().lower())
    if split is None:
        raise ConfigurationError(
            f"{source}, row {number}: split is {row[SPLIT]!r}; it must be one of {list(SPLITS)}"
        )
    return split


def are_grey(images: Sequence[LabelledImage]) -> bool:
    """Tell whether images have no colours, judged by an even sample of them."""
    for each in images[:: max(1, len(images) // LOOKED_AT)]:
        array = np.asarray(each.open().convert("RGB")).astype(np.int16)
        if np.abs(array - array.mean(axis=2, keepdims=True)).mean() > GREY_TOLERANCE:
            return False
    return True


def usual_size(images: Sequence[LabelledImage]) -> tuple[int, int]:
    """Return the median height and width, in pixels, of an even sample of images."""
    sizes = [each.open().size for each in images[:: max(1, len(images) // LOOKED_AT)]]
    width, height = (sorted(side)[len(sizes) // 2] for side in zip(*sizes, strict=True))
    return height, width


@dataclass(frozen=True)
class ImageSet:
    """Labelled images at one size, decoded.

    Attributes:
        pixels: Of 0 to 255, [M, P, H, W] in uint8.
        targets: Class number of each, [M].
        tokens: Patches that the model makes of one; 1 for a model without patches.
    """

    pixels: Tensor
    targets: Tensor
    tokens: int = 1

    def __len__(self) -> int:
        """Count the images."""
        return len(self.pixels)

    @property
    def lengths(self) -> Tensor:
        """Tokens of each image, [M]."""
        return torch.full((len(self),), self.tokens)

    def batches(self, size: int, *, chance: torch.Generator | None = None) -> Iterator[Batch]:
        """Go through the set once, shuffled by ``chance``, else in order."""
        order = torch.arange(len(self))
        if chance is not None:
            order = torch.randperm(len(self), generator=chance)
        for index in torch.split(order, size):
            layout = Layout((self.tokens,) * len(index))
            yield Batch(self.pixels[index], layout, self.targets[index], index)


def decode_all(
    images: Sequence[LabelledImage], labels: Sequence[str], form: PixelFormat, tokens: int = 1
) -> ImageSet:
    """Decode images as a model of this format reads them.

    Raises:
        ConfigurationError: One cannot be decoded.
    """
    number = {label: place for place, label in enumerate(labels)}
    pixels = np.empty((len(images), form.channels, form.height, form.width), np.uint8)
    for place, each in enumerate(images):
        pixels[place] = each.pixels(form)
    targets = torch.tensor([number[each.label] for each in images])
    return ImageSet(torch.from_numpy(pixels), targets, tokens)


@dataclass(frozen=True)
class Sizes:
    """What the teacher and the student take of images, (height, width) in pixels."""

    teacher: tuple[int, int]
    student: tuple[int, int]


TEACHER_AREA = 224 * 224
"""What the teacher's ImageNet weights were learned at."""
MOST_ENLARGED = 4.0
"""Small images are enlarged for the teacher, at most so many times: it halves their sides five
times over, and would be left with hardly a part of them to tell from another."""
NEAR = 1.15
"""Images up to so many times half of the teacher's size are left to the student as they are."""
STEP, LEAST = 16, 32
"""The teacher's sides are multiples of the one, and at least the other."""


def choose_sizes(native: tuple[int, int], teacher_pixels: int = TEACHER_AREA) -> Sizes:
    """Choose sizes for images of ``native`` (height, width) pixels.

    The student sees half of each side, a quarter of the pixels; or just the images' own pixels,
    where these are hardly more, for resizing them would blur what there is.
    """
    height, width = native
    factor = min(MOST_ENLARGED, math.sqrt(teacher_pixels / (height * width)))
    teacher = tuple(max(LEAST, round(side * factor / STEP) * STEP) for side in native)
    half = [side // 2 for side in teacher]
    is_near = all(least <= side <= NEAR * least for side, least in zip(native, half, strict=True))
    student = native if is_near else (half[0], half[1])
    return Sizes((teacher[0], teacher[1]), student)
