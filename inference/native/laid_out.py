"""A model's weights, laid out for this processor in memory of the kernels."""

import weakref
from collections.abc import Mapping, Sequence
from ctypes import byref, c_void_p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.native.binding import Format, Matrix, Shape, Vector, shared_library
from inference.native.rounding import quantise_channels, rounded_to_bfloat16
from inference.shape import EncoderShape
from schemas.errors import EngineError

WHOLE = {Matrix.ROUTER, Matrix.EXIT}
"""Matrices that stay in float32 in every format."""
ATTENTION = {Matrix.QKV, Matrix.OUT}

Weights = Mapping[str, NDArray[Any]]
"""Arrays by the names that a network's parameters have."""
Stretch = Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Per layer, [D] of attention's first products and [D] of the feed-forward ones."""


class NativeModel:
    """A model that the kernels can run.

    Args:
        config: Its shape.
        weights: All that the shape has, in float32. Of these, embeddings are kept and read where
            they lie.
        isa: The instruction set to lay it out for.
        number_format: Of the large products.
        attention_format: Of attention's.
        stretch: Per layer, what the weights of each input channel are multiplied with, and the
            inputs divided by.

    Attributes:
        address: Where it lies, for the kernels.

    Raises:
        EngineError: A weight is not finite, or there is no memory.
    """

    def __init__(
        self,
        config: EncoderShape,
        weights: Weights,
        isa: str,
        number_format: Format,
        attention_format: Format,
        *,
        stretch: Stretch | None,
    ) -> None:
        self.format = number_format
        self.attention_format = attention_format
        self._stretch = stretch
        self._kept: list[NDArray[Any]] = []
        kernels: Any = shared_library()
        self._kernels = kernels
        shape = _shape_of(config)
        self.address: int = kernels.headrace_new_model(byref(shape), isa.encode(), number_format)
        if not self.address:
            raise EngineError(f"no memory for a model of {config.num_hidden_layers} layers")
        weakref.finalize(self, kernels.headrace_free_model, self.address)
        kernels.headrace_set_attention_format(self.address, attention_format)
        self._fill(config, weights)

    def _fill(self, config: EncoderShape, weights: Weights) -> None:
        if config.modality == "text":
            # The tables are not copied: the kernels read them where they lie.
            tables = [
                _floats(weights["embedding.tokens.weight"]),
                _floats(weights["embedding.positions.weight"]),
                _finite(weights["embedding.norm.weight"], "embedding.norm"),
                _finite(weights["embedding.norm.bias"], "embedding.norm"),
            ]
            self._kept += tables
            self._need(self._kernels.headrace_set_embedding(self.address, *map(_address, tables)))
        for number, temperature in enumerate(config.exit_temperatures or ()):
            self._fill_layer(number, weights)
            leave = f"exits.{number}.classify"
            self._set(number, Matrix.EXIT, weights[f"{leave}.weight"], weights[f"{leave}.bias"])
            self._kernels.headrace_set_temperature(self.address, number, temperature)

    def _fill_layer(self, number: int, weights: Weights) -> None:
        def its(name: str) -> NDArray[Any]:
            return weights[f"blocks.{number}.{name}"]

        into_qkv, into_up = self._stretch[number] if self._stretch else (None, None)
        qkv = _stretched(its("attention.qkv.weight"), into_qkv)
        self._set(number, Matrix.QKV, qkv, its("attention.qkv.bias"))
        self._set(number, Matrix.OUT, its("attention.out.weight"), its("attention.out.bias"))
        score = "feed_forward.router.score"
        if f"blocks.{number}.{score}.weight" in weights:
            self._set(number, Matrix.ROUTER, its(f"{score}.weight"), its(f"{score}.bias"))
        ups, biases, downs = (
            its(f"feed_forward.experts.{name}") for name in ("up", "up_bias", "down")
        )
        for expert, (up, bias, down) in enumerate(zip(ups, biases, downs, strict=True)):
            self._set(number, Matrix.UP, _stretched(up.T, into_up), bias, expert)
            self._set(number, Matrix.DOWN, down.T, None, expert)
        shared = "feed_forward.shared"
        if f"blocks.{number}.{shared}.up" in weights:
            shared_up = _stretched(its(f"{shared}.up").T, into_up)
            self._set(number, Matrix.SHARED_UP, shared_up, its(f"{shared}.up_bias"))
            self._set(number, Matrix.SHARED_DOWN, its(f"{shared}.down").T, None)
        if into_qkv is not None and into_up is not None:
            self._set_vector(number, Vector.QKV_SHRINK, 1 / into_qkv)
            self._set_vector(number, Vector.UP_SHRINK, 1 / into_up)
        for vector, name in (
            (Vector.ATTENTION_GAIN, "attention_norm.weight"),
            (Vector.ATTENTION_SHIFT, "attention_norm.bias"),
            (Vector.OUTPUT_GAIN, "feed_forward_norm.weight"),
            (Vector.OUTPUT_SHIFT, "feed_forward_norm.bias"),
            (Vector.DOWN_BIAS, "feed_forward.experts.down_bias"),
        ):
            self._set_vector(number, vector, its(name))

    def _set_vector(self, layer: int, vector: Vector, values: NDArray[Any]) -> None:
        data = _finite(values, f"layer {layer} {vector.name.lower()}")
        self._need(self._kernels.headrace_set_vector(self.address, layer, vector, _address(data)))

    def _set(
        self,
        layer: int,
        part: Matrix,
        weight: NDArray[Any],
        bias: NDArray[Any] | None,
        expert: int = 0,
    ) -> None:
        """Hand a matrix over, [N, K], rounded to the format."""
        name = f"layer {layer} {part.name.lower()}"
        values: NDArray[Any] = _finite(weight, name)
        scale = None
        chosen = self.attention_format if part in ATTENTION else self.format
        if part not in WHOLE and chosen is Format.BF16:
            values = _finite(rounded_to_bfloat16(values), name)
        elif part not in WHOLE and chosen is Format.INT8:
            values, scale = quantise_channels(values)
        added = None if bias is None else _finite(bias, name)
        outputs, inputs = weight.shape
        self._need(
            self._kernels.headrace_set_matrix(
                self.address,
                layer,
                part,
                expert,
                outputs,
                inputs,
                _address(values),
                _address(scale),
                _address(added),
            )
        )

    def _need(self, done: int) -> None:
        if not done:
            raise EngineError("no memory for the model's weights")


def _shape_of(config: EncoderShape) -> Shape:
    window = config.attention_window
    is_text = config.modality == "text"
    return Shape(
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        heads=config.num_attention_heads,
        experts=config.num_experts,
        expert_size=config.expert_size,
        shared_size=config.shared_expert_size,
        classes=len(config.labels),
        window=-1 if window is None else window,
        vocabulary=config.vocab_size if is_text else 0,
        positions=config.max_position_embeddings,
        epsilon=config.layer_norm_eps,
    )


def _floats(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return an array as float32 in rows, without copying where it already is."""
    return np.ascontiguousarray(values, np.float32)


def _finite(values: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Return an array as :func:`_floats` does.

    Raises:
        EngineError: It holds what is no number. (What an embedding holds is seen in the scores of
            the events that use it.)
    """
    array = _floats(values)
    if not np.isfinite(array).all():
        raise EngineError(f"{name} holds weights that are not finite; train or fetch it again")
    return array


def _stretched(weight: NDArray[Any], stretch: NDArray[np.float32] | None) -> NDArray[Any]:
    return weight if stretch is None else weight * stretch


def _address(array: NDArray[Any] | None) -> c_void_p | None:
    return None if array is None else c_void_p(array.ctypes.data)
