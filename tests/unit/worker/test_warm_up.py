"""What a worker measures its engines on."""

import io

import numpy as np
import pytest
from PIL import Image

from inference.pixels import PixelFormat
from schemas.events import Modality
from streams.steel import FLAWS, SIZE, draw_steel
from streams.worker.warm_up import warm_up_examples
from tests.fakes.engine import FakeEngine


@pytest.mark.parametrize("modality", [Modality.NEWS, Modality.TRANSCRIPT])
def test_texts_are_of_many_lengths(modality: Modality) -> None:
    """Texts of one length would make batches look cheaper than they will be."""
    examples = warm_up_examples(FakeEngine(modalities=[modality]), modality)
    assert len({example.tokens for example in examples}) >= 8


def test_pictures_all_differ() -> None:
    """Images of one kind would all leave the model at its first exit."""
    examples = warm_up_examples(FakeEngine(), Modality.CAMERA)
    assert len({example.data for example in examples}) == len(examples) >= 32


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_picture_is_a_grey_file_that_an_engine_reads(flaw: str) -> None:
    """As a camera's would be."""
    file = draw_steel(flaw, 3)
    image = Image.open(io.BytesIO(file))
    assert (image.format, image.mode, image.size) == ("PNG", "L", (SIZE, SIZE))
    assert PixelFormat(96, 96, 3).decode(file).shape == (3, 96, 96)


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_picture_follows_from_its_seed(flaw: str) -> None:
    """So that a demo shows the same ones each time."""
    assert draw_steel(flaw, 1) == draw_steel(flaw, 1)
    assert draw_steel(flaw, 1) != draw_steel(flaw, 2)


def test_a_flaw_can_be_seen() -> None:
    """Each leaves marks that are far darker than plain strip."""
    for flaw in ("scratches", "inclusions", "patches", "ash"):
        pixels = np.asarray(Image.open(io.BytesIO(draw_steel(flaw, 0)))).astype(float)
        assert pixels.min() < np.median(pixels) - 40, flaw
