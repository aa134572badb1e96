"""The engine beside the usual ways of running the dense model that it was made from.

    python bench/engine.py                                   # about 15 minutes
    python bench/engine.py --quick                           # about six, coarser
    python bench/engine.py --texts news.jsonl --model DIRECTORY --teacher DIRECTORY

Every runtime is a process of its own and gets the same batches of the same texts, in turns; see
docs/benchmarks.md. Prints one table and the ratios, and writes all of it as JSON.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from engine_report import Figures, Row, save, show
from headlines import from_log, synthetic
from report import facts
from runtimes import NEEDS, RUNTIMES, dense_multiply_adds

SIZES = (1, 8, 32, 128)
TEXTS = {1: 64, 8: 256, 32: 512, 128: 512}
"""Texts that a pass over batches of a size runs, spread evenly over all lengths."""
PACKAGES = ("headrace", "torch", "transformers", "onnxruntime", "openvino", "nncf")
REPEATS = 5
QUICK_REPEATS = 2
SEED = 1
_HERE = Path(__file__).parent


@dataclass
class Child:
    """A runtime in its process, stopped while others are measured."""

    name: str
    process: subprocess.Popen[str]
    path: str
    passes: dict[int, list[list[float]]] = field(default_factory=dict)
    """By batch size, the seconds of each batch of each pass."""
    depth: list[tuple[float, float]] = field(default_factory=list)
    memory: dict[str, float] = field(default_factory=dict)

    def order(self, line: str) -> dict[str, Any]:
        """Wake it, send a line, wait for the answer, and stop it again."""
        self.process.send_signal(signal.SIGCONT)
        assert self.process.stdin  # noqa: S101 - made with a pipe
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = _answer(self.process, self.name)
        # Threads that a runtime leaves spinning must not slow down the next one.
        self.process.send_signal(signal.SIGSTOP)
        return answer


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    texts = _texts(arguments.texts, max(TEXTS.values()))
    names = [name for name in RUNTIMES if not arguments.only or name in arguments.only]
    with tempfile.TemporaryDirectory(prefix="headrace-engine-") as directory:
        work = Path(directory)
        batches = _write_plan(work, texts, arguments)
        for name, file in NEEDS.items():
            if name in names and not (work / "files" / file).exists():
                names.remove(name)
                print(f"{name} is left out: {file} could not be made")
        figures = Figures(
            facts=facts(PACKAGES)
            | {"texts": str(arguments.texts or "made up"), "model": arguments.model}
        )
        config = json.loads((work / "files" / "teacher" / "config.json").read_text())
        lengths = [len(ids) for ids in json.loads((work / "files" / "ids.json").read_text())]
        for threads in arguments.threads:
            before = _peaks(threads)
            with _children(names, work, threads, arguments.model) as children:
                _measure(children, batches, arguments.repeats)
            # Twice, as other programs may take from either.
            after = _peaks(threads)
            figures.peaks[threads] = {name: max(before[name], after[name]) for name in before}
            for child in children:
                figures.rows.append(_row(child, threads, batches, lengths, config))
    show(figures)
    print(f"\nwritten to {save(figures, arguments.out)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--texts", type=Path, help="JSON lines with text or headline [made up]")
    parser.add_argument(
        "--model", default="news-sentiment", help="our checkpoint: name or directory"
    )
    parser.add_argument("--teacher", type=Path, help="dense classifier of Hugging Face's [MiniLM]")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--only", nargs="+", choices=list(RUNTIMES), help="these runtimes alone")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=_HERE / "results")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.repeats = QUICK_REPEATS
    return arguments


def _texts(log: Path | None, most: int) -> list[str]:
    """Return texts sorted by length, spread evenly over those of the log."""
    texts = from_log(log) if log else list(islice(synthetic(SEED), most))
    texts.sort(key=len)
    return _spread(texts, most)


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    if len(items) <= most:
        return list(items)
    return [items[place * len(items) // most] for place in range(most)]


def _write_plan(
    work: Path, texts: list[str], arguments: argparse.Namespace
) -> dict[int, list[list[int]]]:
    """Write the dense model's files, and the batches: neighbours in length."""
    (work / "texts.json").write_text(json.dumps(texts))
    command = [sys.executable, str(_HERE / "dense_files.py"), str(work / "files")]
    command += ["--texts", str(work / "texts.json")]
    if arguments.teacher:
        command += ["--teacher", str(arguments.teacher)]
    (work / "files").mkdir()
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise SystemExit(f"the dense model's files could not be made:\n{made.stderr[-2000:]}")
    print("".join(line + "\n" for line in made.stdout.splitlines() if "could not" in line), end="")
    ids = json.loads((work / "files" / "ids.json").read_text())
    by_length = sorted(range(len(texts)), key=lambda place: len(ids[place]))
    batches = {}
    for size in arguments.batches:
        chosen = _spread(by_length, min(TEXTS[size], len(texts) // size * size or len(texts)))
        batches[size] = [chosen[at : at + size] for at in range(0, len(chosen), size)]
    plan = {"texts": texts, "batches": batches}
    (work / "plan.json").write_text(json.dumps(plan))
    return batches


def _peaks(threads: int) -> dict[str, float]:
    command = [sys.executable, str(_HERE / "gemm_peak.py"), f"--threads={threads}"]
    measured = subprocess.run(
        command, capture_output=True, text=True, check=True, env=_limits(threads)
    )
    peaks: dict[str, float] = json.loads(measured.stdout)
    return peaks


@contextlib.contextmanager
def _children(names: list[str], work: Path, threads: int, model: str) -> Iterator[list[Child]]:
    with contextlib.ExitStack() as stack:
        children = []
        for name in names:
            child = _start(name, work, threads, model)
            if child:
                stack.callback(_end, child.process)
                children.append(child)
        yield children


def _start(name: str, work: Path, threads: int, model: str) -> Child | None:
    """Start a runtime; ``None``, and a line about it, where it cannot run on this machine."""
    log = (work / f"{name}.log").open("w")
    process = subprocess.Popen(
        [
            sys.executable,
            str(_HERE / "runtimes.py"),
            name,
            str(work / "files"),
            str(work / "plan.json"),
            f"--threads={threads}",
            f"--model={model}",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=_limits(threads),
    )
    try:
        path = _answer(process, name)["path"]
    except SystemExit:
        process.wait()
        told = (work / f"{name}.log").read_text().strip().splitlines()
        print(f"{name} is left out: {told[-1] if told else 'it ended'}")
        return None
    process.send_signal(signal.SIGSTOP)
    return Child(name, process, path)


def _limits(threads: int) -> dict[str, str]:
    """Return the environment of a process that is to use so many threads."""
    root = str(_HERE.parent)
    return os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
    }


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGCONT)
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answer(process: subprocess.Popen[str], name: str) -> dict[str, Any]:
    assert process.stdout  # noqa: S101 - made with a pipe
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"{name} ended; see its error above")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _measure(children: list[Child], batches: dict[int, list[list[int]]], repeats: int) -> None:
    """Let all runtimes run each batch size in turns; the first pass is not counted."""
    for size in batches:
        for number in range(1 + repeats):
            for child in children:
                answer = child.order(str(size))
                if number:
                    child.passes.setdefault(size, []).append(answer["seconds"])
                child.memory = {key: answer[key] for key in ("resident_mib", "peak_mib")}
    largest = max(batches, key=lambda size: TEXTS[size])
    for child in children:
        child.depth = child.order(f"depth {largest}")["depth"]


