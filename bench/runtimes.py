"""The ways of running a classifier that bench/engine.py compares, each in a process of its own.

python bench/runtimes.py NAME FILES BATCHES --threads 1 [--model MODEL]

Takes one batch size a line on standard input, runs the batches of that size once, and answers with
a line of JSON; ``depth`` before the size asks for what the texts ran through instead of times. A
batch is timed from token ids to scores; ``pipeline`` alone takes texts, since it cannot be had
without its tokeniser.
"""

import argparse
import json
import resource
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Batch = Sequence[int]
"""Numbers of its texts."""


@dataclass(frozen=True)
class Work:
    """What a runtime is given.

    Attributes:
        files: What ``bench/dense_files.py`` wrote.
        texts: All texts.
        ids: Their token ids, as the dense teacher's tokeniser has them.
        threads: Threads per product.
        model: Our checkpoint.
    """

    files: Path
    texts: list[str]
    ids: list[list[int]]
    threads: int
    model: str


@dataclass(frozen=True)
class Runtime:
    """A loaded model.

    Attributes:
        run: Classifies a batch.
        depth: Returns the multiply-adds and the share of parameters of each text of a batch, where
            they differ from the dense teacher's.
        path: How it multiplies, where it says.
    """

    run: Callable[[Batch], object]
    depth: Callable[[Batch], list[tuple[float, float]]] | None = None
    path: str = ""


