"""The sparse encoder as an engine for images: camera events in, predictions out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inference.engine import EffortLevel, Encoded, Prediction
from inference.kernels import Layout
from inference.model import SparseEncoderForImageClassification
from inference.pixels import PixelFormat, Pixels
from schemas.errors import EngineError, InvalidEventError
from schemas.events import CameraEvent, Event, Modality
from schemas.results import Model


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """A batch ready to run.

    Attributes:
        pixels: Of 0 to 255, [B, P, H, W].
        layout: Where the patches of each image lie.
    """

    pixels: Tensor
    layout: Layout


class ImageEngine:
    """Implements ``inference.engine.Engine`` for images.

    Args:
        network: The model, in evaluation mode, in the number format it is to run in.
        model: How results cite it.
    """

    modalities: frozenset[Modality] = frozenset({Modality.CAMERA})

    def __init__(self, network: SparseEncoderForImageClassification, model: Model) -> None:
        config = network.config
        self.model = model
        self.labels: tuple[str, ...] = config.labels
        self.efforts = tuple(EffortLevel(**effort) for effort in config.efforts)
        self.max_tokens: int = config.max_position_embeddings
        self._config = config
        self._network = network.to(memory_format=torch.channels_last)
        self._format = PixelFormat(config.image_height, config.image_width, config.image_channels)

    def encode(self, events: Sequence[Event]) -> list[Encoded]:
        """Decode images and resize them; each counts as many tokens as it has patches.

        Raises:
            InvalidEventError: An event is no image, or holds none that can be decoded.
        """
        return [Encoded(tokens=self.max_tokens, data=self._pixels(event)) for event in events]

    def prepare(self, batch: Sequence[Encoded]) -> ImageBatch:
        """Stack images."""
        layout = Layout((self.max_tokens,) * len(batch), is_rounded=True)
        if not batch:
            return ImageBatch(torch.empty(0), layout)
        return ImageBatch(torch.from_numpy(np.stack([encoded.data for encoded in batch])), layout)

    def run(self, prepared: ImageBatch, effort: EffortLevel) -> list[Prediction]:
        """Classify a prepared batch; one prediction per event, in the order given to ``prepare``.

        Raises:
            EngineError: The model failed, or some event's scores are not numbers.
        """
        count = len(prepared.layout.lengths)
        if not count:
            return []
        config = self._config
        experts = min(effort.experts or config.experts_per_token, config.num_experts)
        thresholds = config.exit_thresholds
        if effort.exit_threshold is not None:
            thresholds = [effort.exit_threshold] * len(thresholds)
        try:
            with torch.inference_mode():
                output = self._network(
                    prepared.pixels,
                    prepared.layout,
                    experts_per_token=experts,
                    exit_thresholds=thresholds,
                )
                scores = output.logits.softmax(dim=1)
                sound = bool(scores.isfinite().all())
        except (RuntimeError, IndexError, ValueError) as error:
            raise EngineError(f"{self.model.name} failed on a batch of {count}: {error}") from error
        if not sound:
            raise EngineError(f"{self.model.name} returned scores that are not numbers")
        share = [config.active_share(layers, experts) for layers in range(len(thresholds) + 1)]
        return [
            Prediction(
                scores=tuple(each), active_share=share[layers], layers=layers, experts=experts
            )
            for each, layers in zip(scores.tolist(), output.layers.tolist(), strict=True)
        ]

    def _pixels(self, event: Event) -> Pixels:
        if not isinstance(event, CameraEvent):
            raise InvalidEventError(
                f"this model reads images and got a {type(event).__name__}; "
                "run events of its modality with a model trained on text"
            )
        return self._format.decode(event.image)
