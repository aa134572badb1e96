"""The sparse encoder, in reading order: configuration, attention, router, experts, block, model.

Every feed-forward layer is cut into experts of which a router picks a few per token; every layer
ends in an exit head, and an event that is confident enough leaves there while the others are
compacted.

Batches are packed: token ids of all events one after another, and ``cu_seqlens`` saying where each
begins. An image is cut into patches by a convolutional stem, and then runs as a text does, its
patches being the tokens. Shapes in comments: T tokens in the batch, B events, D width, E experts,
F neurons per expert, K experts per token, C classes, N layers; P, H and W are an image's channels,
rows and columns.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)

from inference.kernels import Layout, attention, event_means, routed_experts
from inference.stem import STAGES, Stem, halved, stem_multiply_adds, stem_parameters
from inference.storage import GROUP, KINDS, read_weights, write_weights

COUNTS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "num_experts",
    "experts_per_token",
    "max_position_embeddings",
)
IMAGE_COUNTS = ("image_height", "image_width", "stem_stages", "patch_size")
RUNG = {"name", "experts", "exit_threshold"}
"""What each entry of the ladder of efforts has."""


class SparseEncoderConfig(PreTrainedConfig):  # type: ignore[misc]  # transformers is untyped for us
    """Shape of the encoder, its exits and the ladder of efforts.

    ``num_experts=1`` is a dense encoder without routers: what a teacher is.

    Attributes:
        modality: ``text`` or ``image``: what enters.
        vocab_size: Token ids; of text only.
        max_position_embeddings: Tokens of the longest event; an image always has as many as its
            size, stem and patches make, whatever is given here.
        image_height: Rows of pixels that an image is resized to.
        image_width: Columns of pixels that an image is resized to.
        image_channels: 1 for grey images, 3 for red, green and blue.
        image_mean: Per channel, what is taken off pixels of 0 to 1.
        image_std: Per channel, what they are divided by then.
        stem_stages: Stages of ``inference.stem.STAGES`` that an image runs through first.
        patch_size: Side, in cells of the stem's feature map, of what becomes one token.
        intermediate_size: Feed-forward neurons of a layer, over all experts.
        num_experts: Experts that these neurons are cut into, in equal parts.
        experts_per_token: Experts that the router picks for each token at full effort.
        shared_expert_size: Neurons of an expert that every token runs besides those that the router
            picks; 0 for none.
        attention_window: Tokens to either side that a token attends to; ``None`` for the whole
            event.
        exit_temperatures: Per layer, what its logits are divided by to be calibrated.
        exit_thresholds: Per layer, the confidence from which an event leaves there at full effort;
            the last is never asked.
        efforts: The ladder, full effort first, each with ``name``, ``experts``, ``exit_threshold``.
        storage_bits: Bits per weight on disk, by kind of tensor; see ``inference.storage``.
        checkpoint_name: Name under which results cite the model.
        checkpoint_version: Version under which results cite the model.
    """

    model_type = "sparse_encoder"

    modality: str = "text"
    image_height: int | None = None
    image_width: int | None = None
    image_channels: int = 3
    image_mean: list[float] | None = None
    image_std: list[float] | None = None
    stem_stages: int = 4
    patch_size: int = 1
    vocab_size: int = 30522
    hidden_size: int = 384
    num_hidden_layers: int = 6
    num_attention_heads: int = 12
    intermediate_size: int = 1536
    num_experts: int = 12
    experts_per_token: int = 2
    shared_expert_size: int = 0
    attention_window: int | None = None
    max_position_embeddings: int = 128
    layer_norm_eps: float = 1e-12
    hidden_dropout_prob: float = 0.1
    initializer_range: float = 0.02
    pad_token_id: int | None = 0
    exit_temperatures: list[float] | None = None
    exit_thresholds: list[float] | None = None
    efforts: list[dict[str, Any]] | None = None
    storage_bits: dict[str, int] | None = None
    checkpoint_name: str = "unnamed"
    checkpoint_version: str = "0"

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill in what follows from the shape, and refuse what cannot be built or run."""
        if self.modality == "image":
            self._check_image()
            self.vocab_size = 1
            self.max_position_embeddings = self.grid[0] * self.grid[1]
        elif self.modality != "text":
            raise ValueError(f"modality is {self.modality!r}; it must be 'text' or 'image'")
        for field in COUNTS:
            if type(value := getattr(self, field)) is not int or value < 1:
                raise ValueError(f"{field} is {value!r}; it must be a whole number, at least 1")
        layers = self.num_hidden_layers
        self.exit_temperatures = self.exit_temperatures or [1.0] * layers
        self.exit_thresholds = self.exit_thresholds or [1.0] * layers
        self.efforts = self.efforts or [{"name": "full", "experts": None, "exit_threshold": None}]
        super().__post_init__(**kwargs)
        self._check_shape()
        self._check_exits()
        self._check_storage()

    def _check_image(self) -> None:
        for field in IMAGE_COUNTS:
            if type(value := getattr(self, field)) is not int or value < 1:
                raise ValueError(f"{field} is {value!r}; it must be a whole number, at least 1")
        if self.stem_stages > len(STAGES):
            raise ValueError(f"stem_stages is {self.stem_stages}; there are {len(STAGES)}")
        if self.image_channels not in {1, 3}:
            raise ValueError(
                f"image_channels is {self.image_channels!r}; it must be 1 (grey) or 3 (colour)"
            )
        self.image_mean = self.image_mean or [0.5] * self.image_channels
        self.image_std = self.image_std or [0.5] * self.image_channels
        for field in ("image_mean", "image_std"):
            values = getattr(self, field)
            if len(values) != self.image_channels:
                raise ValueError(
                    f"{field} has {len(values)} entries; it needs one for each of the "
                    f"{self.image_channels} channels"
                )
        if min(self.image_std) <= 0:
            raise ValueError(f"image_std is {self.image_std}; its entries must be above 0")
        cells = [halved(side, self.stem_stages) for side in self.image_size]
        if any(side % self.patch_size for side in cells):
            raise ValueError(
                f"patch_size is {self.patch_size}; it must divide the stem's feature map, "
                f"{cells[0]} x {cells[1]} for images of {self.image_height} x {self.image_width}"
            )

    def _check_shape(self) -> None:
        for field, value, unit, remedy in (
            ("hidden_size", self.hidden_size, self.num_attention_heads, "num_attention_heads"),
            ("intermediate_size", self.intermediate_size, self.num_experts, "num_experts"),
            ("hidden_size", self.hidden_size, 8, "8, which expert products need"),
            ("expert_size", self.expert_size, 8, "8, which expert products need"),
        ):
            if value % unit:
                raise ValueError(f"{field} is {value}; it must be a multiple of {remedy} ({unit})")
        window = self.attention_window
        if window is not None and (type(window) is not int or window < 1):
            raise ValueError(
                f"attention_window is {window!r}; it must be a whole number, at least 1, or null"
            )
        shared = self.shared_expert_size
        if type(shared) is not int or shared < 0 or shared % 8:
            raise ValueError(
                f"shared_expert_size is {shared!r}; it must be a whole multiple of 8, or 0 for none"
            )
        if not 1 <= self.experts_per_token <= self.num_experts:
            raise ValueError(
                f"experts_per_token is {self.experts_per_token}; it must lie between 1 and "
                f"num_experts ({self.num_experts})"
            )
        if not self.id2label or sorted(self.id2label) != list(range(len(self.id2label))):
            raise ValueError(f"id2label has {sorted(self.id2label)}; classes are numbered from 0")

    def _check_exits(self) -> None:
        for field in ("exit_temperatures", "exit_thresholds"):
            values = getattr(self, field)
            if not isinstance(values, list) or len(values) != self.num_hidden_layers:
                raise ValueError(
                    f"{field} must have one entry per layer ({self.num_hidden_layers})"
                )
            if not all(type(value) in {int, float} and value >= 0 for value in values):
                raise ValueError(f"{field} is {values}; its entries must be numbers from 0")
        if 0 in (self.exit_temperatures or ()):
            raise ValueError("exit_temperatures has a 0, by which no logit can be divided")
        rungs: Any = self.efforts
        if not isinstance(rungs, list) or any(set(rung) != RUNG for rung in rungs):
            raise ValueError(f"efforts is {rungs}; each needs {', '.join(sorted(RUNG))}")

    def _check_storage(self) -> None:
        for kind, bits in (self.storage_bits or {}).items():
            if kind not in KINDS.values() or bits not in GROUP:
                raise ValueError(
                    f"storage_bits has {kind}: {bits}; kinds are {sorted({*KINDS.values()})}, "
                    f"bits one of {sorted(GROUP)}"
                )

    @property
    def expert_size(self) -> int:
        """Neurons of one expert, F."""
        return int(self.intermediate_size // self.num_experts)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the scores."""
        return tuple(self.id2label[index] for index in range(len(self.id2label)))

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of an image as the model takes it, in pixels."""
        return int(self.image_height or 0), int(self.image_width or 0)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the patches of an image."""
        height, width = (halved(side, self.stem_stages) for side in self.image_size)
        return height // self.patch_size, width // self.patch_size

    def image_parameters(self) -> int:
        """Count the parameters of what cuts images into patches, all of which every image meets."""
        if self.modality != "image":
            return 0
        width, channels = self.hidden_size, STAGES[self.stem_stages - 1].channels
        patches = (channels * self.patch_size**2 + 1) * width
        positions_and_norm = (self.max_position_embeddings + 2) * width
        return stem_parameters(self.image_channels, self.stem_stages) + patches + positions_and_norm

    def multiply_adds(self, layers: float, experts: int, tokens: int) -> float:
        """Count the multiply-adds of one event, those of an image's stem included.

        Args:
            layers: Layers that it runs through; a mean over events will do.
            experts: Routed experts per token.
            tokens: Its length.
        """
        width, size = self.hidden_size, self.expert_size
        route = self.num_experts * width if self.num_experts > 1 else 0
        reach = tokens if self.attention_window is None else min(self.attention_window, tokens - 1)
        pairs = min(tokens * tokens, tokens * (2 * reach + 1) - reach * (reach + 1))
        feed_forward = 2 * width * (experts * size + self.shared_expert_size)
        per_token = 4 * width * width + route + feed_forward
        layer = tokens * per_token + 2 * pairs * width + width * len(self.id2label)
        if self.modality != "image":
            return layers * layer
        stem = stem_multiply_adds(self.image_size, self.image_channels, self.stem_stages)
        patches = tokens * width * self.patch_size**2 * STAGES[self.stem_stages - 1].channels
        return stem + patches + layers * layer

    def layer_parameters(self, experts: int) -> int:
        """Count the parameters of one layer and its exit that a token meets.

        Args:
            experts: Routed experts per token.
        """
        width, size, classes = self.hidden_size, self.expert_size, len(self.id2label)
        attend = 4 * (width * width + width)
        route = self.num_experts * (width + 1) if self.num_experts > 1 else 0
        norms_and_bias = 5 * width
        leave = (width + 1) * classes
        neurons = experts * size + self.shared_expert_size
        return attend + route + norms_and_bias + leave + neurons * (2 * width + 1)

    def active_share(self, layers: float, experts: int) -> float:
        """Share of the encoder's parameters that each token of an event met.

        Token embeddings are left out of both; an image's stem counts in both, as all of it runs.

        Args:
            layers: Layers that the event ran through; a mean over events will do.
            experts: Routed experts per token.
        """
        stem = self.image_parameters()
        whole = stem + self.num_hidden_layers * self.layer_parameters(self.num_experts)
        return (stem + layers * self.layer_parameters(experts)) / whole


class TextEmbedding(nn.Module):
    """Token and position embeddings: how text enters; another modality has another embedding."""

    def __init__(self, config: SparseEncoderConfig) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Tensor, layout: Layout) -> Tensor:
        """Embed ids [T] as [T, D]."""
        hidden = self.tokens(input_ids) + self.positions(layout.positions())  # [T, D]
        return self.dropout(self.norm(hidden))  # type: ignore[no-any-return]


