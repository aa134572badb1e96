"""The number formats that a model can be compiled for."""

from enum import StrEnum

from schemas.errors import ConfigurationError

AUTO = "auto"


class Precision(StrEnum):
    """What weights are kept in, and what products are computed in.

    Sums of products, normalisation, softmax and scores are float32 throughout. Backends whose
    formats differ say so in their own docstrings.
    """

    FP32 = "fp32"
    """Everything in float32."""
    BF16 = "bf16"
    """Weights and what runs between layers in bfloat16."""
    INT8 = "int8"
    """The products of every layer in int8: weights with one scale per output, inputs with one
    scale per token that is found as they come (so an event's scores depend on no neighbour).
    Routers, exits, heads and what runs between products in float32."""
    BF16_INT8 = "bf16-int8-mixed"
    """The feed-forward products, where most of the work is, as in ``int8``; attention, routers,
    heads and what runs between products as in ``bf16``."""
    BF16_FP8 = "bf16-fp8-mixed"
    """Weights of every layer in float8 (e4m3) with one scale per output; the rest as in ``bf16``.
    Where the device multiplies float8 the products are float8 too, with inputs scaled per token;
    elsewhere weights are widened to bfloat16 as they are used: half the memory, not more speed."""


def parse_precision(value: str | None) -> Precision | None:
    """Return a precision by its name; ``None`` for ``auto``, the quickest of the machine.

    Raises:
        ConfigurationError: There is none of that name.
    """
    if value is None or value == AUTO:
        return None
    try:
        return Precision(value)
    except ValueError as error:
        known = ", ".join([AUTO, *Precision])
        raise ConfigurationError(f"precision is {value!r}; choose one of {known}") from error