def pad(texts: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    """Return ids and mask, padded to the longest, [B, L]."""
    shape = (len(texts), max(map(len, texts)))
    ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return ids, mask


def pipeline(work: Work) -> Runtime:
    """Load ``transformers.pipeline`` as its documentation does."""
    import torch  # noqa: PLC0415 - each process loads what it measures
    from transformers import pipeline as make  # noqa: PLC0415 - likewise

    torch.set_num_threads(work.threads)
    classify = make(
        "text-classification", model=str(work.files / "teacher"), device="cpu", dtype=torch.float32
    )
    return Runtime(
        lambda batch: classify([work.texts[place] for place in batch], batch_size=len(batch))
    )


def _torch(work: Work, precision: str) -> Runtime:
    import torch  # noqa: PLC0415 - as above
    from transformers import AutoModelForSequenceClassification  # noqa: PLC0415 - as above

    torch.set_num_threads(work.threads)
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    model = AutoModelForSequenceClassification.from_pretrained(work.files / "teacher", dtype=kind)
    model.eval()

    def run(batch: Batch) -> object:
        ids, mask = pad([work.ids[place] for place in batch])
        # All ones is no mask: attention then takes its quicker way.
        even = None if mask.all() else torch.from_numpy(mask)
        with torch.inference_mode():
            return model(input_ids=torch.from_numpy(ids), attention_mask=even).logits.tolist()

    return Runtime(run, path=torch.backends.cpu.get_cpu_capability())


def _onnxruntime(work: Work, file: str) -> Runtime:
    import onnxruntime as ort  # noqa: PLC0415 - as above

    options = ort.SessionOptions()
    options.intra_op_num_threads = work.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(
        str(work.files / file), options, providers=["CPUExecutionProvider"]
    )

    def run(batch: Batch) -> object:
        ids, mask = pad([work.ids[place] for place in batch])
        return session.run(None, {"input_ids": ids, "attention_mask": mask})

    return Runtime(run, path=f"onnxruntime {ort.__version__}")


def _openvino(work: Work, file: str, precision: str) -> Runtime:
    import openvino as ov  # noqa: PLC0415 - as above

    compiled = ov.Core().compile_model(
        str(work.files / file),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": work.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        },
    )
    request = compiled.create_infer_request()

    def run(batch: Batch) -> object:
        ids, mask = pad([work.ids[place] for place in batch])
        return request.infer({"input_ids": ids, "attention_mask": mask}, share_inputs=True)[0]

    return Runtime(run, path=f"openvino {ov.__version__.split('-')[0]}")


def _optimised(work: Work, precision: str) -> Runtime:
    from inference.optimizer import Optimizer  # noqa: PLC0415 - as above

    optimizer = Optimizer(work.files / "teacher", threads=work.threads, device_map="cpu")
    engine = optimizer.compile(precision).engine
    return Runtime(_run_of(engine, work), path=_path_of(engine))


def _ours(work: Work, precision: str, isa: str | None = None) -> Runtime:
    from inference.checkpoint import find_directory, load_engine  # noqa: PLC0415 - as above
    from inference.model import SparseEncoderConfig  # noqa: PLC0415 - as above

    engine = load_engine(work.model, threads=work.threads, precision=precision, isa=isa)
    config = SparseEncoderConfig.from_pretrained(find_directory(work.model))
    run = _run_of(engine, work)
    tokens = [each.tokens for each in engine.encode(_events(work))]

    def depth(batch: Batch) -> list[tuple[float, float]]:
        return [
            (
                config.multiply_adds(answer.layers, answer.experts, tokens[place]),
                answer.active_share,
            )
            for place, answer in zip(batch, run(batch), strict=True)
        ]

    return Runtime(run, depth, path=_path_of(engine))


def _run_of(engine: Any, work: Work) -> Callable[[Batch], Any]:
    encoded = engine.encode(_events(work))
    return lambda batch: engine.run(
        engine.prepare([encoded[place] for place in batch]), engine.efforts[0]
    )


def _events(work: Work) -> list[Any]:
    from schemas.events import NewsEvent  # noqa: PLC0415 - as above

    return [NewsEvent(id=str(n), headline=text) for n, text in enumerate(work.texts)]


def _path_of(engine: Any) -> str:
    from inference.native.binding import instruction_sets  # noqa: PLC0415 - as above

    path = getattr(engine, "path", "")
    return f"native {path}" if path in instruction_sets() else path


def dense_multiply_adds(config: dict[str, Any], tokens: int) -> float:
    """Count the multiply-adds of a BERT encoder for a text: products, and attention's own."""
    width, neurons = config["hidden_size"], config["intermediate_size"]
    layers = config["num_hidden_layers"]
    return float(layers * tokens * (4 * width * width + 2 * width * neurons + 2 * tokens * width))


RUNTIMES: dict[str, Callable[[Work], Runtime]] = {
    "pipeline-fp32": pipeline,
    "torch-fp32": lambda work: _torch(work, "fp32"),
    "torch-bf16": lambda work: _torch(work, "bf16"),
    "onnxruntime-fp32": lambda work: _onnxruntime(work, "teacher.onnx"),
    "onnxruntime-int8": lambda work: _onnxruntime(work, "int8.onnx"),
    "openvino-bf16": lambda work: _openvino(work, "teacher.onnx", "bf16"),
    "openvino-int8": lambda work: _openvino(work, "int8.xml", "bf16"),
    "optimizer-bf16": lambda work: _optimised(work, "bf16"),
    "optimizer-int8": lambda work: _optimised(work, "int8"),
    "headrace-torch-bf16": lambda work: _ours(work, "bf16", isa="torch"),
    "headrace-bf16": lambda work: _ours(work, "bf16"),
    "headrace-int8": lambda work: _ours(work, "int8"),
}
NEEDS = {
    "onnxruntime-int8": "int8.onnx",
    "openvino-int8": "int8.xml",
}
"""Files that could not be made everywhere."""


def resident_mib() -> float:
    """Return what the process has in memory now."""
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * resource.getpagesize() / 2**20


def peak_mib() -> float:
    """Return the most that the process had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Serve measurements until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=RUNTIMES)
    parser.add_argument("files", type=Path)
    parser.add_argument("batches", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--model", required=True)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    plan = json.loads(arguments.batches.read_text())
    ids = json.loads((arguments.files / "ids.json").read_text())
    work = Work(arguments.files, plan["texts"], ids, arguments.threads, arguments.model)
    batches: dict[str, list[list[int]]] = plan["batches"]
    runtime = RUNTIMES[arguments.name](work)
    print(json.dumps({"path": runtime.path}), file=answers, flush=True)
    for line in sys.stdin:
        order, _, size = line.strip().rpartition(" ")
        if order == "depth":
            answer = {"depth": _depths(runtime, batches[size])}
        else:
            answer = {
                "seconds": [_seconds(runtime, batch) for batch in batches[size]],
                "resident_mib": resident_mib(),
                "peak_mib": peak_mib(),
            }
        print(json.dumps(answer), file=answers, flush=True)


def _seconds(runtime: Runtime, batch: Batch) -> float:
    started = time.perf_counter()
    runtime.run(batch)
    return time.perf_counter() - started


def _depths(runtime: Runtime, batches: Sequence[Batch]) -> list[tuple[float, float]]:
    if runtime.depth is None:
        return []
    return [each for batch in batches for each in runtime.depth(batch)]


if __name__ == "__main__":
    main()
