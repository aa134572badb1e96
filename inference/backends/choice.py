"""Which number format is the quickest: measured, since processors differ and move on."""

import time
from functools import cache

import torch
from torch import nn

from inference.backends.linear import Int8Linear
from inference.device import has_fast_bfloat16
from inference.log import Log
from inference.precision import Precision

log = Log(__name__)

ROWS = 128
"""Tokens of the batch that is timed: some eight headlines."""
NEURONS_PER_WIDTH = 4
REPEATS = 7
CLEAR = 0.9
"""What a format must take of another's time to be chosen in its place."""


@cache
def quickest(width: int, device: torch.device) -> Precision:
    """Return the format in which feed-forward products of a width take the least time.

    bfloat16 on a GPU. Takes some milliseconds on a CPU; later calls return the same.
    """
    if device.type != "cpu":
        return Precision.BF16
    best, least = Precision.FP32, float("inf")
    times: dict[str, float] = {}
    for precision in (Precision.FP32, Precision.BF16, Precision.INT8):
        if precision is Precision.BF16 and not has_fast_bfloat16():
            continue
        seconds = _time_products(precision, width)
        times[precision.value] = round(seconds * 1e3, 3)
        if seconds < CLEAR * least:
            best, least = precision, seconds
    log.info("precision_chosen", precision=best.value, milliseconds=times)
    return best


@torch.inference_mode()
def _time_products(precision: Precision, width: int) -> float:
    """Return the least seconds of several that one feed-forward layer's products took."""
    neurons = NEURONS_PER_WIDTH * width
    kind = torch.bfloat16 if precision is Precision.BF16 else torch.float32
    products: list[nn.Module] = [
        nn.Linear(width, neurons, dtype=kind),
        nn.Linear(neurons, width, dtype=kind),
    ]
    if precision is Precision.INT8:
        products = [
            Int8Linear(each, torch.ones(each.in_features))
            for each in products
            if isinstance(each, nn.Linear)
        ]
    layer = nn.Sequential(*products)
    hidden = torch.ones(ROWS, width, dtype=kind)
    taken = []
    for _ in range(1 + REPEATS):
        started = time.perf_counter()
        layer(hidden)
        taken.append(time.perf_counter() - started)
    return min(taken[1:])
