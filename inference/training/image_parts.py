"""The parts of a labelled image set: to learn from, to calibrate on, to test on."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from inference.training.data import LEAST_PER_LABEL, hold_out
from inference.training.images import LabelledImage
from schemas.errors import ConfigurationError


@dataclass(frozen=True)
class ImageParts:
    """Labelled images: to learn from, to calibrate on, to test on.

    Attributes:
        labels: All labels, sorted.
        notes: A line per thing that the user should know.
    """

    train: list[LabelledImage]
    held_out: list[LabelledImage]
    test: list[LabelledImage]
    labels: tuple[str, ...]
    notes: list[str] = field(default_factory=list)

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many there are of each."""
        return len(self.train), len(self.held_out), len(self.test)


def sort_images(
    images: Sequence[LabelledImage], *, test_share: float, held_out_share: float, seed: int
) -> ImageParts:
    """Sort labelled images into parts.

    Training images that are test images too are left out; parts that the table does not name are
    split off, label by label.

    Args:
        images: All of them.
        test_share: Share that is split off for testing where none are named.
        held_out_share: Share of the training images that is held out where none are named.
        seed: Seeds what is split off.

    Raises:
        ConfigurationError: There is too little to learn from, or a part has labels of its own.
    """
    notes: list[str] = []
    train, held_out, test = (
        [each for each in images if each.split == split] for split in ("train", "held_out", "test")
    )
    labels = _check_labels(train, [*held_out, *test])
    if not test:
        train, test = hold_out(train, test_share, seed)
        notes.append(f"no test images are named: {len(test)} were split off, label by label")
    tested = {digest_of_image(each) for each in test}
    apart = [each for each in train if digest_of_image(each) not in tested]
    if len(apart) < len(train):
        notes.append(
            f"{len(train) - len(apart)} training images are test images too and are left out"
        )
        _check_labels(apart, test)
    if not held_out:
        apart, held_out = hold_out(apart, held_out_share, seed)
    return ImageParts(apart, held_out, test, labels, notes)


def _check_labels(
    train: Sequence[LabelledImage], others: Sequence[LabelledImage]
) -> tuple[str, ...]:
    counts = Counter(each.label for each in train)
    if len(counts) < 2:  # noqa: PLR2004 - one class leaves nothing to learn
        raise ConfigurationError(
            f"the training images have labels {sorted(counts)}; at least two are needed"
        )
    rare = {label: count for label, count in counts.items() if count < LEAST_PER_LABEL}
    if rare:
        raise ConfigurationError(
            f"labels with fewer than {LEAST_PER_LABEL} training images: {rare}; "
            "add images, or leave these labels out or join them into one"
        )
    unknown = sorted({each.label for each in others} - counts.keys())
    if unknown:
        raise ConfigurationError(
            f"the images to calibrate or test on have labels that the training images lack: "
            f"{unknown[:10]}"
        )
    return tuple(sorted(counts))


def digest_of_image(image: LabelledImage) -> str:
    """Return a digest of the encoded file, or of the pixels."""
    content = image.image if isinstance(image.image, bytes) else image.image.tobytes()
    return hashlib.sha256(content).hexdigest()
