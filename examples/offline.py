"""Classify lines of text without Kafka: the same engine, called directly.

python examples/offline.py < headlines.txt
python examples/offline.py --effort first_exit --json headlines.txt
"""

import argparse
import contextlib
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from inference import Optimizer
from inference.engine import EffortLevel, Engine, Prediction
from schemas import ConfigurationError, HeadraceError, Modality, NewsEvent


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Classify lines of text without Kafka.")
    parser.add_argument("file", nargs="?", type=Path, help="UTF-8; without it, standard input")
    parser.add_argument("--model", default="news-sentiment", help="name or directory")
    parser.add_argument("--effort", help="a rung of the model's ladder; full without it")
    parser.add_argument("--batch", type=int, default=64, help="lines classified at once [64]")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser.parse_args()


def effort_named(engine: Engine, name: str | None) -> EffortLevel:
    """Return a rung of the ladder; the topmost when none is named."""
    if name is None:
        return engine.efforts[0]
    for effort in engine.efforts:
        if effort.name == name:
            return effort
    known = ", ".join(effort.name for effort in engine.efforts)
    raise ConfigurationError(f"--effort: {name!r} is not on the model's ladder; choose of {known}")


def classify(engine: Engine, effort: EffortLevel, texts: Sequence[str]) -> list[Prediction]:
    """Classify texts in one batch."""
    events = [NewsEvent(id=str(number), headline=text) for number, text in enumerate(texts)]
    return engine.run(engine.prepare(engine.encode(events)), effort)


def shown(engine: Engine, text: str, prediction: Prediction, *, as_json: bool) -> str:
    """Write one answer."""
    scores = dict(zip(engine.labels, prediction.scores, strict=True))
    label = max(scores, key=scores.__getitem__)
    if not as_json:
        return f"{label}\t{scores[label]:.2f}\t{text}"
    share = round(prediction.active_share, 4)
    rounded = {name: round(score, 6) for name, score in scores.items()}
    answer = {"text": text, "label": label, "scores": rounded, "active_share": share}
    return json.dumps(answer, ensure_ascii=False)


def batches(lines: TextIO, size: int) -> Iterator[list[str]]:
    """Yield the lines that hold text, some at a time."""
    texts = (line.strip() for line in lines if line.strip())
    while batch := list(itertools.islice(texts, size)):
        yield batch


def main() -> int:
    """Classify what was asked for; return the exit status."""
    arguments = parse_arguments()
    try:
        if arguments.batch < 1:
            raise ConfigurationError(f"--batch: {arguments.batch} is below 1")
        with contextlib.ExitStack() as stack:
            lines = sys.stdin
            if arguments.file:
                lines = stack.enter_context(arguments.file.open(encoding="utf-8"))
            engine = Optimizer(arguments.model, threads=arguments.threads).compile()
            if Modality.NEWS not in engine.modalities:
                raise ConfigurationError(f"--model: {arguments.model} does not classify text")
            effort = effort_named(engine, arguments.effort)
            for batch in batches(lines, arguments.batch):
                for text, prediction in zip(batch, classify(engine, effort, batch), strict=True):
                    print(shown(engine, text, prediction, as_json=arguments.json))
    except (HeadraceError, OSError, UnicodeDecodeError) as error:
        print(f"offline: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
