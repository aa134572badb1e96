"""Labelled events: what an engine is measured on."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.training.images import LabelledImage, is_image_data, read_images
from inference.training.parts import HELD_OUT, TEST, TRAIN, Source, read_part
from schemas.errors import ConfigurationError
from schemas.events import CameraEvent, Event, Modality, NewsEvent, TranscriptEvent

ALL = "all"
PARTS = {"train": TRAIN, "val": HELD_OUT, "test": TEST}


@dataclass(frozen=True)
class LabelledEvents:
    """Events and what they should be called.

    Attributes:
        is_image: Whether they are images.
        contents: Texts, or encoded image files.
        labels: One for each.
        notes: What the user should know of how they were read.
    """

    is_image: bool
    contents: Sequence[str | bytes]
    labels: Sequence[str]
    notes: Sequence[str]

    def events(self, modalities: frozenset[Modality]) -> list[Event]:
        """Return them as events that an engine of these modalities reads.

        Raises:
            ConfigurationError: It reads none such.
        """
        wanted = {Modality.CAMERA} if self.is_image else {Modality.NEWS, Modality.TRANSCRIPT}
        if not wanted & modalities:
            kind = "images" if self.is_image else "texts"
            raise ConfigurationError(
                f"the data are {kind}, and the model reads {', '.join(sorted(modalities))} events"
            )
        make = _text if Modality.NEWS in modalities else _speech
        return [
            CameraEvent(id=str(number), image=each)
            if isinstance(each, bytes)
            else make(number, each)
            for number, each in enumerate(self.contents)
        ]


def read_labelled(source: Source, part: str, labels: Path | None = None) -> LabelledEvents:
    """Read a part of a labelled set of texts or of images.

    Args:
        source: The data, and the columns of texts.
        part: ``train``, ``val``, ``test`` or ``all``; where no parts are named, all is one.
        labels: Table of the labels of images, where it does not lie with them.

    Raises:
        ConfigurationError: It cannot be read, or nothing is of that part.
    """
    if is_image_data(source.data, labels):
        return _images(source.data, part, labels)
    wanted = list(PARTS.values()) if part == ALL else [PARTS[part]]
    examples, notes = read_part(source, *wanted)
    texts, named = [each.text for each in examples], [each.label for each in examples]
    return LabelledEvents(is_image=False, contents=texts, labels=named, notes=notes)


def _images(path: Path, part: str, table: Path | None) -> LabelledEvents:
    every = read_images(path, table)
    images = [each for each in every if part == ALL or each.split == PARTS[part]]
    notes = []
    if not images and {each.split for each in every} == {TRAIN}:
        images = every
        notes.append(f"{path}: names no parts, so all of its {len(every)} images are measured")
    if not images:
        raise ConfigurationError(f"{path}: has no images of part {part!r}")
    return LabelledEvents(
        is_image=True,
        contents=[_file_of(each) for each in images],
        labels=[each.label for each in images],
        notes=notes,
    )


def _file_of(image: LabelledImage) -> bytes:
    """Return the file as it was found, or a lossless one of decoded pixels."""
    if isinstance(image.image, bytes):
        return image.image
    file = io.BytesIO()
    image.open().save(file, "PNG", compress_level=1)
    return file.getvalue()


def _text(number: int, text: str) -> Event:
    return NewsEvent(id=str(number), headline=text)


def _speech(number: int, text: str) -> Event:
    return TranscriptEvent(id=str(number), text=text)