class ImageEmbedding(nn.Module):
    """Convolutional stem, patches and their positions: how images enter."""

    def __init__(self, config: SparseEncoderConfig) -> None:
        super().__init__()
        channels, patch = STAGES[config.stem_stages - 1].channels, config.patch_size
        self.mean, self.std = config.image_mean, config.image_std
        self.stem = Stem(config.image_channels, config.stem_stages)
        self.patches = nn.Conv2d(channels, config.hidden_size, patch, stride=patch)
        self.positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, pixels: Tensor, layout: Layout) -> Tensor:
        """Embed images [B, P, H, W] of values 0 to 255 as [T, D]."""
        kind = self.patches.weight.dtype
        mean, std = (
            torch.tensor(each, device=pixels.device).mul(255)[:, None, None]
            for each in (self.mean, self.std)
        )
        pixels = ((pixels - mean) / std).to(kind, memory_format=torch.channels_last)
        maps = self.patches(self.stem(pixels))  # [B, D, rows, columns]
        hidden = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])
        hidden = F.pad(hidden, (0, 0, 0, layout.padding)) + self.positions(layout.positions())
        return self.dropout(self.norm(hidden))  # type: ignore[no-any-return]


class SelfAttention(nn.Module):
    """Attention within each event; queries, keys and values in one product."""

    def __init__(self, config: SparseEncoderConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.window = config.attention_window
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.out = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor, layout: Layout) -> Tensor:
        """Mix [T, D] within events."""
        return self.out(attention(self.qkv(hidden), layout, self.heads, self.window))  # type: ignore[no-any-return]


