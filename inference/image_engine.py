"""The sparse encoder as an engine for images: camera events in, predictions out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inference.device import has_fast_bfloat16
from inference.engine import EffortLevel, Encoded, Prediction
from inference.forward import CPU, forward_of
from inference.fused_stem import PatchEmbedder
from inference.model import SparseEncoderForImageClassification
from inference.pixels import PixelFormat, Pixels
from inference.precision import Precision
from inference.serving import classify
from schemas.errors import EngineError, InvalidEventError
from schemas.events import CameraEvent, Event, Modality
from schemas.results import Model


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """A batch ready to run.

    Attributes:
        pixels: Of 0 to 255, [B, P, H, W].
    """

    pixels: Tensor


class ImageEngine:
    """Implements ``inference.engine.Engine`` for images.

    Args:
        network: The model, in evaluation mode and float32; the engine may change it.
        model: How results cite it.
        precision: A name of ``inference.precision.Precision``; ``None`` for the quickest. The
            stem runs in torch, in bfloat16 where that is quick and float32 is not asked for.
        threads: Threads that a batch is split over.
        isa: Instruction set to run on; see ``inference.forward.forward_of``.
        device: Where to run.

    Raises:
        ConfigurationError: The precision or the instruction set is none that the model runs in.
        EngineError: A weight is not finite.
    """

    modalities: frozenset[Modality] = frozenset({Modality.CAMERA})

    def __init__(
        self,
        network: SparseEncoderForImageClassification,
        model: Model,
        *,
        precision: str | None = None,
        threads: int = 1,
        isa: str | None = None,
        device: torch.device = CPU,
    ) -> None:
        config = network.config
        self.model = model
        self.labels: tuple[str, ...] = config.labels
        self.efforts = tuple(EffortLevel(**effort) for effort in config.efforts)
        self.max_tokens: int = config.max_position_embeddings
        self._config = config
        self._forward = forward_of(network, precision, threads=threads, isa=isa, device=device)
        is_whole = precision == Precision.FP32 or not has_fast_bfloat16()
        kind = torch.float32 if is_whole else torch.bfloat16
        self._embed = PatchEmbedder(network.embedding, config, kind)
        self._format = PixelFormat(config.image_height, config.image_width, config.image_channels)

    @property
    def path(self) -> str:
        """What multiplies: an instruction set of the native kernels, or ``torch``."""
        return self._forward.path

    def encode(self, events: Sequence[Event]) -> list[Encoded]:
        """Decode images and resize them; each counts as many tokens as it has patches.

        Raises:
            InvalidEventError: An event is no image, or holds none that can be decoded.
        """
        return [Encoded(tokens=self.max_tokens, data=self._pixels(event)) for event in events]

    def prepare(self, batch: Sequence[Encoded]) -> ImageBatch:
        """Stack images."""
        images = [encoded.data for encoded in batch]
        return ImageBatch(torch.from_numpy(np.stack(images)) if images else torch.empty(0))

    def run(self, prepared: ImageBatch, effort: EffortLevel) -> list[Prediction]:
        """Classify a prepared batch; one prediction per event, in the order given to ``prepare``.

        Raises:
            EngineError: The model failed, or some event's scores are not numbers.
        """
        count = len(prepared.pixels)
        if not count:
            return []
        lengths = np.full(count, self.max_tokens, np.int32)
        try:
            patches = self._embed(prepared.pixels)
        except (RuntimeError, IndexError, ValueError) as error:
            raise EngineError(f"{self.model.name} failed on a batch of {count}: {error}") from error
        return classify(self._forward, self._config, self.model, patches, lengths, effort)

    def _pixels(self, event: Event) -> Pixels:
        if not isinstance(event, CameraEvent):
            raise InvalidEventError(
                f"this model reads images and got a {type(event).__name__}; "
                "run events of its modality with a model trained on text"
            )
        return self._format.decode(event.image)
