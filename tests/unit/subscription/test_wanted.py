"""Filters pick what was asked for, each once."""

from typing import Any

import msgspec
import pytest

from schemas import (
    Classification,
    ConfigurationError,
    ContractError,
    DeadLetter,
    Modality,
    Record,
    Source,
    Verdict,
    encode_dead_letter,
    encode_result,
)
from streams.subscription import Answers, Seen, WantedLetters, WantedResults
from tests.fakes.results import MOMENT, result


def record_of(made: Classification, key: bytes | None = None) -> Record:
    """Return a result as it lies in its topic."""
    sent = encode_result(made, key=key)
    return Record(topic="results.news", key=sent.key, value=sent.value, headers=sent.headers)


def at(offset: int, topic: str = "events.news", **fields: Any) -> Classification:
    """Return a result of the event at an offset."""
    source = Source(topic=topic, partition=0, offset=offset)
    return msgspec.structs.replace(result(), source=source, **fields)


@pytest.mark.parametrize(
    ("asked", "picked"),
    [
        ({}, [0, 1, 2, 3]),
        ({"labels": {"negative"}}, [1]),
        ({"labels": {"negative", "positive"}}, [0, 1, 3]),
        ({"verdicts": {"shed", Verdict.LATE}}, [1, 2]),
        ({"min_confidence": 0.8}, [0, 3]),
        ({"source_topics": ["events.desk"]}, [3]),
        ({"keys": {b"HBR"}}, [1]),
        ({"tickers": {"HBR", "ORE"}}, [0]),
        ({"cameras": {"gate-3"}}, [2]),
        ({"sessions": {"call-1"}, "labels": {"negative"}}, [1]),
        ({"labels": {"positive"}, "source_topics": {"events.news"}}, [0]),
    ],
)
def test_all_that_is_asked_holds(asked: dict[str, Any], picked: list[int]) -> None:
    """Several values of one filter are alternatives; several filters hold together."""
    scores = {"negative": 0.6, "positive": 0.4}
    records = [
        record_of(at(0, tickers=("QRY", "HBR"))),
        record_of(
            at(1, label="negative", scores=scores, verdict=Verdict.LATE, session_id="call-1"),
            b"HBR",
        ),
        record_of(at(2, label=None, scores={}, verdict=Verdict.SHED, camera_id="gate-3")),
        record_of(at(3, topic="events.desk")),
    ]
    wanted, seen = WantedResults(**asked), Seen()
    found = [wanted.pick(record, seen) for record in records]
    assert [one.source.offset for one in found if one is not None] == picked


def test_first_answers_leave_revisions_out() -> None:
    """Who acts at once acts once."""
    wanted, seen = WantedResults(), Seen()
    answers = [at(0), at(0, revision=1), at(1)]
    picked = [wanted.pick(record_of(one), seen) for one in answers]
    assert picked == [answers[0], None, answers[2]]


def test_a_second_answer_that_comes_before_the_first_does_not_hide_it() -> None:
    """Of results without a key the two lie in different partitions."""
    wanted, seen = WantedResults(), Seen()
    answers = [at(0, revision=1), at(0)]
    assert [wanted.pick(record_of(one), seen) for one in answers] == [None, answers[1]]


def test_best_answers_come_in_rising_order() -> None:
    """A first answer that is repeated after the second does not replace it."""
    wanted, seen = WantedResults(answers=Answers.BEST), Seen()
    answers = [at(0), at(0, revision=1), at(0), at(0, revision=1)]
    picked = [wanted.pick(record_of(one), seen) for one in answers]
    assert picked == [answers[0], answers[1], None, None]


def test_the_first_answer_counts_even_where_its_repetition_is_wanted() -> None:
    """A late first answer is not made timely by a repetition with another verdict."""
    wanted, seen = WantedResults(verdicts={Verdict.ON_TIME}), Seen()
    assert wanted.pick(record_of(at(0, verdict=Verdict.LATE)), seen) is None
    assert wanted.pick(record_of(at(0)), seen) is None


def test_letters_are_picked_by_error_and_source() -> None:
    """Each once."""
    letters = [
        DeadLetter(
            error=error,
            message="text: is missing",
            source=Source(topic=topic, partition=0, offset=offset),
            modality=Modality.NEWS,
            failed_at=MOMENT,
        )
        for offset, (error, topic) in enumerate(
            [("invalid", "events.news"), ("poison", "events.news"), ("poison", "events.desk")]
        )
    ]
    original = Record(topic="events.news", value=b"{}")
    records = []
    for letter in letters:
        sent = encode_dead_letter(letter, original)
        records.append(Record(topic="x.dlq", key=sent.key, value=sent.value, headers=sent.headers))
    wanted, seen = WantedLetters(errors={"poison"}, source_topics={"events.news"}), Seen()
    assert [wanted.pick(record, seen) for record in records] == [None, letters[1], None]
    assert wanted.pick(records[1], seen) is None


@pytest.mark.parametrize("wanted", [WantedResults(), WantedLetters()])
def test_what_is_none_of_the_kind_is_an_error(wanted: WantedResults | WantedLetters) -> None:
    """The subscription counts it and goes on."""
    for value in (b"not a result", None):
        with pytest.raises(ContractError):
            wanted.pick(Record(topic="results.news", value=value), Seen())


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"verdicts": {"soon"}}, "verdicts: 'soon' is unknown; choose on_time, late"),
        ({"answers": "last"}, "answers: 'last' is unknown; choose first, best"),
        ({"min_confidence": 80}, "min_confidence: 80 is out of range; give 0 to 1"),
        ({"labels": "negative"}, "labels: 'negative' is one text; give a set"),
        ({"labels": None}, "labels: null is no set; give one, or leave it out"),
        ({"keys": {"HBR"}}, "keys: 'HBR' is not of bytes; give such as {b'HBR'}"),
        ({"tickers": ["HBR", 1]}, "tickers: 1 is not of str; give such as {'HBR'}"),
        ({"min_confidence": "0.5"}, "min_confidence: '0.5' is no number; give 0 to 1"),
    ],
)
def test_mistakes_are_named_with_their_remedy(asked: dict[str, Any], named: str) -> None:
    """A filter that could match nothing is refused."""
    with pytest.raises(ConfigurationError, match=named):
        WantedResults(**asked)
