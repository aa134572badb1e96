"""What the events of a load say, and what the engine says of it."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from headlines import from_log, synthetic

from inference.engine import EffortLevel, Encoded, Engine, Prediction
from schemas.events import NewsEvent

MADE_UP = 2_000
BATCH = 64


@dataclass(frozen=True)
class Texts:
    """What the events say.

    Attributes:
        encoded: Of each text.
        labels: The true class of each text, as a place in the engine's labels; ``None`` where the
            texts have none.
        answers: By effort, the class that the engine gives each text.
    """

    encoded: list[Encoded]
    labels: list[int] | None
    answers: dict[str, list[int]] = field(default_factory=dict)

    @property
    def mean_tokens(self) -> float:
        """Tokens per text."""
        return statistics.fmean(one.tokens for one in self.encoded)


def read_texts(engine: Engine, source: Path | None, *, labelled: bool, seed: int) -> Texts:
    """Read texts, or make some up, and classify them at each effort.

    Args:
        engine: Classifies them.
        source: JSON lines with ``text`` or ``headline``; made up from ``seed`` without.
        labelled: Their ``label`` is one of the engine's.
        seed: See above.

    Raises:
        SystemExit: A line has no text, or a label that the engine does not have.
    """
    said = from_log(source) if source else list(islice(synthetic(seed), MADE_UP))
    encoded = engine.encode(
        [NewsEvent(id=str(number), headline=text) for number, text in enumerate(said)]
    )
    answers = {each.name: predict(engine, encoded, each) for each in engine.efforts}
    labels = _labels(source, engine.labels) if source and labelled else None
    return Texts(encoded, labels, answers)


def _labels(path: Path, known: Sequence[str]) -> list[int] | None:
    """Return the true classes; ``None`` where the file gives none."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if not any("label" in each for each in rows):
        return None
    strange = next((each for each in rows if each.get("label") not in known), None)
    if strange is not None:
        raise SystemExit(
            f"{path}: label {strange.get('label')!r} is none of the model's: {', '.join(known)}"
        )
    return [known.index(each["label"]) for each in rows]


def predict(engine: Engine, encoded: Sequence[Encoded], effort: EffortLevel) -> list[int]:
    """Return the class that an engine gives each text."""
    answers: list[int] = []
    for at in range(0, len(encoded), BATCH):
        prepared: Any = engine.prepare(encoded[at : at + BATCH])
        answers += (best(one) for one in engine.run(prepared, effort))
    return answers


def best(prediction: Prediction) -> int:
    """Return the class with the highest score."""
    return max(range(len(prediction.scores)), key=prediction.scores.__getitem__)
