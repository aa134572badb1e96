"""Text checkpoints with figures beside them: what they are, and how well they read."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import torch

from inference.checkpoint import CHECKPOINTS, load_engine
from inference.engine import Engine, Prediction
from inference.training.evaluate import quality
from schemas.events import TranscriptEvent

pytestmark = pytest.mark.quality

TESTED_ON = {
    "news-topic": "news/twitter_fin_topic/test.jsonl",
    "transcript-intent": "transcripts/banking77/test.jsonl",
}
SAID = {
    "My card never came out of the cash machine, it just kept it.": "card_swallowed",
    "How do I change the PIN of my card?": "change_pin",
    "Somebody stole my purse and the bank card was in it.": "lost_or_stolen_card",
    "What is the exchange rate when I pay in dollars?": "exchange_rate",
    "My top up was declined, why is that?": "top_up_failed",
    "I want to close the account for good.": "terminate_account",
    "Can my teenage daughter open an account with you?": "age_limit",
    "Please cancel the transfer that I made this morning.": "cancel_transfer",
    "I have lost my phone, can you block the app?": "lost_or_stolen_phone",
    "How long until a new card arrives in Italy?": "card_delivery_estimate",
}
"""Of our own writing, with the intent that each has among 77, some of which lie close together."""
LEAST_RIGHT = 7
"""Of those, as measured; an exchange rate is taken for a charge, say."""


@pytest.fixture(scope="module", params=TESTED_ON)
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of a checkpoint."""
    return str(request.param)


def _classify(engine: Engine, texts: list[str], effort: str = "full") -> list[Prediction]:
    (level,) = (each for each in engine.efforts if each.name == effort)
    events = [TranscriptEvent(id="t", text=text) for text in texts]
    return engine.run(engine.prepare(engine.encode(events)), level)


def _label(engine: Engine, found: Prediction) -> str:
    return engine.labels[found.scores.index(max(found.scores))]


def test_it_is_small_and_can_run_no_code(name: str):
    """At most 12 MB in all; weights are safetensors, the rest is text."""
    files = {path.name: path.stat().st_size for path in (CHECKPOINTS / name).iterdir()}
    assert files.keys() == {
        *("README.md", "config.json", "model.safetensors", "evaluation.json", "reliability.svg"),
        "tokenizer.json",
    }
    assert sum(files.values()) <= 12_000_000


def test_intents_are_told_apart():
    """In sentences that the model has not seen, of everyday wording."""
    engine = load_engine("transcript-intent")
    found = [_label(engine, each) for each in _classify(engine, list(SAID))]
    right = [said for said, label in zip(SAID, found, strict=True) if SAID[said] == label]
    assert len(right) >= LEAST_RIGHT, found


def test_scores_do_not_depend_on_the_batch(engine: Engine):
    """To the bit, alone or among others, in any order."""
    texts = list(SAID)
    together = _classify(engine, texts)
    backwards = _classify(engine, texts[::-1])[::-1]
    alone = [_classify(engine, [text])[0] for text in texts]
    assert together == backwards == alone


def test_its_card_is_true(
    name: str, engine: Engine, figures: dict[str, Any], pytestconfig: pytest.Config
):
    """Every effort reaches what the card says, in the number format that runs here."""
    folder: Path | None = pytestconfig.getoption("--data")
    if folder is None:
        pytest.skip(f"needs --data DIR with {TESTED_ON[name]}")
    rows = [orjson.loads(line) for line in (folder / TESTED_ON[name]).read_bytes().splitlines()]
    targets = torch.tensor([engine.labels.index(row["label"]) for row in rows])
    for effort, said in figures["efforts"].items():
        found = _classify(engine, [row["text"] for row in rows], effort)
        measured = quality(torch.tensor([each.scores for each in found]), targets)
        assert measured.accuracy == pytest.approx(said["accuracy"], abs=0.004)
        assert measured.macro_f1 == pytest.approx(said["macro_f1"], abs=0.004)
        assert measured.ece <= 0.05
        share = sum(each.active_share for each in found) / len(found)
        assert share == pytest.approx(said["active_share"], abs=0.004)
