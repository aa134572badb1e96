"""Whatever classifier transformers can load, run by transformers' own code.

Texts are sorted by length and cut into groups of nearly equal lengths, so that little is padded.
Precision is as ``inference.precision`` says, applied to the ``nn.Linear`` of the model's layers;
convolutions stay in the format between the products.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from inference.backends import Request, Source
from inference.backends.answers import failures_of, predictions
from inference.backends.choice import quickest
from inference.backends.image_engine import PaddedImageEngine, ScaledPixels, read_pixels
from inference.backends.linear import convert
from inference.backends.source import (
    identity,
    labels_of,
    longest_text,
    read_tokenizer,
    weight_files,
)
from inference.backends.text_engine import TorchTextEngine
from inference.engine import EffortLevel, Encoded, Engine, Prediction
from schemas.errors import ConfigurationError

TEXT_SUFFIX = "ForSequenceClassification"
IMAGE_SUFFIX = "ForImageClassification"
WASTE = 0.125
"""Share of padding that a group of texts may have."""
SAMPLE, SAMPLE_TOKENS = 8, 32
SPARE_TOKENS = 64
"""Padding that costs less than another call of the model."""


class TransformersBackend:
    """Runs sequence and image classifiers."""

    def accepts(self, source: Source) -> bool:
        """Say whether a directory holds a classifier of text or images."""
        return not source.is_onnx and source.architecture.endswith((TEXT_SUFFIX, IMAGE_SUFFIX))

    def load(self, source: Source, request: Request) -> Engine:
        """Load a model; see :meth:`inference.backends.Backend.load`."""
        labels = labels_of(source)
        is_text = source.architecture.endswith(TEXT_SUFFIX)
        network = load_network(source, is_text=is_text)
        config = network.config
        width = getattr(config, "hidden_size", None)
        width = width if isinstance(width, int) else 512
        precision = request.precision or quickest(width, request.device)
        layers = count_layers(config)
        if not is_text:
            pixels = read_pixels(source)
            convert(network, precision, request.device, lambda: _run_images(network, pixels))
            return PaddedImageEngine(
                network,
                pixels,
                identity(source),
                labels,
                layers=layers,
                device=request.device,
            )
        tokenizer = read_tokenizer(source, longest_text(source))
        longest = tokenizer.max_tokens
        convert(network, precision, request.device, lambda: _run_texts(network, longest))
        return PaddedTextEngine(
            network, tokenizer, identity(source), labels, layers=layers, device=request.device
        )


def load_network(source: Source, *, is_text: bool) -> Any:
    """Load a classifier in float32, from this directory's safetensors alone.

    Raises:
        ConfigurationError: transformers has no such architecture, or it brings code of its own.
    """
    from transformers import (  # noqa: PLC0415 - slow to import
        AutoModelForImageClassification,
        AutoModelForSequenceClassification,
    )
    from transformers.utils import logging as hub_logging  # noqa: PLC0415 - likewise

    weight_files(source)
    auto = AutoModelForSequenceClassification if is_text else AutoModelForImageClassification
    shows_progress = hub_logging.is_progress_bar_enabled()
    hub_logging.disable_progress_bar()
    try:
        network, told = auto.from_pretrained(
            source.path,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # whatever the library raises, it cannot be run
        raise ConfigurationError(
            f"{source.path}: transformers cannot load {source.architecture}: {error}"
        ) from error
    finally:
        if shows_progress:
            hub_logging.enable_progress_bar()
    if told["missing_keys"]:
        raise ConfigurationError(
            f"{source.path} lacks the weights {', '.join(sorted(told['missing_keys'])[:4])} of a "
            f"{source.architecture}; fine-tune it as a classifier first"
        )
    return _with_linear_layers(network.eval())


def _with_linear_layers(network: nn.Module) -> nn.Module:
    """Turn the transposed products of GPT-2 and its kin into linear layers."""
    from transformers.pytorch_utils import Conv1D  # noqa: PLC0415 - likewise

    for parent in list(network.modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, Conv1D):
                linear = nn.Linear(*module.weight.shape)
                linear.weight.data = module.weight.data.T.contiguous()
                linear.bias.data = module.bias.data
                setattr(parent, name, linear)
    return network


def _run_texts(network: Any, longest: int) -> None:
    """Run some texts of random pieces, one by one: not every model takes several."""
    config = network.config.get_text_config()
    chance = torch.Generator().manual_seed(0)
    for _ in range(SAMPLE):
        ids = torch.randint(config.vocab_size, (1, min(SAMPLE_TOKENS, longest)), generator=chance)
        if isinstance(config.eos_token_id, int):
            # Some models read a text at its end, and want one end alone.
            ids[ids == config.eos_token_id] = 0
            ids[:, -1] = config.eos_token_id
        network(input_ids=ids)


def _run_images(network: Any, pixels: ScaledPixels) -> None:
    """Run some images of noise."""
    chance = torch.Generator().manual_seed(0)
    shape = (SAMPLE, pixels.channels, pixels.height, pixels.width)
    network(pixel_values=torch.randn(shape, generator=chance))


def count_layers(config: Any) -> int:
    """Return how many layers an event runs through, as far as a configuration says."""
    depths = getattr(config, "depths", None)
    if isinstance(depths, list | tuple):
        return sum(depths)
    layers = getattr(config, "num_hidden_layers", None)
    return layers if isinstance(layers, int) else 1


@dataclass(frozen=True, slots=True)
class Group:
    """Texts that run together, padded to the longest.

    Attributes:
        places: Of its texts in the batch.
        input_ids: Padded ids, [B, L].
        mask: 1 where there is a token, [B, L].
    """

    places: list[int]
    input_ids: Tensor
    mask: Tensor


class PaddedTextEngine(TorchTextEngine[nn.Module]):
    """Runs a sequence classifier on groups of texts of nearly equal lengths."""

    @property
    def _padding(self) -> int | None:
        """The id that fills a text up, which what reads the last token of one has to know."""
        config: Any = self._network.config
        return config.pad_token_id  # type: ignore[no-any-return]

    def prepare(self, batch: Sequence[Encoded]) -> list[Group]:
        """Pad a batch in groups, shortest texts first."""
        lengths = [encoded.tokens for encoded in batch]
        cut = groups(lengths) if self._padding is not None else [[n] for n in range(len(batch))]
        return [self._group(batch, places) for places in cut]

    def run(self, prepared: list[Group], effort: EffortLevel) -> list[Prediction]:  # noqa: ARG002 - there is one
        """Classify a prepared batch; one prediction per event, in the order given to ``prepare``.

        Raises:
            EngineError: The model failed, or some event's scores are not numbers.
        """
        if not prepared:
            return []
        places = [place for group in prepared for place in group.places]
        with failures_of(self.model, len(places)):
            logits = torch.cat([self._logits(group) for group in prepared]).float().cpu()
            logits = torch.empty_like(logits).index_copy_(0, torch.tensor(places), logits)
            return predictions(logits, self._layers, self.model)

    def _group(self, batch: Sequence[Encoded], places: list[int]) -> Group:
        longest = max(batch[place].tokens for place in places)
        input_ids = torch.full((len(places), longest), self._padding or 0)
        mask = torch.zeros(len(places), longest, dtype=torch.long)
        for row, place in enumerate(places):
            tokens = batch[place].tokens
            input_ids[row, :tokens] = torch.tensor(batch[place].data)
            mask[row, :tokens] = 1
        return Group(places, input_ids, mask)

    def _logits(self, group: Group) -> Tensor:
        output = self._network(
            input_ids=group.input_ids.to(self._device), attention_mask=group.mask.to(self._device)
        )
        return output.logits  # type: ignore[no-any-return]


def groups(lengths: Sequence[int]) -> list[list[int]]:
    """Cut the places of texts, sorted by length, into groups with little padding."""
    cut: list[list[int]] = []
    tokens = 0
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[place]
        padded = length * (len(cut[-1]) + 1) if cut else 0
        if cut and padded - tokens - length <= max(WASTE * padded, SPARE_TOKENS):
            cut[-1].append(place)
            tokens += length
        else:
            cut.append([place])
            tokens = length
    return cut


BACKEND = TransformersBackend()
