"""The most that this machine's cores multiply, by number format: what shares of a peak refer to.

python bench/gemm_peak.py --threads 1
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

SIZES = ((512, 384, 1536), (1024, 1024, 1024), (2048, 1024, 4096))
"""Rows, inner and outer columns of the products that are tried; the best of them counts."""
REPEATS = 12


def measure(threads: int) -> dict[str, float]:
    """Return billions of operations a second (two per multiply-add) in fp32, bf16 and int8."""
    peaks: dict[str, float] = {}
    for rows, inner, outer in SIZES:
        for name, product in _products(rows, inner, outer, threads):
            rate = 2e-9 * rows * inner * outer / _least_seconds(product)
            peaks[name] = max(rate, peaks.get(name, 0.0))
    return peaks


def _products(
    rows: int, inner: int, outer: int, threads: int
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield products of [rows, inner] and [inner, outer] with the formats that they are in."""
    import torch  # noqa: PLC0415 - so that others can read this module without it

    torch.set_num_threads(threads)
    left, right = torch.randn(rows, inner), torch.randn(outer, inner)
    half = left.bfloat16(), right.bfloat16()
    few = [torch.randint(-127, 127, each.shape, dtype=torch.int8) for each in (left, right)]
    yield "fp32", lambda: left @ right.T
    # torch's float32 is at half of an AMD processor's peak, ONNX Runtime's is not.
    if session := _onnxruntime(right.T.contiguous().numpy(), threads):
        yield "fp32", lambda: session.run(None, {"left": left.numpy()})
    yield "bf16", lambda: half[0] @ half[1].T
    yield "int8", lambda: torch._int_mm(few[0], few[1].T)  # noqa: SLF001 - no public name yet


def _onnxruntime(right: Any, threads: int) -> Any:
    """Return a session that multiplies with a matrix, or nothing where it is not installed."""
    try:
        import onnxruntime as ort  # noqa: PLC0415 - an extra
        from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - likewise
    except ImportError:
        return None
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["left", "right"], ["out"])],
        "product",
        [helper.make_tensor_value_info("left", TensorProto.FLOAT, [None, right.shape[0]])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [None, right.shape[1]])],
        [numpy_helper.from_array(right, "right")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _least_seconds(product: Callable[[], object]) -> float:
    product()
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        product()
        taken.append(time.perf_counter() - started)
    return min(taken)


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    print(json.dumps(measure(parser.parse_args().threads)))


if __name__ == "__main__":
    main()
