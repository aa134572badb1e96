"""Dense image classifiers as engines: images decoded and scaled as the model was trained on them.

``preprocessor_config.json`` is read here rather than by transformers, whose own readers need
torchvision. What is understood is what classifiers use: resizing, cropping, rescaling, normalising.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from inference.backends import Source
from inference.backends.answers import FULL, failures_of, predictions
from inference.engine import EffortLevel, Encoded, Prediction
from inference.pixels import PixelFormat
from schemas.errors import ConfigurationError, EngineError, InvalidEventError
from schemas.events import CameraEvent, Event, Modality
from schemas.results import Model

PREPROCESSOR_FILE = "preprocessor_config.json"
STRIDE = 32
"""Pixels of one cell of the last feature map, for models that do not cut images into patches."""
CONVNEXT_CROP = 224 / 256
CONVNEXT_WHOLE = 384
"""ConvNeXT's sizes from here on are of the whole image, uncropped."""


@dataclass(frozen=True)
class ScaledPixels(PixelFormat):
    """What a model of Hugging Face's takes.

    Attributes:
        resize: Height and width to resize to, or the shorter side alone; ``None`` to leave it.
        crop: Whether ``height`` and ``width`` are cut out of the middle afterwards.
        resample: Pillow's number of the filter.
        factor: What pixels of 0 to 255 are multiplied with.
        mean: Subtracted from each channel afterwards.
        deviation: What each channel is divided by in the end.
    """

    resize: tuple[int, int] | int | None
    crop: bool
    resample: int
    factor: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def scaled(self, file: bytes) -> NDArray[np.float32]:
        """Return the values of a JPEG or PNG file, [channels, height, width].

        Raises:
            InvalidEventError: The file is neither, or is damaged.
        """
        pixels = self.decode(file).astype(np.float32) * np.float32(self.factor)
        mean = np.asarray(self.mean, np.float32)[:, None, None]
        return (pixels - mean) / np.asarray(self.deviation, np.float32)[:, None, None]

    def fit(self, image: Image.Image) -> NDArray[np.uint8]:
        """Convert an image's channels, resize and crop it, [channels, height, width]."""
        image = image.convert(self.mode)
        if self.resize is not None:
            image = image.resize(self._size(image), Image.Resampling(self.resample))
        if self.crop:
            left, top = (image.width - self.width) // 2, (image.height - self.height) // 2
            image = image.crop((left, top, left + self.width, top + self.height))
        elif image.size != (self.width, self.height):
            image = image.resize((self.width, self.height), Image.Resampling(self.resample))
        array = np.asarray(image)
        return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)  # noqa: PLR2004 - grey

    def _size(self, image: Image.Image) -> tuple[int, int]:
        """Return the width and height to resize to."""
        if isinstance(self.resize, tuple):
            height, width = self.resize
            return width, height
        assert self.resize is not None  # noqa: S101 - asked before
        shorter = min(image.size)
        width, height = (int(side * self.resize / shorter) for side in image.size)
        return width, height


def read_pixels(source: Source) -> ScaledPixels:
    """Read how a model wants its images.

    Raises:
        ConfigurationError: Its directory does not say.
        EngineError: The file is damaged.
    """
    path = source.directory / PREPROCESSOR_FILE
    if not path.is_file():
        raise ConfigurationError(
            f"model directory {source.directory} lacks {PREPROCESSOR_FILE}, which says how images "
            "are scaled; save the image processor beside the model"
        )
    try:
        fields: dict[str, Any] = orjson.loads(path.read_bytes())
        return _pixels(fields, int(source.config.get("num_channels", 3)))
    except (orjson.JSONDecodeError, OSError) as error:
        raise EngineError(f"{path} cannot be read: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"{path} does not say how images are scaled: {error!r}; give it size, and image_mean "
            "and image_std where do_normalize is set"
        ) from error


