"""What is known of where events come from: utterances that are revised, cameras that go on."""

from enum import StrEnum
from typing import Annotated

import msgspec

from inference.work import Subject
from schemas.events import CameraEvent, TranscriptEvent
from schemas.kafka import Inbound


class Keep(StrEnum):
    """Which of several events about one thing are run, where they wait together."""

    LATEST = "latest"
    """The newest; the others are answered as shed, with what superseded them."""
    ALL = "all"
    """Every one."""


class Transcripts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How segments of speech are treated that belong to one session."""

    keep: Keep = Keep.LATEST
    """Which of the interim texts of one segment (same ``session_id`` and ``segment``) are run.
    Final texts always are."""
    context_segments: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    """Final segments of the session that the model reads before the segment's own text, as far as
    there is room. For models that were trained on segments with what was said before them."""
    context_for_ms: Annotated[float, msgspec.Meta(gt=0, le=86_400_000)] = 300_000.0
    """How long before a segment another may have been said to be read with it."""
    max_sessions: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1_024
    """Sessions whose segments a worker remembers; the longest silent is forgotten."""


class Cameras(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How images are treated that come from one camera."""

    keep: Keep = Keep.ALL
    """Which of the images of one camera (same ``camera_id``) are run, where several wait."""
    unchanged_below: Annotated[float, msgspec.Meta(ge=0, le=255)] = 0.0
    """An image gets the answer of the camera's last one if it differs by less: mean absolute
    difference of grey levels, 0 to 255, between thumbnails of 16 x 16. 0 leaves this off."""
    unchanged_for_ms: Annotated[float, msgspec.Meta(gt=0, le=3_600_000)] = 5_000.0
    """How long after an image its answer may be given to unchanged ones."""


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Both."""

    transcripts: Transcripts = Transcripts()
    cameras: Cameras = Cameras()

    def subject_of(self, inbound: Inbound) -> Subject | None:
        """Return what an event is about, if a newer one about the same may supersede it."""
        match inbound.event:
            case TranscriptEvent(session_id=str(session), segment=int(segment)) as event:
                if self.transcripts.keep is Keep.LATEST:
                    kind = "final text" if event.is_final else "later interim text"
                    name = f"the {kind} of segment {segment} of session {session!r}"
                    key = (session, segment)
                    return Subject(key, f"{name}, {_cited(inbound)}", is_final=event.is_final)
            case CameraEvent(camera_id=str(camera)):
                if self.cameras.keep is Keep.LATEST:
                    return Subject(camera, f"a newer image of camera {camera!r}, {_cited(inbound)}")
            case _:
                pass
        return None


def _cited(inbound: Inbound) -> str:
    source = inbound.source
    return f"event {inbound.event.id!r} ({source.topic}/{source.partition}/{source.offset})"
