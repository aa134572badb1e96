"""The compiled kernels: finding them, and what this processor can run of them."""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_double, c_float, c_int, c_int32, c_int64, c_void_p
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.log import Log
from schemas.errors import EngineError

log = Log(__name__)

DIRECTORY = Path(__file__).parent
"""Where installation leaves them."""
VERSION = 2
"""Of the functions below; a library of another version is left alone."""
BUILD = "pip install . (or make install) with a C compiler at hand"
ISA_COUNT = 8
STAGES = (
    "embed",
    "qkv",
    "attention",
    "out",
    "route",
    "up",
    "gelu",
    "down",
    "norm",
    "exit",
)
"""Where the time of a run goes."""


class Format(IntEnum):
    """What the large products multiply."""

    FP32 = 0
    BF16 = 1
    INT8 = 2


class Matrix(IntEnum):
    """Matrices of a layer."""

    QKV = 0
    OUT = 1
    ROUTER = 2
    UP = 3
    DOWN = 4
    SHARED_UP = 5
    SHARED_DOWN = 6
    EXIT = 7


class Vector(IntEnum):
    """Vectors of a layer, all of the model's width."""

    ATTENTION_GAIN = 0
    ATTENTION_SHIFT = 1
    OUTPUT_GAIN = 2
    OUTPUT_SHIFT = 3
    DOWN_BIAS = 4
    QKV_SHRINK = 5
    UP_SHRINK = 6


class Shape(ctypes.Structure):
    """``Shape`` of ``encoder.h``."""

    _fields_ = (
        ("layers", c_int32),
        ("width", c_int32),
        ("heads", c_int32),
        ("experts", c_int32),
        ("expert_size", c_int32),
        ("shared_size", c_int32),
        ("classes", c_int32),
        ("window", c_int32),
        ("vocabulary", c_int32),
        ("positions", c_int32),
        ("epsilon", c_float),
    )


class Batch(ctypes.Structure):
    """``Batch`` of ``encoder.h``."""

    _fields_ = (
        ("ids", c_void_p),
        ("embedded", c_void_p),
        ("lengths", c_void_p),
        ("events", c_int64),
        ("experts", c_int32),
        ("thresholds", c_void_p),
        ("probabilities", c_void_p),
        ("first", c_void_p),
        ("left_after", c_void_p),
    )


_FUNCTIONS: dict[str, tuple[object, list[object]]] = {
    "version": (c_int, []),
    "isa": (c_char_p, [c_int]),
    "can": (c_int, [c_char_p, c_int]),
    "is_fast": (c_int, [c_char_p, c_int]),
    "new_model": (c_void_p, [POINTER(Shape), c_char_p, c_int]),
    "free_model": (None, [c_void_p]),
    "set_attention_format": (None, [c_void_p, c_int]),
    "set_matrix": (
        c_int,
        [c_void_p, c_int, c_int, c_int, c_int, c_int, c_void_p, c_void_p, c_void_p],
    ),
    "set_vector": (c_int, [c_void_p, c_int, c_int, c_void_p]),
    "set_temperature": (None, [c_void_p, c_int, c_float]),
    "set_embedding": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]),
    "new_workspace": (c_void_p, []),
    "free_workspace": (None, [c_void_p]),
    "counters": (None, [c_void_p, c_void_p]),
    "run": (c_int, [c_void_p, c_void_p, POINTER(Batch)]),
    "product": (
        c_int,
        [
            c_char_p,
            c_int,
            c_int64,
            c_int,
            c_int,
            c_void_p,
            c_void_p,
            c_void_p,
            c_void_p,
            c_int32,
            POINTER(c_double),
        ],
    ),
}


@cache
def shared_library() -> ctypes.CDLL | None:
    """Return the compiled kernels; ``None``, said once in the log, where there are none."""
    for path in sorted(DIRECTORY.glob("_kernels*.so")):
        try:
            found = _typed(ctypes.CDLL(str(path)))
        except (OSError, AttributeError) as error:
            log.warning("native_kernels_unusable", path=str(path), reason=str(error), remedy=BUILD)
            continue
        if (version := found.headrace_version()) == VERSION:
            return found
        log.warning(
            "native_kernels_unusable", path=str(path), reason=f"version {version}", remedy=BUILD
        )
    log.warning("native_kernels_missing", consequence="models run in torch, slower", remedy=BUILD)
    return None


def _typed(found: ctypes.CDLL) -> ctypes.CDLL:
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(found, f"headrace_{name}")
        function.restype, function.argtypes = result, arguments
    return found


@cache
def instruction_sets() -> tuple[str, ...]:
    """Return the instruction sets that kernels and processor have, best first.

    One whose products come out wrong on this machine is left out, with a warning.
    """
    kernels = shared_library()
    if kernels is None:
        return ()
    names = [name.decode() for nth in range(ISA_COUNT) if (name := kernels.headrace_isa(nth))]
    return tuple(name for name in names if _multiplies(name))


def product(  # noqa: PLR0917 - the operands of one product
    isa: str,
    number_format: Format,
    rows: NDArray[np.float32],
    weight: NDArray[Any],
    scale: NDArray[np.float32] | None = None,
    repeats: int = 1,
) -> tuple[NDArray[np.float32], float]:
    """Multiply rows with a matrix as the encoder does: for checks and measurements.

    Args:
        isa: One of :func:`instruction_sets`.
        number_format: What is multiplied.
        rows: [R, K]; K must be a multiple of 16.
        weight: [N, K] of float32 (rounded already for bfloat16), or levels of int8.
        scale: What each output is multiplied by, [N]; ``None`` for 1.
        repeats: How often.

    Returns:
        Products, [R, N]; seconds that all repeats took.

    Raises:
        EngineError: There is no such instruction set, or no memory.
    """
    kernels = shared_library()
    found = np.empty((len(rows), len(weight)), np.float32)
    seconds = c_double()
    state = -1
    if kernels is not None:
        state = kernels.headrace_product(
            isa.encode(),
            number_format,
            len(rows),
            *weight.shape,
            rows.ctypes.data,
            weight.ctypes.data,
            None if scale is None else scale.ctypes.data,
            found.ctypes.data,
            repeats,
            byref(seconds),
        )
    if state:
        raise EngineError(f"no product with {isa!r}: this processor lacks it, or memory ran out")
    return found, seconds.value


def _multiplies(isa: str) -> bool:
    """Say whether an instruction set multiplies whole numbers, which every format holds exactly."""
    chance = np.random.default_rng(0)
    rows = chance.integers(-127, 128, (37, 192)).astype(np.float32)
    rows[:, 0] = 127.0
    weight = chance.integers(-127, 128, (176, 192))
    for number_format in Format:
        if not can(number_format, isa):
            continue
        kind = np.int8 if number_format is Format.INT8 else np.float32
        found, _ = product(isa, number_format, rows, weight.astype(kind))
        if not np.array_equal(found, rows @ weight.T.astype(np.float32)):
            log.warning("native_kernels_wrong", isa=isa, format=number_format.name.lower())
            return False
    return True


def can(number_format: Format, isa: str) -> bool:
    """Say whether an instruction set has what a format needs on this processor."""
    kernels = shared_library()
    return kernels is not None and bool(kernels.headrace_can(isa.encode(), number_format))


def is_fast(number_format: Format, isa: str | None = None) -> bool:
    """Say whether products in a format are quicker than in float32 on this processor."""
    kernels = shared_library()
    if kernels is None or (isa is None and not instruction_sets()):
        return False
    chosen = isa or instruction_sets()[0]
    return bool(kernels.headrace_is_fast(chosen.encode(), number_format))
