"""An image that shows what the last one did is known by a thumbnail."""

import io

import numpy as np
import pytest
from PIL import Image

from inference.engine import Prediction
from inference.pixels import difference, thumbnail_of
from schemas.errors import InvalidEventError
from schemas.events import CameraEvent, NewsEvent
from streams.lane.frames import UNSEEN, Frames, Seen
from streams.lane.sources import Cameras
from streams.steel import draw_steel
from tests.unit.lane.pictures import picture

ANSWER = Prediction((0.9, 0.1), 0.2, 4, 2)


def frame(image: bytes, camera: str | None = "gate") -> CameraEvent:
    """Make an event."""
    return CameraEvent(id="f", image=image, camera_id=camera)


@pytest.fixture
def frames() -> Frames:
    """Unchanged below two grey levels, for a second."""
    return Frames(Cameras(unchanged_below=2.0, unchanged_for_ms=1_000))


def see(frames: Frames, image: bytes, at_ms: float, camera: str | None = "gate") -> Seen:
    """Look at an image."""
    return frames.look(frame(image, camera), at_ms)


def answer(frames: Frames, image: bytes, at_ms: float, camera: str = "gate") -> None:
    """Let the model answer an image."""
    frames.note(frame(image, camera), see(frames, image, at_ms, camera), at_ms, ANSWER)


def test_an_image_like_the_last_answered_one_has_its_answer(frames: Frames) -> None:
    """Below the threshold it has, at and above it has not."""
    assert see(frames, picture(), 0).previous is None
    answer(frames, picture(), 0)
    assert see(frames, picture(101), 200).previous is ANSWER
    assert see(frames, picture(102), 200).previous is None


def test_it_has_it_for_so_long_only_and_never_backwards(frames: Frames) -> None:
    """Counted from the image that the model answered, by the events' own times."""
    answer(frames, picture(), 5_000)
    assert see(frames, picture(), 6_000).previous is ANSWER
    assert see(frames, picture(), 6_001).previous is None
    assert see(frames, picture(), 4_999).previous is None


def test_small_steps_do_not_add_up_unseen(frames: Frames) -> None:
    """Images are compared with what the model has seen, not with the one before."""
    answer(frames, picture(100), 0)
    known = [see(frames, picture(100 + step), step).previous for step in range(1, 6)]
    assert [one is ANSWER for one in known] == [True, False, False, False, False]


def test_cameras_are_compared_with_themselves(frames: Frames) -> None:
    """And what is no image of a known camera with nothing."""
    answer(frames, picture(), 0)
    assert see(frames, picture(), 1, "yard").previous is None
    assert see(frames, picture(), 1, None) is UNSEEN
    assert frames.look(NewsEvent(id="n", headline="Ferry"), 1) is UNSEEN


def test_the_newest_answered_image_counts(frames: Frames) -> None:
    """Answers may come in another order than images."""
    answer(frames, picture(200), 100)
    answer(frames, picture(100), 50)
    assert see(frames, picture(200), 150).previous is ANSWER


def test_a_damaged_image_is_left_to_the_model(frames: Frames) -> None:
    """Which says what is wrong with it; it is compared with nothing."""
    assert see(frames, picture()[:40], 0) is UNSEEN
    frames.note(frame(b""), UNSEEN, 0, ANSWER)
    assert see(frames, picture(), 0).previous is None


def test_nothing_is_looked_at_unless_asked_for() -> None:
    """The default costs no decoding."""
    frames = Frames(Cameras())
    assert frames.look(frame(b"no image at all"), 0) is UNSEEN


def test_a_cleared_memory_knows_nothing(frames: Frames) -> None:
    """As after a restart."""
    answer(frames, picture(), 0)
    frames.clear()
    assert see(frames, picture(), 1).previous is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("side", [16, 64, 100, 128, 700])
def test_a_thumbnail_shows_the_picture_whatever_its_size(kind: str, side: int) -> None:
    """A JPEG decoded at a fraction has the same grey levels."""
    thumbnail = thumbnail_of(picture(90, side=side, kind=kind))
    assert thumbnail.shape == (16, 16)
    assert abs(thumbnail - 90).max() <= 1


def test_sensor_noise_is_averaged_out_and_a_flaw_is_not() -> None:
    """What the threshold has to tell apart."""
    plain = picture(132)
    noise = difference(thumbnail_of(plain), thumbnail_of(picture(132, noise=3)))
    strip = Image.open(io.BytesIO(draw_steel("patches", 1)))
    flaw = difference(thumbnail_of(plain), thumbnail_of(_jpeg(strip)))
    assert noise < 1
    assert flaw > 2


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


def test_an_image_of_sixteen_bits_has_a_thumbnail_of_eight() -> None:
    """As thermal cameras send them."""
    file = io.BytesIO()
    Image.fromarray(np.full((32, 32), 90 << 8, np.uint16)).save(file, "PNG")
    assert (thumbnail_of(file.getvalue()) == 90).all()


def test_a_file_that_is_no_image_has_none() -> None:
    """The error is the engine's own."""
    with pytest.raises(InvalidEventError, match="cannot be decoded"):
        thumbnail_of(b"GIF89a")
