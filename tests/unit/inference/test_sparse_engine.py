"""The sparse encoder as an engine: every event its own answer, whatever it was batched with."""

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson
import pytest
import torch

from inference.checkpoint import CHECKPOINTS, load_engine
from inference.device import has_fast_bfloat16
from inference.engine import EffortLevel, Encoded, Engine, Prediction
from inference.forward import forward_of
from inference.model import SparseEncoderForSequenceClassification
from inference.sparse_engine import SparseEngine
from inference.text import TextEncoder
from schemas.errors import EngineError, InvalidEventError
from schemas.events import CameraEvent, Event, Modality, NewsEvent, TranscriptEvent
from schemas.results import Model
from tests.fakes.small_model import LABELS, PIECES, small_network, small_tokenizer

HEADLINES = Path(__file__).parents[2] / "quality" / "headlines.jsonl"
FULL, SINGLE, FIRST = (
    EffortLevel("full"),
    EffortLevel("single_expert", experts=1, exit_threshold=0.5),
    EffortLevel("first_exit", experts=1, exit_threshold=0.0),
)
WORDS = "profit loss rises falls sharply bank upgrade downgrade strike record weak".split()  # noqa: SIM905

FLOAT32_SLACK = 5e-6
"""Torch's products of one to three rows round otherwise than larger ones: measured up to 8e-7."""


def engine_of(
    network: SparseEncoderForSequenceClassification,
    precision: str | None = None,
    isa: str | None = None,
) -> SparseEngine:
    """Wrap a small network."""
    encoder = TextEncoder(small_tokenizer(), network.config.max_position_embeddings)
    model = Model(name="small", version="7", digest="sha256:0")
    return SparseEngine(forward_of(network, precision, isa=isa), network.config, encoder, model)


@pytest.fixture(params=["torch", None], ids=["torch", "best"])
def engine(request: pytest.FixtureRequest) -> SparseEngine:
    """Return a small engine, run by torch or by the best that this processor has."""
    return engine_of(small_network(), "fp32", request.param)


@pytest.fixture(scope="module", params=["torch-fp32", "torch-bf16", "fp32", "bf16", "int8"])
def committed(request: pytest.FixtureRequest) -> Engine:
    """Return the packaged checkpoint as workers here could run it."""
    if request.param.endswith("bf16") and not has_fast_bfloat16():
        pytest.skip("no worker on this processor runs in bfloat16")
    where, _, precision = request.param.rpartition("-")
    network = SparseEncoderForSequenceClassification.from_pretrained(CHECKPOINTS / "news-sentiment")
    return SparseEngine(
        forward_of(network, precision, isa=where or None),
        network.config,
        TextEncoder.load(CHECKPOINTS / "news-sentiment", 128),
        Model(name="news-sentiment", version="1", digest="sha256:0"),
    )


def _news(texts: Iterable[str]) -> list[Event]:
    return [NewsEvent(id=f"n-{number}", headline=text) for number, text in enumerate(texts)]


def _texts(count: int, seed: int = 0) -> list[str]:
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    return [" ".join(chance.choices(WORDS, k=chance.randint(1, 12))) for _ in range(count)]


def _label(prediction: Prediction) -> int:
    return max(range(len(prediction.scores)), key=prediction.scores.__getitem__)


def _moved(one: Prediction, other: Prediction) -> float:
    return max(abs(a - b) for a, b in zip(one.scores, other.scores, strict=True))


def _one_by_one(
    engine: Engine, encoded: Sequence[Encoded], effort: EffortLevel
) -> list[Prediction]:
    return [engine.run(engine.prepare([each]), effort)[0] for each in encoded]


@pytest.mark.parametrize("effort", [FULL, SINGLE, FIRST], ids=lambda effort: effort.name)
def test_predictions_come_in_the_order_of_the_events(engine: SparseEngine, effort: EffortLevel):
    """Whatever order the batch is packed in, and wherever each event leaves."""
    encoded = engine.encode(_news(_texts(40)))
    assert [each.tokens for each in encoded] != sorted(each.tokens for each in encoded)
    alone = _one_by_one(engine, encoded, effort)
    assert len({each.scores for each in alone}) > 30
    together = engine.run(engine.prepare(encoded), effort)
    assert [each.layers for each in together] == [each.layers for each in alone]
    assert max(map(_moved, together, alone)) < 1e-5


def test_the_order_of_a_batch_changes_no_answer(engine: SparseEngine):
    """Backwards, the same answers come backwards."""
    encoded = engine.encode(_news(_texts(25)))
    forwards = engine.run(engine.prepare(encoded), FULL)
    backwards = engine.run(engine.prepare(encoded[::-1]), FULL)
    assert max(map(_moved, forwards, backwards[::-1])) < 1e-5


