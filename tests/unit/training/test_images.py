"""Labelled images are read row by row, and refused with the row that is wrong."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inference.pixels import PixelFormat
from inference.training.image_parts import ImageParts, sort_images
from inference.training.images import (
    LabelledImage,
    are_grey,
    choose_sizes,
    decode_all,
    is_image_data,
    read_images,
    usual_size,
)
from schemas.errors import ConfigurationError
from tests.fakes.labelled_images import KINDS, draw, file_of, write_folder

GREY = np.full((8, 6), 90, np.uint8)


def _npz(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def _parts(
    images: list[LabelledImage], test_share: float = 0.25, held_out_share: float = 0.1
) -> ImageParts:
    return sort_images(images, test_share=test_share, held_out_share=held_out_share, seed=0)


def _many(count: int, label: str, split: str, start: int = 0) -> list[LabelledImage]:
    return [
        LabelledImage(np.full((4, 4), start + number, np.uint8), label, split, f"{number}")
        for number in range(count)
    ]


def test_a_folder_and_its_table_are_read(tmp_path: Path):
    """Each row is one image, in the table's order."""
    images = read_images(write_folder(tmp_path / "set", train=5, test=2))
    assert [each.label for each in images[:15:5]] == list(KINDS)
    assert [each.split for each in images] == ["train"] * 15 + ["test"] * 6
    decoded = decode_all(images, KINDS, PixelFormat(32, 32, 1), tokens=4)
    assert decoded.pixels.shape == (21, 1, 32, 32)
    assert decoded.targets.tolist() == [0] * 5 + [1] * 5 + [2] * 5 + [0, 0, 1, 1, 2, 2]
    assert decoded.lengths.tolist() == [4] * 21


def test_an_npz_is_read_with_or_without_a_table(tmp_path: Path):
    """Labels lie in it or beside it; without parts, all is to learn from."""
    stack = np.stack([GREY, GREY + 1])
    whole = _npz(
        tmp_path / "whole.npz",
        images=stack,
        label=np.array(["a", "b"]),
        split=np.array(["train", "Validation"]),
    )
    assert [(each.label, each.split) for each in read_images(whole)] == [
        ("a", "train"),
        ("b", "held_out"),
    ]
    bare = _npz(tmp_path / "bare.npz", images=stack[..., None])
    table = tmp_path / "labels.csv"
    table.write_text("label\nc\nd\n")
    images = read_images(bare, table)
    assert [(each.label, each.split) for each in images] == [("c", "train"), ("d", "train")]
    assert (images[1].pixels(PixelFormat(8, 6, 1))[0] == 91).all()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,kind\na.png,x\n", "has no column label but"),
        ("file,label,split\na.png,,test\n", "line 2: label is empty"),
        ("file,label,split\na.png,x,tset\n", "row 2: split is 'tset'; it must be one of"),
        ("file,label,split\nb.png,x,test\n", "line 2: .*b.png cannot be read"),
        ("file,label,split\n../a.png,x,test\n", "line 2: '../a.png' leaves the folder"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, table: str, message: str):
    """The error names table, row and column."""
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "a.png").write_bytes(file_of(Image.fromarray(GREY)))
    (folder / "labels.csv").write_text(table)
    with pytest.raises(ConfigurationError, match=message):
        read_images(folder)


def test_an_npz_that_cannot_be_used_is_refused(tmp_path: Path):
    """The error says what it holds."""
    wrong = _npz(tmp_path / "wrong.npz", pictures=np.zeros((2, 2)))
    with pytest.raises(ConfigurationError, match=r"it holds \{'pictures': 'float64 \(2, 2\)'\}"):
        read_images(wrong)
    unlabelled = _npz(tmp_path / "unlabelled.npz", images=np.stack([GREY]))
    with pytest.raises(ConfigurationError, match="has no array 'label'"):
        read_images(unlabelled)
    short = tmp_path / "short.csv"
    short.write_text("label\na\nb\n")
    with pytest.raises(ConfigurationError, match="has 2 rows for 1 images"):
        read_images(unlabelled, short)
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, images=np.array([{}], dtype=object))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_images(pickled)


def test_a_damaged_image_is_named(tmp_path: Path):
    """One bad file among thousands must be found."""
    folder = write_folder(tmp_path / "set", train=2, test=1)
    (folder / "images" / "train_plain_1.png").write_bytes(b"nothing")
    images = read_images(folder)
    with pytest.raises(ConfigurationError, match=r"train_plain_1\.png: .*cannot be decoded"):
        decode_all(images, KINDS, PixelFormat(32, 32, 1))


