"""Type and size of images, from their first bytes alone."""

from collections.abc import Callable

import pytest

from schemas.images import dimensions, media_type

Draw = Callable[..., bytes]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("png", {}),
        ("jpeg", {}),
        ("jpeg", {"progressive": True}),
        ("jpeg", {"comment": b"x" * 60_000}),
        ("jpeg", {"exif": b"Exif\0\0" + b"\xff\xc0" * 2000}),
    ],
)
def test_the_size_is_what_an_encoder_wrote(picture: Draw, kind: str, options: dict[str, object]):
    """Baseline and progressive, with comments and metadata that look like markers."""
    image = picture(kind, (641, 480), **options)
    assert media_type(image) == f"image/{kind}"
    assert dimensions(image) == (641, 480)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_an_image_that_is_cut_off_before_its_size_has_none(picture: Draw, kind: str):
    """At whichever byte the cut is; after it the size is right."""
    image = picture(kind, (641, 480))
    sizes = [dimensions(image[:length]) for length in range(len(image))]
    known = sizes.index((641, 480))
    assert set(sizes[:known]) == {None}
    assert set(sizes[known:]) == {(641, 480)}


def test_other_images_are_not_recognised():
    """Neither are empty ones."""
    assert media_type(b"GIF89a") is None
    assert media_type(b"") is None


@pytest.mark.parametrize(
    "image",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(8),
        b"\xff\xd8\xff\xc0\0\x11\x08" + bytes(4),
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xda\0\x02",
        b"\xff\xd8\xff\xe0\0\0\xff\xc0",
        b"\xff\xd8" + b"\xff\x01" * 5_000,
    ],
    ids=["no pixels", "no pixels", "ended", "no frame", "a segment of length 0", "no end"],
)
def test_a_damaged_header_has_no_size(image: bytes):
    """A picture without pixels is none, and a search for the frame comes to an end."""
    assert dimensions(image) is None


def test_fill_bytes_between_segments_are_skipped():
    """As the standard allows, and in one step however many there are."""
    frame = b"\xff\xc2\0\x11\x08\0\x03\0\x04"
    assert dimensions(b"\xff\xd8" + b"\xff" * 5_000_000 + frame) == (4, 3)
