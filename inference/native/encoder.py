"""The sparse encoder's forward pass in one native call per batch.

``ctypes`` lets go of the interpreter while the call runs, so the event loop of the same process is
not held up by it.
"""

import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ctypes import byref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inference.log import Log
from inference.native.binding import (
    STAGES,
    Batch,
    Format,
    can,
    instruction_sets,
    shared_library,
)
from inference.native.laid_out import NativeModel, Stretch, Weights
from inference.shape import EncoderShape
from schemas.errors import ConfigurationError, EngineError

if TYPE_CHECKING:  # torch is for those who come with a network of it
    from torch import Tensor

    from inference.model import SparseEncoderForSequenceClassification

log = Log(__name__)

WIDTH_UNIT = 16
HEAD_UNIT = 8
MOST_HEAD = 256
MOST_EXPERTS = 256
NEVER = 2.0
"""A confidence that no exit reaches."""
FAILURES = {
    -1: "out of memory",
    -2: "a token id is not in the vocabulary",
    -3: "an event is longer than the model has positions",
    -4: "an event's scores are not numbers",
}
NOT_FINITE = -4


@dataclass(frozen=True, slots=True)
class Counters:
    """What runs have cost since the encoder was built.

    Attributes:
        seconds: By stage, summed over threads.
        multiply_adds: Of the large products.
        scratch_bytes: Memory held for running, beside the weights.
    """

    seconds: dict[str, float]
    multiply_adds: float
    scratch_bytes: int


def is_supported(config: EncoderShape) -> bool:
    """Say whether the kernels are there and take a model of this shape."""
    head = config.hidden_size // config.num_attention_heads
    return (
        bool(instruction_sets())
        and config.hidden_size % WIDTH_UNIT == 0
        and head % HEAD_UNIT == 0
        and head <= MOST_HEAD
        and config.num_experts <= MOST_EXPERTS
    )


class NotFiniteError(EngineError):
    """Some event's scores are not numbers."""