class Router(nn.Module):
    """Picks each token's experts.

    A gate depends on its own expert alone, so that a token which is given fewer experts gets the
    first terms of the same sum.
    """

    def __init__(self, config: SparseEncoderConfig) -> None:
        super().__init__()
        self.score = nn.Linear(config.hidden_size, config.num_experts)
        self.load: Tensor | None = None
        """While training: how far the last batch's load was from even (1 is even)."""

    def forward(self, hidden: Tensor, experts: int) -> tuple[Tensor, Tensor]:
        """Return the numbers and the gates of K experts for each token, both [T, K]."""
        scores = self.score(hidden).float()  # [T, E]
        top, chosen = scores.topk(experts, dim=1, sorted=True)  # [T, K]
        if self.training:
            used = F.one_hot(chosen, scores.shape[1]).sum(1).float().mean(0) / experts  # [E]
            self.load = scores.shape[1] * (used * scores.softmax(dim=1).mean(0)).sum()
        # In double: float32's last bit depends on a token's place in the batch.
        return chosen, (2 * top.double().sigmoid()).float()


class Experts(nn.Module):
    """The feed-forward neurons of one layer, cut into experts."""

    def __init__(self, config: SparseEncoderConfig) -> None:
        super().__init__()
        experts, width, size = config.num_experts, config.hidden_size, config.expert_size
        self.up = nn.Parameter(torch.empty(experts, width, size))  # [E, D, F]
        self.up_bias = nn.Parameter(torch.zeros(experts, size))  # [E, F]
        self.down = nn.Parameter(torch.empty(experts, size, width))  # [E, F, D]
        self.down_bias = nn.Parameter(torch.zeros(width))  # [D]

    def forward(self, hidden: Tensor, chosen: Tensor, gates: Tensor) -> Tensor:
        """Send [T, D] through the chosen experts, [T, K]."""
        return (
            routed_experts(hidden, chosen, gates, self.up, self.up_bias, self.down) + self.down_bias
        )

    def dense(self, hidden: Tensor) -> Tensor:
        """Send [T, D] through the only expert."""
        inner = F.gelu(F.linear(hidden, self.up[0].T, self.up_bias[0]))  # [T, F]
        return F.linear(inner, self.down[0].T, self.down_bias)