def _pixels(fields: dict[str, Any], channels: int) -> ScaledPixels:
    size = fields["size"]
    resize = _sides(size)
    crops = bool(fields.get("do_center_crop", False))
    if "crop_pct" in fields or str(fields.get("image_processor_type", "")).startswith("ConvNext"):
        resize, crops, size = _convnext(fields, size)
    final = _sides(fields.get("crop_size", size) if crops else size)
    height, width = final if isinstance(final, tuple) else (final, final)
    normalises = fields.get("do_normalize", True)
    return ScaledPixels(
        height=height,
        width=width,
        channels=channels,
        resize=resize if fields.get("do_resize", True) else None,
        crop=crops,
        resample=int(fields.get("resample", Image.Resampling.BILINEAR)),
        factor=float(fields.get("rescale_factor", 1 / 255))
        if fields.get("do_rescale", True)
        else 1,
        mean=tuple(fields["image_mean"]) if normalises else (0.0,) * channels,
        deviation=tuple(fields["image_std"]) if normalises else (1.0,) * channels,
    )


def _convnext(
    fields: dict[str, Any], size: Any
) -> tuple[tuple[int, int] | int, bool, dict[str, int]]:
    """Return resizing, cropping and final size where a share of the image is cropped."""
    side = _sides(size)
    side = side if isinstance(side, int) else side[0]
    square = {"height": side, "width": side}
    if side >= CONVNEXT_WHOLE:
        return (side, side), False, square
    return int(side / (fields.get("crop_pct") or CONVNEXT_CROP)), True, square


def _sides(size: Any) -> tuple[int, int] | int:
    """Read a size: both sides, or the shorter one."""
    if isinstance(size, int):
        return size, size
    if "shortest_edge" in size:
        return int(size["shortest_edge"])
    return int(size["height"]), int(size["width"])


class PaddedImageEngine:
    """Runs an image classifier.

    Args:
        network: In the precision and on the device that it is to run in and on.
        pixels: How it wants its images.
        model: How results cite it.
        labels: Names of its classes.
        layers: How many it has.
        device: Where it lies.
    """

    modalities: frozenset[Modality] = frozenset({Modality.CAMERA})

    def __init__(
        self,
        network: nn.Module,
        pixels: ScaledPixels,
        model: Model,
        labels: tuple[str, ...],
        *,
        layers: int,
        device: torch.device,
    ) -> None:
        self.model = model
        self.labels = labels
        self.efforts: tuple[EffortLevel, ...] = FULL
        self._network = network
        self._pixels = pixels
        self._layers = layers
        self._device = device
        self._kind = next(
            each.dtype for each in network.parameters() if each.dtype.is_floating_point
        )
        config: Any = network.config
        patch = getattr(config, "patch_size", None)
        patch = patch if isinstance(patch, int) else STRIDE
        self.max_tokens = max(1, (pixels.height // patch) * (pixels.width // patch))

    def encode(self, events: Sequence[Event]) -> list[Encoded]:
        """Decode and scale images; each counts as many tokens as it has patches.

        Raises:
            InvalidEventError: An event is no image, or one that cannot be decoded.
        """
        return [Encoded(tokens=self.max_tokens, data=self._values(event)) for event in events]

    def prepare(self, batch: Sequence[Encoded]) -> Tensor:
        """Stack images, [B, channels, height, width]."""
        shape = (0, self._pixels.channels, self._pixels.height, self._pixels.width)
        images = [encoded.data for encoded in batch]
        return torch.from_numpy(np.stack(images)) if images else torch.empty(shape)

    def run(self, prepared: Tensor, effort: EffortLevel) -> list[Prediction]:  # noqa: ARG002 - there is one
        """Classify a prepared batch; one prediction per event, in order.

        Raises:
            EngineError: The model failed, or some event's scores are not numbers.
        """
        if not len(prepared):
            return []
        with failures_of(self.model, len(prepared)):
            values = prepared.to(self._device, self._kind)
            logits = self._network(pixel_values=values).logits
            return predictions(logits.cpu(), self._layers, self.model)

    def _values(self, event: Event) -> NDArray[np.float32]:
        if not isinstance(event, CameraEvent):
            raise InvalidEventError(
                f"this model reads images and got a {type(event).__name__}; "
                "run events of its modality with a model trained on text"
            )
        return self._pixels.scaled(event.image)