class NativeEncoder:
    """A model laid out for this processor; made by :meth:`build`.

    Not for several callers at once: each thread of its own has one scratch memory.
    """

    def __init__(self, config: EncoderShape, isa: str, model: NativeModel, threads: int) -> None:
        self.isa = self.path = isa
        self.format = model.format
        self.attention_format = model.attention_format
        self.classes = len(config.labels)
        self._layers = config.num_hidden_layers
        self._width = config.hidden_size
        self._kernels: Any = shared_library()
        self._model = model
        self._spaces: list[int] = []
        self._pool: ThreadPoolExecutor | None = None
        self._start(threads)

    @classmethod
    def build(
        cls,
        network: "SparseEncoderForSequenceClassification",
        precision: str,
        threads: int = 1,
        isa: str | None = None,
        *,
        attention: str | None = None,
        stretch: Stretch | None = None,
    ) -> "NativeEncoder":
        """Lay a network of torch out for this processor; see :meth:`of_weights`.

        Args:
            network: With weights in float32. It is not needed afterwards.
            precision: As of :meth:`of_weights`, and so the others.
            threads: Likewise.
            isa: Likewise.
            attention: Likewise.
            stretch: Likewise.
        """
        weights = {name: _rows(each) for name, each in network.state_dict().items()}
        return cls.of_weights(
            network.config, weights, precision, threads, isa, attention=attention, stretch=stretch
        )

    @classmethod
    def of_weights(
        cls,
        config: EncoderShape,
        weights: Weights,
        precision: str,
        threads: int = 1,
        isa: str | None = None,
        *,
        attention: str | None = None,
        stretch: Stretch | None = None,
    ) -> "NativeEncoder":
        """Lay a model's weights out for this processor.

        Args:
            config: Its shape.
            weights: All that the shape has, in float32. Of these, embeddings are kept and read
                where they lie.
            precision: ``fp32``, ``bf16`` or ``int8``; see ``inference.precision.Precision``.
            threads: Parts that a batch's events are split into, each run by its own thread.
            isa: One of ``inference.native.binding.instruction_sets``; ``None`` for the best.
            attention: Precision of attention's products, where it is another.
            stretch: Per layer, what the weights of each input channel are multiplied with, and the
                inputs divided by: of attention's first products, [D], and of the feed-forward
                ones, [D]. Evens out channels before they are rounded.

        Raises:
            ConfigurationError: There are no kernels for this shape, precision or ``isa``.
            EngineError: A weight is not finite.
        """
        if not is_supported(config):
            raise ConfigurationError(
                f"hidden_size {config.hidden_size} with {config.num_attention_heads} heads: the "
                f"native kernels are missing or need a width in {WIDTH_UNIT}s and heads in "
                f"{HEAD_UNIT}s; run the model in torch"
            )
        formats = _format_of(precision), _format_of(attention or precision)
        able = [each for each in instruction_sets() if all(can(one, each) for one in formats)]
        if isa not in {None, *able}:
            raise ConfigurationError(
                f"isa is {isa!r}; for {precision} this processor has {', '.join(able)}"
            )
        isa = isa or able[0]
        model = NativeModel(config, weights, isa, *formats, stretch=stretch)
        encoder = cls(config, isa, model, threads)
        log.info(
            "native_encoder",
            isa=encoder.isa,
            feed_forward=precision,
            attention=attention or precision,
            threads=threads,
        )
        return encoder

    def run(
        self,
        tokens: NDArray[np.int32] | NDArray[np.float32],
        lengths: NDArray[np.int32],
        experts_per_token: int,
        exit_thresholds: Sequence[float],
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Classify a packed batch.

        Args:
            tokens: Token ids of all events, one after another, [T]; or their embeddings, [T, D].
            lengths: Tokens of each event, [B]; none is zero.
            experts_per_token: Routed experts.
            exit_thresholds: Confidence per layer from which an event leaves.

        Returns:
            Calibrated probabilities, [B, C]; layers that each event ran through, [B].

        Raises:
            NotFiniteError: An event's scores are not numbers.
            EngineError: A token or an event is none that the model has room for.
        """
        return self._run(tokens, lengths, experts_per_token, exit_thresholds, None)

    def first_tokens(
        self, tokens: NDArray[np.int32], lengths: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Run every layer on a packed batch of a dense model.

        Args:
            tokens: Token ids of all events, one after another, [T].
            lengths: Tokens of each event, [B]; none is zero.

        Returns:
            What the last layer makes of each event's first token, [B, D].

        Raises:
            EngineError: As :meth:`run`.
        """
        first = np.empty((len(lengths), self._width), np.float32)
        self._run(tokens, lengths, 1, [NEVER] * self._layers, first)
        return first

    def _run(
        self,
        tokens: NDArray[np.int32] | NDArray[np.float32],
        lengths: NDArray[np.int32],
        experts_per_token: int,
        exit_thresholds: Sequence[float],
        first: NDArray[np.float32] | None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        tokens = tokens if tokens.flags.c_contiguous else tokens.copy()
        lengths = np.ascontiguousarray(lengths, np.int32)
        thresholds = np.asarray(exit_thresholds, np.float32)
        self._check(tokens, lengths, thresholds)
        probabilities = np.empty((len(lengths), self.classes), np.float32)
        layers = np.empty(len(lengths), np.int32)
        parts = self._parts(lengths)

        def run_part(space: int, events: slice, rows: slice) -> int:
            part, its_tokens = lengths[events], tokens[rows]
            is_ids = tokens.ndim == 1
            batch = Batch(
                ids=its_tokens.ctypes.data if is_ids else None,
                embedded=None if is_ids else its_tokens.ctypes.data,
                lengths=part.ctypes.data,
                events=len(part),
                experts=experts_per_token,
                thresholds=thresholds.ctypes.data,
                probabilities=probabilities[events].ctypes.data,
                first=None if first is None else first[events].ctypes.data,
                left_after=layers[events].ctypes.data,
            )
            status: int = self._kernels.headrace_run(self._model.address, space, byref(batch))
            return status

        if self._pool is None or len(parts) == 1:
            states = [run_part(self._spaces[0], *part) for part in parts]
        else:
            pairs = zip(self._spaces, parts, strict=False)
            waiting = [self._pool.submit(run_part, space, *part) for space, part in pairs]
            states = [each.result() for each in waiting]
        if worst := min(states, default=0):
            kind = NotFiniteError if worst == NOT_FINITE else EngineError
            raise kind(FAILURES.get(worst, f"native error {worst}"))
        return probabilities, layers

    def counters(self) -> Counters:
        """Return what runs have cost so far."""
        total = np.zeros(len(STAGES) + 2)
        for space in self._spaces:
            each = np.zeros_like(total)
            self._kernels.headrace_counters(space, each.ctypes.data)
            total += each
        seconds = dict(zip(STAGES, total.tolist(), strict=False))
        return Counters(seconds, float(total[-2]), int(total[-1]))

    def _check(
        self, tokens: NDArray[Any], lengths: NDArray[np.int32], thresholds: NDArray[np.float32]
    ) -> None:
        wanted = np.int32 if tokens.ndim == 1 else np.float32
        if tokens.dtype != wanted or (tokens.ndim > 1 and tokens.shape[1:] != (self._width,)):
            raise EngineError(
                f"tokens are {tokens.dtype} {tokens.shape}; give int32 ids [T] or float32 "
                f"embeddings [T, {self._width}]"
            )
        if (len(lengths) and lengths.min() < 1) or int(lengths.sum()) != len(tokens):
            raise EngineError(
                f"{len(tokens)} tokens and lengths that sum to {int(lengths.sum())}; each event "
                "has at least one token"
            )
        if len(thresholds) != self._layers:
            raise EngineError(f"{len(thresholds)} exit thresholds; there are {self._layers} layers")

    def _parts(self, lengths: NDArray[np.int32]) -> list[tuple[slice, slice]]:
        """Split events into as many parts as there are threads, of about equally many tokens."""
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        count = len(self._spaces)
        bounds = [0, *(int(np.searchsorted(ends, total * n / count)) for n in range(1, count))]
        pairs = zip(bounds, [*bounds[1:], len(lengths)], strict=True)
        rows = [0, *ends.tolist()]
        return [
            (slice(start, end), slice(rows[start], rows[end]))
            for start, end in pairs
            if end > start
        ]

    def _start(self, threads: int) -> None:
        for _ in range(threads):
            space = self._kernels.headrace_new_workspace()
            if not space:
                raise EngineError(f"no memory for the scratch memory of {threads} threads")
            weakref.finalize(self, self._kernels.headrace_free_workspace, space)
            self._spaces.append(space)
        if threads > 1:
            self._pool = ThreadPoolExecutor(threads, thread_name_prefix="native-encoder")
            weakref.finalize(self, self._pool.shutdown, wait=False)


def _rows(values: "Tensor") -> NDArray[np.float32]:
    """Return a tensor as an array of float32, without copying where it already is."""
    array: NDArray[np.float32] = values.detach().float().cpu().numpy()
    return array


def _format_of(precision: str) -> Format:
    if precision.upper() not in Format.__members__:
        known = ", ".join(each.name.lower() for each in Format)
        raise ConfigurationError(f"precision is {precision!r}; native kernels have {known}")
    return Format[precision.upper()]