def test_images_are_told_from_texts(tmp_path: Path):
    """A folder of images has its table; a folder of texts has not."""
    folder = write_folder(tmp_path / "set", train=1, test=1)
    assert is_image_data(folder)
    assert is_image_data(tmp_path / "some.npz")
    assert not is_image_data(tmp_path)
    assert is_image_data(tmp_path, labels=folder / "labels.csv")
    assert not is_image_data(folder / "labels.csv")


def test_grey_images_are_known_even_as_colour_files():
    """One channel does for them, and costs less."""
    chance = np.random.default_rng(0)
    grey = [draw("disc", chance).convert("RGB") for _ in range(4)]
    files = [LabelledImage(file_of(each, "JPEG"), "x", "train", "n") for each in grey]
    assert are_grey(files)
    tinted = Image.new("RGB", (20, 20), (90, 90, 120))
    assert not are_grey([*files, LabelledImage(file_of(tinted), "x", "train", "n")])


@pytest.mark.parametrize(
    ("native", "teacher", "student"),
    [
        ((128, 128), (224, 224), (128, 128)),
        ((40, 24), (160, 96), (80, 48)),
        ((1080, 1920), (160, 304), (80, 152)),
        ((9, 9), (32, 32), (16, 16)),
    ],
)
def test_sizes_follow_the_images(
    native: tuple[int, int], teacher: tuple[int, int], student: tuple[int, int]
):
    """About the area that the teacher knows, small images enlarged up to four times."""
    sizes = choose_sizes(native)
    assert sizes.teacher == teacher
    assert sizes.student == student


def test_the_usual_size_is_the_median():
    """One odd image does not matter."""
    images = [
        LabelledImage(np.zeros(shape, np.uint8), "x", "train", "n")
        for shape in ((20, 30), (20, 30), (200, 10))
    ]
    assert usual_size(images) == (20, 30)


def test_parts_that_no_one_named_are_split_off_label_by_label():
    """Whoever gives one pile gets a test set and a calibration set of every label."""
    parts = _parts(_many(40, "a", "train") + _many(20, "b", "train", start=60))
    assert parts.counts == (40, 5, 15)
    assert sum(each.label == "b" for each in parts.test) == 5
    assert "no test images are named: 15" in parts.notes[0]


def test_no_test_image_is_learned_from():
    """Copies are found by their pixels."""
    train = _many(10, "a", "train") + _many(10, "b", "train", start=30)
    test = _many(3, "a", "test") + _many(2, "b", "test", start=90)
    parts = _parts(train + test, held_out_share=0.2)
    learned = {each.image.tobytes() for each in parts.train + parts.held_out}
    assert not learned & {each.image.tobytes() for each in parts.test}
    assert len(learned) == 17
    assert parts.notes == ["3 training images are test images too and are left out"]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (_many(9, "a", "train"), r"have labels \['a'\]; at least two"),
        (
            _many(9, "a", "train") + _many(3, "b", "train"),
            r"fewer than 4 training images: \{'b': 3",
        ),
        (
            _many(9, "a", "train") + _many(9, "b", "train", 20) + _many(1, "c", "test", 50),
            r"labels that the training images lack: \['c'\]",
        ),
    ],
)
def test_too_little_to_learn_from_is_refused(images: list[LabelledImage], message: str):
    """Before hours are spent on it."""
    with pytest.raises(ConfigurationError, match=message):
        _parts(images)


def test_shuffled_batches_hold_every_image_once(tmp_path: Path):
    """An epoch is one time through the data."""
    images = read_images(write_folder(tmp_path / "set", train=7, test=1))
    decoded = decode_all(images, KINDS, PixelFormat(16, 16, 1), tokens=2)
    seen = [
        place
        for batch in decoded.batches(4, chance=torch.Generator().manual_seed(0))
        for place in batch.index.tolist()
    ]
    assert seen != sorted(seen)
    assert sorted(seen) == list(range(24))


def test_tables_of_spreadsheets_are_read(tmp_path: Path):
    """They begin with a byte order mark."""
    folder = write_folder(tmp_path / "set", train=1, test=1)
    table = folder / "labels.csv"
    table.write_text(table.read_text(), encoding="utf-8-sig")
    assert len(read_images(folder)) == 6
