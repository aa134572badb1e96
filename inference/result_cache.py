"""Answers to content that comes again: syndicated headlines, stock phrases, frozen pictures.

An engine's answer depends on an event's content alone, not on its batch or the hour, so an answer
found once is the answer the next time.
"""

from array import array
from collections import OrderedDict
from hashlib import blake2b
from typing import Annotated, NamedTuple

import msgspec

from inference.engine import Encoded, Prediction
from schemas.events import CameraEvent, Event

KEY_BYTES = 16
ENTRY_BYTES, SCORE_BYTES = 512, 32
"""What an entry takes without its scores, and each score; as measured with CPython 3.11, rounded
up."""


class Cache(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether answers are kept for content that comes again, and how many for how long."""

    enabled: bool = True
    """Answer content again that was answered at full effort shortly before, without the model."""
    max_bytes: Annotated[int, msgspec.Meta(ge=65_536)] = 16 * 1024 * 1024
    """Memory per topic; what was used the longest ago goes first. 16 MiB hold some 25,000 answers
    of few labels."""
    max_age_ms: Annotated[float, msgspec.Meta(gt=0, le=86_400_000)] = 600_000.0
    """How long an answer is given again. An older one still is where the event would be shed."""


class Known(NamedTuple):
    """An answer that was found before.

    Attributes:
        found_at: Monotonic seconds.
        degraded: It was found with less than full effort.
    """

    prediction: Prediction
    found_at: float
    degraded: bool


def content_key(event: Event, encoded: Encoded) -> bytes | None:
    """Return what is equal for events that the model reads the same of, and for no others.

    Texts are compared as the model reads them, in tokens, with the context that it reads before
    them. Images are compared as the files that came: byte for byte.

    Args:
        event: What was encoded.
        encoded: What the engine made of it.

    Returns:
        ``None`` where that cannot be told: an engine of another package made something else than
        token ids of a text.
    """
    if isinstance(event, CameraEvent):
        content = event.image
    else:
        try:
            content = array("q", encoded.data).tobytes()
        except (TypeError, OverflowError):
            return None
    return blake2b(content, digest_size=KEY_BYTES).digest()


class ResultCache:
    """Keeps answers by their content, within bounds of memory and age.

    Args:
        settings: The bounds.

    Attributes:
        bytes: Memory that the answers take, estimated.
    """

    def __init__(self, settings: Cache) -> None:
        self.bytes = 0
        self._max_bytes = settings.max_bytes
        self._max_age_s = settings.max_age_ms / 1e3
        self._known: OrderedDict[bytes, Known] = OrderedDict()

    def __len__(self) -> int:
        """Count the answers."""
        return len(self._known)

    def fresh(self, key: bytes, now: float) -> Known | None:
        """Return the answer at full effort to the same content, if it is recent enough.

        Args:
            key: The content's.
            now: Monotonic seconds.
        """
        known = self._known.get(key)
        if known is None or known.degraded or now - known.found_at > self._max_age_s:
            return None
        self._known.move_to_end(key)
        return known

    def any(self, key: bytes) -> Known | None:
        """Return whatever answer there is: of any age and effort."""
        return self._known.get(key)

    def keep(self, key: bytes, prediction: Prediction, now: float, *, degraded: bool) -> None:
        """Keep an answer of the model; one at full effort is not replaced by a lesser one."""
        before = self._known.pop(key, None)
        if before is not None:
            self.bytes -= _size(before.prediction)
            if degraded and not before.degraded:
                prediction, now, degraded = before
        self._known[key] = Known(prediction, now, degraded)
        self.bytes += _size(prediction)
        while self.bytes > self._max_bytes:
            _, oldest = self._known.popitem(last=False)
            self.bytes -= _size(oldest.prediction)


def _size(prediction: Prediction) -> int:
    return ENTRY_BYTES + SCORE_BYTES * len(prediction.scores)