@pytest.fixture(scope="module")
def clear() -> list[str]:
    """Return headlines that leave no doubt."""
    return [orjson.loads(line)["text"] for line in HEADLINES.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def headlines(clear: list[str]) -> list[str]:
    """Return headlines, every fourth with an article of its own length behind it."""
    return [
        f"{text}. {' '.join(clear[place : place + place // 8])}" if place % 4 == 0 else text
        for place, text in enumerate(clear)
    ]


@pytest.mark.parametrize("events", [2, 3, 16, 60])
def test_an_answer_does_not_depend_on_the_batch(
    committed: Engine, headlines: list[str], events: int, request: pytest.FixtureRequest
):
    """Depth and label never; scores not in one bit, but for torch's float32 products.

    Kernels add up in one order however many rows there are; so do torch's bfloat16 products.
    """
    slack = FLOAT32_SLACK if "torch-fp32" in request.node.name else 0
    encoded = committed.encode(_news(headlines))
    order = list(range(len(encoded)))
    random.Random(events).shuffle(order)  # noqa: S311 - as above
    for effort in committed.efforts:
        alone = _one_by_one(committed, encoded, effort)
        for start in range(0, len(order), events):
            places = order[start : start + events]
            batch = committed.prepare([encoded[place] for place in places])
            for place, prediction in zip(places, committed.run(batch, effort), strict=True):
                assert prediction.layers == alone[place].layers
                assert prediction.active_share == alone[place].active_share
                assert _label(prediction) == _label(alone[place])
                assert _moved(prediction, alone[place]) <= slack


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_the_precisions_agree_about_clear_headlines(clear: list[str], precision: str):
    """Workers on unlike processors: the same labels, scores apart where routing ties."""
    engines = [load_engine("news-sentiment", precision=each) for each in ("fp32", precision)]
    for effort in engines[0].efforts:
        ours, theirs = (
            engine.run(engine.prepare(engine.encode(_news(clear))), effort) for engine in engines
        )
        pairs = list(zip(ours, theirs, strict=True))
        # Confidence a hair from a threshold makes one of sixty leave a layer earlier.
        same = [(one, other) for one, other in pairs if one.layers == other.layers]
        assert len(same) >= len(pairs) - 1
        moved = sorted(_moved(one, other) for one, other in same)
        assert all(_label(one) == _label(other) for one, other in same)
        assert moved[len(moved) // 2] < 2e-3
        assert moved[-1] < 0.1


def test_effort_bounds_experts_and_layers(engine: SparseEngine):
    """Each rung says what it took, and a cheaper one takes no more."""
    encoded = engine.encode(_news(_texts(30)))
    full, single, first = (engine.run(engine.prepare(encoded), effort) for effort in engine.efforts)
    assert {each.experts for each in full} == {2}
    assert {each.experts for each in single + first} == {1}
    assert {each.layers for each in first} == {1}
    assert len({each.layers for each in full}) > 2
    config = small_network().config
    for each in full + single + first:
        assert each.active_share == config.active_share(each.layers, each.experts)
        assert sum(each.scores) == pytest.approx(1.0)


def test_more_experts_than_there_are_means_all(engine: SparseEngine):
    """A ladder written for a larger model does no harm."""
    batch = engine.prepare(engine.encode(_news(["profit rises"])))
    (prediction,) = engine.run(batch, EffortLevel("all", experts=64))
    assert prediction.experts == 4


def test_an_effort_that_names_nothing_leaves_the_models_own(engine: SparseEngine):
    """Two experts and thresholds of 0.7 here."""
    batch = engine.prepare(engine.encode(_news(_texts(20))))
    own = engine.run(batch, EffortLevel("full"))
    assert engine.run(batch, EffortLevel("same", experts=2, exit_threshold=0.7)) == own


def test_an_empty_batch_has_no_predictions(engine: SparseEngine):
    """Nor does encoding nothing fail."""
    assert engine.encode([]) == []
    assert engine.run(engine.prepare([]), FULL) == []


def test_events_without_words_are_answered(engine: SparseEngine):
    """An unreadable neighbour takes no one's place."""
    encoded = engine.encode(_news(["", "profit rises", "\u200b"]))
    assert [each.tokens for each in encoded] == [2, 4, 2]
    first, _, last = engine.run(engine.prepare(encoded), FULL)
    assert first == last


def test_an_image_is_refused():
    """The message says what the model reads and what it got."""
    engine = engine_of(small_network())
    assert Modality.CAMERA not in engine.modalities
    events = [*_news(["profit"]), CameraEvent(id="c-1", image=b"\x89PNG")]
    with pytest.raises(InvalidEventError, match="reads text and got a CameraEvent"):
        engine.encode(events)


def test_a_headline_is_read_with_its_body_and_a_transcript_as_it_is(engine: SparseEngine):
    """What an event says is one text, cut at the most tokens the model has room for."""
    headline, article, spoken, long = engine.encode(
        [
            NewsEvent(id="1", headline="profit rises"),
            NewsEvent(id="2", headline="profit", body="rises"),
            TranscriptEvent(id="3", text="profit rises"),
            NewsEvent(id="4", headline="profit", body="rises " * 100),
        ]
    )
    assert headline == article == spoken
    assert long.tokens == len(long.data) == engine.max_tokens


def test_ids_that_the_model_does_not_have_are_an_engine_error(engine: SparseEngine):
    """With the model's name, so that the batch can be bisected and the culprit found."""
    batch = engine.prepare([Encoded(tokens=2, data=[2, 9_999])])
    with pytest.raises(EngineError, match="small failed on a batch of 1"):
        engine.run(batch, FULL)


def test_scores_that_are_no_numbers_are_an_engine_error():
    """Even if it is one event of many; what overflows never becomes a label."""
    network = small_network()
    with torch.no_grad():
        network.embedding.tokens.weight[PIECES.index("profit")] = float("nan")
    engine = engine_of(network)
    sound = engine.prepare(engine.encode(_news(["loss", "strike"])))
    assert len(engine.run(sound, FULL)) == 2
    batch = engine.prepare(engine.encode(_news(["loss", "profit", "strike"])))
    with pytest.raises(EngineError, match="small returned scores that are not numbers"):
        engine.run(batch, FULL)


def test_labels_are_those_of_the_scores(engine: SparseEngine):
    """One score per label, whatever the event."""
    assert engine.labels == LABELS
    batch = engine.prepare(engine.encode(_news(_texts(3))))
    assert {len(each.scores) for each in engine.run(batch, FULL)} == {len(LABELS)}
