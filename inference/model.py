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
from typing import TYPE_CHECKING, Any, cast

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
from inference.shape import MODEL_TYPE, EncoderShape
from inference.stages import STAGES
from inference.stem import Stem
from inference.storage import read_weights, write_weights


class SparseEncoderConfig(EncoderShape, PreTrainedConfig):  # type: ignore[misc]  # transformers is untyped for us
    """The shape as transformers reads and writes it, with what only training needs.

    Attributes:
        hidden_dropout_prob: Share of values that training drops between layers.
        initializer_range: Spread of weights before training.
        pad_token_id: The token that fills texts up where a batch is not packed.
    """

    model_type = MODEL_TYPE

    hidden_dropout_prob: float = 0.1
    initializer_range: float = 0.02
    pad_token_id: int | None = 0

    if TYPE_CHECKING:  # transformers makes it, of these fields and its own

        def __init__(self, **fields: Any) -> None: ...

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill in what follows from the shape, and refuse what cannot be built or run."""
        self.fill_in()
        PreTrainedConfig.__post_init__(self, **kwargs)
        self.check()


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
        hidden: What the last layer made of the tokens, [T, D]; likewise.
    """

    logits: Tensor
    layers: Tensor
    exits: Tensor | None = None
    hidden: Tensor | None = None


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
        return SparseEncoderOutput(logits[-1], layers, torch.stack(logits), hidden)

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


def network_class(config: EncoderShape) -> type[SparseEncoderForSequenceClassification]:
    """Return the class of a configuration's modality."""
    if config.modality == "image":
        return SparseEncoderForImageClassification
    return SparseEncoderForSequenceClassification


AutoConfig.register(SparseEncoderConfig.model_type, SparseEncoderConfig)
AutoModelForSequenceClassification.register(
    SparseEncoderConfig, SparseEncoderForSequenceClassification
)
AutoModelForImageClassification.register(SparseEncoderConfig, SparseEncoderForImageClassification)
