"""Images that show what the camera's last one showed get its answer.

Which images those are depends on what the model has answered in time, so a replay at another speed
or under another load may run other images of a sequence than the first time.
"""

from collections import OrderedDict
from typing import NamedTuple

from inference.engine import Prediction
from inference.pixels import Thumbnail, difference, thumbnail_of
from schemas.errors import ContractError
from schemas.events import CameraEvent, Event
from streams.lane.sources import Cameras

MOST_CAMERAS = 16_384
"""Cameras whose last answered image is remembered, some hundred bytes each; the one that was
answered the longest ago is forgotten."""


class Seen(NamedTuple):
    """What is known of an event by the images before it.

    Attributes:
        thumbnail: What its camera's next images are compared with; ``None`` where none are.
        previous: Answer of the camera's last image, if this one shows the same.
    """

    thumbnail: Thumbnail | None = None
    previous: Prediction | None = None


UNSEEN = Seen()


class _Answered(NamedTuple):
    thumbnail: Thumbnail
    timestamp_ms: float
    prediction: Prediction


class Frames:
    """Remembers the last image of each camera that the model answered at full effort.

    Args:
        settings: What counts as unchanged, and for how long.
    """

    def __init__(self, settings: Cameras) -> None:
        self._below = settings.unchanged_below
        self._for_ms = settings.unchanged_for_ms
        self._answered: OrderedDict[str, _Answered] = OrderedDict()

    def look(self, event: Event, timestamp_ms: float) -> Seen:
        """Compare an image with the camera's last answered one.

        Args:
            event: Of any modality; what is no image of a known camera is unseen.
            timestamp_ms: When it entered Kafka.
        """
        if not self._below or not isinstance(event, CameraEvent) or event.camera_id is None:
            return UNSEEN
        try:
            thumbnail = thumbnail_of(event.image)
        except ContractError:
            return UNSEEN  # the engine says what is wrong with it
        last = self._answered.get(event.camera_id)
        if last is None or not 0 <= timestamp_ms - last.timestamp_ms <= self._for_ms:
            return Seen(thumbnail)
        unchanged = difference(thumbnail, last.thumbnail) < self._below
        return Seen(thumbnail, last.prediction if unchanged else None)

    def note(self, event: Event, seen: Seen, timestamp_ms: float, prediction: Prediction) -> None:
        """Remember an image that the model answered, unless a newer one is known."""
        if seen.thumbnail is None or not isinstance(event, CameraEvent) or event.camera_id is None:
            return
        last = self._answered.get(event.camera_id)
        if last is not None and last.timestamp_ms > timestamp_ms:
            return
        self._answered[event.camera_id] = _Answered(seen.thumbnail, timestamp_ms, prediction)
        self._answered.move_to_end(event.camera_id)
        if len(self._answered) > MOST_CAMERAS:
            self._answered.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._answered.clear()
