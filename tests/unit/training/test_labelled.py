"""Labelled sets become events that an engine reads, part by part."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.training.labelled import read_labelled
from inference.training.parts import Source
from schemas.errors import ConfigurationError
from schemas.events import CameraEvent, Modality, NewsEvent, TranscriptEvent
from tests.fakes.labelled_images import KINDS, write_folder

TEXTS = "text,label,split\none,up,train\ntwo,down,val\nthree,up,test\n"
NEWS, SPEECH = frozenset({Modality.NEWS}), frozenset({Modality.TRANSCRIPT})
CAMERA = frozenset({Modality.CAMERA})


@pytest.mark.parametrize(
    ("part", "expected"),
    [("train", ["one"]), ("val", ["two"]), ("test", ["three"]), ("all", ["one", "two", "three"])],
)
def test_a_part_of_a_table_is_read(tmp_path: Path, part: str, expected: list[str]):
    """With the labels that belong to it."""
    path = tmp_path / "a.csv"
    path.write_text(TEXTS, encoding="utf-8")
    found = read_labelled(Source(data=path), part)
    assert found.contents == expected
    assert len(found.labels) == len(expected)


def test_texts_become_events_of_what_the_engine_reads(tmp_path: Path):
    """Headlines, or else segments of speech; never images."""
    path = tmp_path / "a.csv"
    path.write_text(TEXTS, encoding="utf-8")
    found = read_labelled(Source(data=path), "test")
    assert found.events(NEWS | SPEECH) == [NewsEvent(id="0", headline="three")]
    assert found.events(SPEECH) == [TranscriptEvent(id="0", text="three")]
    with pytest.raises(ConfigurationError, match="the data are texts, and the model reads camera"):
        found.events(CAMERA)


def test_images_stay_the_files_that_they_are(tmp_path: Path):
    """As a camera would have sent them."""
    folder = write_folder(tmp_path / "images", train=2, test=1)
    found = read_labelled(Source(data=folder), "test")
    assert found.is_image
    assert sorted(found.labels) == list(KINDS)
    events = found.events(CAMERA)
    files = {(folder / f"images/test_{kind}_0.png").read_bytes() for kind in KINDS}
    assert {each.image for each in events if isinstance(each, CameraEvent)} == files
    assert len(read_labelled(Source(data=folder), "all").contents) == 9
    with pytest.raises(ConfigurationError, match="the data are images, and the model reads news"):
        found.events(NEWS)
    with pytest.raises(ConfigurationError, match="has no images of part 'val'"):
        read_labelled(Source(data=folder), "val")


def test_decoded_images_become_lossless_files(tmp_path: Path):
    """All of them where no parts are named, which is said."""
    pixels = np.arange(2 * 8 * 6, dtype=np.uint8).reshape(2, 8, 6)
    np.savez(tmp_path / "a.npz", images=pixels, label=np.array(["up", "down"]))
    found = read_labelled(Source(data=tmp_path / "a.npz"), "test")
    assert list(found.labels) == ["up", "down"]
    assert "names no parts, so all of its 2 images are measured" in found.notes[0]
    for content, expected in zip(found.contents, pixels, strict=True):
        assert isinstance(content, bytes)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), expected)