class SharedExpert(nn.Module):
    """Feed-forward neurons that every token runs, as in DeepSeekMoE (Dai et al., 2024)."""

    def __init__(self, config: SparseEncoderConfig) -> None:
        super().__init__()
        width, size = config.hidden_size, config.shared_expert_size
        self.up = nn.Parameter(torch.empty(width, size))  # [D, S]
        self.up_bias = nn.Parameter(torch.zeros(size))  # [S]
        self.down = nn.Parameter(torch.empty(size, width))  # [S, D]

    def forward(self, hidden: Tensor) -> Tensor:
        """Transform [T, D]."""
        return F.linear(F.gelu(F.linear(hidden, self.up.T, self.up_bias)), self.down.T)


class FeedForward(nn.Module):
    """Router and experts; a plain feed-forward layer where there is one expert."""

    def __init__(self, config: SparseEncoderConfig) -> None:
        super().__init__()
        self.router = Router(config) if config.num_experts > 1 else None
        self.experts = Experts(config)
        self.shared = SharedExpert(config) if config.shared_expert_size else None

    def forward(self, hidden: Tensor, experts: int) -> Tensor:
        """Transform [T, D] with ``experts`` experts per token."""
        if self.router is None:
            added = self.experts.dense(hidden)
        else:
            added = self.experts(hidden, *self.router(hidden, experts))
        return added if self.shared is None else added + self.shared(hidden)


