"""The number formats that a model can be compiled for."""

from enum import StrEnum

from schemas.errors import ConfigurationError

AUTO = "auto"


class Precision(StrEnum):
    """What weights are kept in, and what products are computed in.

    Sums of products, normalisation, softmax and scores are float32 throughout. On the native
    kernels (``inference.native``: our own checkpoints, and BERT-shaped models) everything between
    products is float32 too. What the backends make of each:

    ``packed``: all of them. On a GPU our own checkpoints have ``fp32``, ``bf16`` and
    ``bf16-fp8-mixed``. ``transformers``: all of them, of the linear layers in whatever the model
    repeats; convolutions stay in the format between products. ``onnxruntime``: ``fp32`` runs a file
    as it was made, ``int8`` quantises it with one scale per input and group of texts.
    """

    FP32 = "fp32"
    """Everything in float32."""
    BF16 = "bf16"
    """Weights and inputs of products in bfloat16."""
    INT8 = "int8"
    """The products of every layer in int8: weights with one scale per output, inputs with one
    scale per token that is found as they come (so an event's scores depend on no neighbour). Of
    dense models, channels that are often large are evened out before. Routers, exits and heads in
    float32."""
    BF16_INT8 = "bf16-int8-mixed"
    """The feed-forward products, where most of the work is, as in ``int8``; attention's as in
    ``bf16``; routers, exits and heads as in either."""
    BF16_FP8 = "bf16-fp8-mixed"
    """Weights of every layer in float8 (e4m3) with one scale per output; the rest as in ``bf16``.
    Where the device multiplies float8, those of dense models are float8 products, with inputs
    scaled per token; elsewhere they are bfloat16, and the log says so: dense models then widen
    their weights as they use them (half the memory, not more speed), our own checkpoints once."""


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
