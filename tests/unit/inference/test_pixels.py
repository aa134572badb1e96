"""Image files become pixels, or are refused with a reason."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from inference.pixels import MOST_PIXELS, PixelFormat
from schemas.errors import InvalidEventError, OversizedError
from tests.fakes.labelled_images import draw, file_of

GREY = PixelFormat(height=24, width=40, channels=1)
COLOUR = PixelFormat(height=24, width=40, channels=3)


def _gradient(width: int = 80, height: int = 48) -> Image.Image:
    rows = np.linspace(0, 255, height)[:, None].repeat(width, axis=1)
    return Image.fromarray(rows.astype(np.uint8))


def _png_that_claims(width: int, height: int) -> bytes:
    """Make the head of a PNG file that says it is of a size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize(("wanted", "channels"), [(GREY, 1), (COLOUR, 3)])
def test_files_are_brought_to_the_models_size_and_channels(
    form: str, wanted: PixelFormat, channels: int
):
    """Brightness stays where it was: a gradient from black to white is one after resizing."""
    pixels = wanted.decode(file_of(_gradient(), form))
    assert pixels.shape == (channels, 24, 40)
    assert pixels.dtype == np.uint8
    expected = np.linspace(0, 255, 24)[:, None].repeat(40, axis=1)
    assert np.abs(pixels.astype(float) - expected).max() < 12


def test_an_image_of_the_models_size_keeps_its_pixels():
    """Nothing is resampled without need."""
    image = draw("disc", np.random.default_rng(0), (40, 24))
    assert (GREY.decode(file_of(image))[0] == np.asarray(image)).all()


def test_colours_become_grey_by_luminance():
    """Green counts most, blue least."""
    shown = [
        PixelFormat(1, 1, 1).decode(file_of(Image.new("RGB", (1, 1), colour)))[0, 0, 0]
        for colour in ("#ff0000", "#00ff00", "#0000ff")
    ]
    assert shown == [76, 150, 29]


def test_sixteen_bits_keep_the_upper_eight():
    """Thermal cameras send such files; Pillow alone would make most of one white."""
    values = np.linspace(0, 65535, 48 * 80).reshape(48, 80).astype(np.uint16)
    pixels = PixelFormat(48, 80, 1).decode(file_of(Image.fromarray(values)))
    assert (pixels[0] == (values >> 8)).all()


def test_transparency_and_palettes_are_read_as_colours():
    """A PNG may hold either."""
    image = Image.new("RGBA", (40, 24), (200, 10, 30, 128))
    assert COLOUR.decode(file_of(image))[:, 0, 0].tolist() == [200, 10, 30]
    flat = image.convert("RGB").quantize(4)
    assert COLOUR.decode(file_of(flat))[:, 0, 0].tolist() == [200, 10, 30]


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"not an image",
        b"GIF89a" + bytes(40),
        file_of(draw("disc", np.random.default_rng(0)))[:200],
        file_of(draw("disc", np.random.default_rng(0)), "JPEG")[:300],
        file_of(draw("disc", np.random.default_rng(0)), "BMP"),
    ],
    ids=["empty", "text", "gif", "cut PNG", "cut JPEG", "bitmap"],
)
def test_what_is_no_whole_jpeg_or_png_is_refused(file: bytes):
    """The reason names the field and the remedy."""
    with pytest.raises(InvalidEventError, match="send a whole JPEG or PNG") as caught:
        GREY.decode(file)
    assert caught.value.field == "image"


@pytest.mark.parametrize("side", [8_000, 12_000, 60_000])
def test_huge_images_are_refused_before_they_are_decoded(side: int):
    """A file of a kilobyte may claim gigabytes."""
    file = _png_that_claims(side, side)
    assert len(file) < 2_000
    with pytest.raises(OversizedError, match=f"at most {MOST_PIXELS // 1_000_000} million"):
        GREY.decode(file)


def test_a_large_photograph_is_decoded_at_a_fraction():
    """It looks as it would if it were decoded whole."""
    photo = file_of(_gradient(1920, 1080), "JPEG")
    whole = Image.open(io.BytesIO(photo)).convert("L").resize((40, 24), Image.Resampling.BILINEAR)
    assert np.abs(GREY.decode(photo)[0].astype(int) - np.asarray(whole).astype(int)).max() <= 4