class Block(nn.Module):
    """One layer: attention, then experts, each added and normalised."""

    def __init__(self, config: SparseEncoderConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden: Tensor, layout: Layout, experts: int) -> Tensor:
        """Transform [T, D]."""
        hidden = self.attention_norm(hidden + self.dropout(self.attention(hidden, layout)))
        return self.feed_forward_norm(  # type: ignore[no-any-return]
            hidden + self.dropout(self.feed_forward(hidden, experts))
        )


class Exit(nn.Module):
    """Classifies an event from the mean of its tokens."""

    def __init__(self, config: SparseEncoderConfig, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classify = nn.Linear(config.hidden_size, len(config.id2label))

    def forward(self, hidden: Tensor, layout: Layout) -> Tensor:
        """Return calibrated logits of each event, [B, C]."""
        mean = self.dropout(event_means(hidden, layout))  # [B + …, D]
        logits = self.classify(mean)[: len(layout.lengths)]  # [B, C]
        return logits.float() / self.temperature  # type: ignore[no-any-return]


@dataclass(frozen=True)
class SparseEncoderOutput:
    """What the model says of a batch.

    Attributes:
        logits: Calibrated logits of the exit that each event took, [B, C].
        layers: Layers that each event ran through, [B].
        exits: Calibrated logits of every exit, [N, B, C]; ``None`` where events left early.
    """

    logits: Tensor
    layers: Tensor
    exits: Tensor | None = None


class SparseEncoderForSequenceClassification(PreTrainedModel):  # type: ignore[misc]  # likewise
    """The encoder with an exit after every layer."""

    config_class = SparseEncoderConfig
    base_model_prefix = "encoder"

    def __init__(self, config: SparseEncoderConfig) -> None:
        super().__init__(config)
        embedding = ImageEmbedding if config.modality == "image" else TextEmbedding
        self.embedding: Any = embedding(config)
        blocks = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        exits = nn.ModuleList(Exit(config, warmth) for warmth in config.exit_temperatures or ())
        self.blocks = cast("Sequence[Block]", blocks)
        self.exits = cast("Sequence[Exit]", exits)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Start experts as transformers starts linear layers."""
        super()._init_weights(module)
        if isinstance(module, (Experts, SharedExpert)):
            for weight in (module.up, module.down):
                nn.init.normal_(weight, std=self.config.initializer_range)

    def forward(
        self,
        input_ids: Tensor,
        cu_seqlens: Tensor | Layout,
        *,
        experts_per_token: int | None = None,
        exit_thresholds: Sequence[float] | None = None,
    ) -> SparseEncoderOutput:
        """Classify a packed batch.

        Args:
            input_ids: Token ids of all events, one after another, [T].
            cu_seqlens: Where each event begins, and T, [B + 1]; or the layout made of it.
            experts_per_token: Routed experts; ``None`` for the configuration's own number.
            exit_thresholds: Confidence per layer from which an event leaves, N numbers; ``None``
                runs every layer and returns the logits of every exit.
        """
        layout = cu_seqlens if isinstance(cu_seqlens, Layout) else Layout.of(cu_seqlens)
        experts = experts_per_token or self.config.experts_per_token
        hidden = self.embedding(input_ids, layout)  # [T, D]
        if exit_thresholds is None:
            return self._run_all(hidden, layout, experts)
        return self.run_until_confident(hidden, layout, experts, exit_thresholds)

    def _run_all(self, hidden: Tensor, layout: Layout, experts: int) -> SparseEncoderOutput:
        """Run every layer on every event."""
        logits = []
        for block, leave in zip(self.blocks, self.exits, strict=True):
            hidden = block(hidden, layout, experts)  # [T, D]
            logits.append(leave(hidden, layout))  # [B, C]
        layers = torch.full((len(layout.lengths),), len(self.blocks))
        return SparseEncoderOutput(logits[-1], layers, torch.stack(logits))

    def run_until_confident(
        self, hidden: Tensor, layout: Layout, experts: int, thresholds: Sequence[float]
    ) -> SparseEncoderOutput:
        """Run each event until an exit is confident of it; compact the batch as events leave.

        Args:
            hidden: Embedded tokens, [T, D].
            layout: Where the events lie.
            experts: Routed experts per token.
            thresholds: Confidence per layer from which an event leaves, N numbers.
        """
        events = torch.arange(len(layout.lengths))  # the events still here, by place in the batch
        answers = hidden.new_empty((len(events), len(self.config.id2label)), dtype=torch.float32)
        layers = torch.full_like(events, len(self.blocks))
        last = len(self.blocks) - 1
        for number, (block, leave) in enumerate(zip(self.blocks, self.exits, strict=True)):
            hidden = block(hidden, layout, experts)  # [T, D]
            logits = leave(hidden, layout)  # [B, C]
            answers[events] = logits  # a later exit overwrites an earlier one's
            if number == last:
                break
            staying = logits.softmax(dim=1).amax(dim=1) < thresholds[number]  # [B]
            layers[events[~staying]] = number + 1
            events = events[staying]
            if not len(events):
                break
            if len(events) < len(staying):
                layout, rows = layout.keep(staying)
                hidden = hidden.index_select(0, rows)
        return SparseEncoderOutput(answers, layers)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *args: Any,
        config: SparseEncoderConfig | None = None,
        **kwargs: Any,
    ) -> "SparseEncoderForSequenceClassification":
        """Load a checkpoint directory, restoring weights that are stored in few bits."""
        config = config or SparseEncoderConfig.from_pretrained(pretrained_model_name_or_path)
        weights = read_weights(pretrained_model_name_or_path, config.storage_bits)
        return super().from_pretrained(  # type: ignore[no-any-return]
            None, *args, config=config, state_dict=weights, **kwargs
        )

    def save_pretrained(self, save_directory: str | os.PathLike[str], **_: Any) -> None:
        """Write ``config.json`` and ``model.safetensors``, in as few bits as the config says."""
        self.config.architectures = [type(self).__name__]
        self.config.save_pretrained(save_directory)
        write_weights(save_directory, self.state_dict(), self.config.storage_bits)


class SparseEncoderForImageClassification(SparseEncoderForSequenceClassification):
    """The same encoder, called with a batch of images."""

    main_input_name = "pixel_values"

    def forward(
        self,
        pixel_values: Tensor,
        cu_seqlens: Tensor | Layout | None = None,
        *,
        experts_per_token: int | None = None,
        exit_thresholds: Sequence[float] | None = None,
    ) -> SparseEncoderOutput:
        """Classify a batch of images.

        Args:
            pixel_values: Pixels of 0 to 255, of the size that the configuration names,
                [B, P, H, W].
            cu_seqlens: Where each image's patches begin, if not simply one image after another.
            experts_per_token: As of ``SparseEncoderForSequenceClassification``.
            exit_thresholds: Likewise.

        Raises:
            ValueError: The images are of another size.
        """
        wanted = (self.config.image_channels, *self.config.image_size)
        if pixel_values.shape[1:] != wanted:
            raise ValueError(
                f"images are {tuple(pixel_values.shape[1:])}; this model takes {wanted}, so "
                "resize them first"
            )
        if cu_seqlens is None:
            cu_seqlens = Layout((self.config.max_position_embeddings,) * len(pixel_values))
        return super().forward(
            pixel_values,
            cu_seqlens,
            experts_per_token=experts_per_token,
            exit_thresholds=exit_thresholds,
        )


AutoConfig.register(SparseEncoderConfig.model_type, SparseEncoderConfig)
AutoModelForSequenceClassification.register(
    SparseEncoderConfig, SparseEncoderForSequenceClassification
)
AutoModelForImageClassification.register(SparseEncoderConfig, SparseEncoderForImageClassification)