def _row(
    child: Child,
    threads: int,
    batches: dict[int, list[list[int]]],
    lengths: list[int],
    config: dict[str, Any],
) -> Row:
    """Condense what was measured of a runtime."""
    rates, spans, medians = {}, {}, {}
    for size, passes in child.passes.items():
        # Other programs only ever add time: the least of each batch over the passes is its own.
        least = [min(times) for times in zip(*passes, strict=True)]
        texts = sum(map(len, batches[size]))
        rates[size] = texts / sum(least)
        spans[size] = statistics.fmean(least) * 1e3
        medians[size] = texts / statistics.median(sum(times) for times in passes)
    largest = max(batches, key=lambda size: TEXTS[size])
    places = [place for batch in batches[largest] for place in batch]
    dense = statistics.fmean(dense_multiply_adds(config, lengths[place]) for place in places)
    done = statistics.fmean(each[0] for each in child.depth) if child.depth else dense
    share = statistics.fmean(each[1] for each in child.depth) if child.depth else 1.0
    return Row(
        name=child.name,
        threads=threads,
        path=child.path,
        events_per_s=rates,
        events_per_s_median=medians,
        batch_ms=spans,
        active_share=share,
        multiply_adds=done,
        multiply_adds_share=done / dense,
        **child.memory,
    )


if __name__ == "__main__":
    main()
