"""What a checkpoint's configuration says, checked and counted, without torch.

Serving on the native kernels needs no more than this; ``inference.model`` makes of it what
transformers reads and writes.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from inference.stages import STAGES, halved
from inference.weights import GROUP, KINDS

MODEL_TYPE = "sparse_encoder"
"""What ``config.json`` calls this kind of model."""
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
NAMED = 4
"""Weights that a message names."""
RUNG = {"name", "experts", "exit_threshold"}
"""What each entry of the ladder of efforts has."""


@dataclasses.dataclass(kw_only=True)
class EncoderShape:
    """Shape of the encoder, its exits and the ladder of efforts.

    ``num_experts=1`` is a dense encoder without routers: what a teacher is. Fields are those of a
    checkpoint's ``config.json``.

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
        stem_stages: Stages of ``inference.stages.STAGES`` that an image runs through first.
        patch_size: Side, in cells of the stem's feature map, of what becomes one token.
        intermediate_size: Feed-forward neurons of a layer, over all experts.
        num_experts: Experts that these neurons are cut into, in equal parts.
        experts_per_token: Experts that the router picks for each token at full effort.
        shared_expert_size: Neurons of an expert that every token runs besides those that the router
            picks; 0 for none.
        attention_window: Tokens to either side that a token attends to; ``None`` for the whole
            event.
        id2label: Names of the classes by their numbers, from 0; ``None`` for two without names.
        exit_temperatures: Per layer, what its logits are divided by to be calibrated.
        exit_thresholds: Per layer, the confidence from which an event leaves there at full effort;
            the last is never asked.
        efforts: The ladder, full effort first, each with ``name``, ``experts``, ``exit_threshold``.
        storage_bits: Bits per weight on disk, by kind of tensor; see ``inference.weights``.
        checkpoint_name: Name under which results cite the model.
        checkpoint_version: Version under which results cite the model.

    Raises:
        ValueError: The shape cannot be built or run.
        TypeError: ``id2label`` is no object.
    """

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
    id2label: Any = None  # numbers to names, once checked; of JSON, texts to names
    exit_temperatures: list[float] | None = None
    exit_thresholds: list[float] | None = None
    efforts: list[dict[str, Any]] | None = None
    storage_bits: dict[str, int] | None = None
    checkpoint_name: str = "unnamed"
    checkpoint_version: str = "0"

    def __post_init__(self) -> None:
        """Fill in what follows from the shape, and refuse what cannot be built or run."""
        self.fill_in()
        self.id2label = _named(self.id2label)
        self.check()

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "EncoderShape":
        """Read the shape from the fields of a ``config.json``; what it does not know, it leaves.

        Raises:
            ValueError: The shape cannot be built or run.
        """
        known = {each.name for each in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in fields.items() if name in known})

    def fill_in(self) -> None:
        """Set what is left out and follows from the rest.

        Raises:
            ValueError: A count is none, or images cannot be cut as it says.
        """
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

    def check(self) -> None:
        """Refuse what does not fit together.

        Raises:
            ValueError: It does not.
        """
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

    def text_weights(self) -> dict[str, tuple[int, ...]]:
        """Return the names and shapes of all weights of a model of text."""
        width, size, classes = self.hidden_size, self.expert_size, len(self.labels)
        found: dict[str, tuple[int, ...]] = {
            "embedding.tokens.weight": (self.vocab_size, width),
            "embedding.positions.weight": (self.max_position_embeddings, width),
            "embedding.norm.weight": (width,),
            "embedding.norm.bias": (width,),
        }
        for number in range(self.num_hidden_layers):
            layer = {
                "attention.qkv.weight": (3 * width, width),
                "attention.qkv.bias": (3 * width,),
                "attention.out.weight": (width, width),
                "attention.out.bias": (width,),
                "attention_norm.weight": (width,),
                "attention_norm.bias": (width,),
                "feed_forward.experts.up": (self.num_experts, width, size),
                "feed_forward.experts.up_bias": (self.num_experts, size),
                "feed_forward.experts.down": (self.num_experts, size, width),
                "feed_forward.experts.down_bias": (width,),
                "feed_forward_norm.weight": (width,),
                "feed_forward_norm.bias": (width,),
            }
            if self.num_experts > 1:
                layer["feed_forward.router.score.weight"] = (self.num_experts, width)
                layer["feed_forward.router.score.bias"] = (self.num_experts,)
            if shared := self.shared_expert_size:
                layer["feed_forward.shared.up"] = (width, shared)
                layer["feed_forward.shared.up_bias"] = (shared,)
                layer["feed_forward.shared.down"] = (shared, width)
            found |= {f"blocks.{number}.{name}": each for name, each in layer.items()}
            found[f"exits.{number}.classify.weight"] = (classes, width)
            found[f"exits.{number}.classify.bias"] = (classes,)
        return found

    def misfit(self, shapes: Mapping[str, tuple[int, ...]]) -> str | None:
        """Say in what the weights of a model of text are not those of this shape.

        Args:
            shapes: Of the weights, by name.
        """
        wanted = self.text_weights()
        if missing := sorted(wanted.keys() - shapes.keys()):
            return f"{', '.join(missing[:NAMED])} missing"
        if unknown := sorted(shapes.keys() - wanted.keys()):
            return f"{', '.join(unknown[:NAMED])} not of this model"
        wrong = [name for name, shape in wanted.items() if tuple(shapes[name]) != shape]
        return ", ".join(f"{n} is {shapes[n]}, not {wanted[n]}" for n in wrong[:NAMED]) or None

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
        from inference.stem import stem_parameters  # noqa: PLC0415 - torch, for images alone

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
        from inference.stem import stem_multiply_adds  # noqa: PLC0415 - likewise

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


def _named(id2label: Any) -> dict[int, str]:
    """Return labels by number: of JSON, whose keys are text, or as transformers calls two."""
    if id2label is None:
        return {number: f"LABEL_{number}" for number in range(2)}
    if not isinstance(id2label, Mapping):
        raise TypeError(f"id2label is {id2label!r}; it must be an object of labels by number")
    return {int(number): label for number, label in id2label.items()}
