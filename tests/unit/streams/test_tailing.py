"""What a person or script sees of a record, and which records they asked for."""

from typing import Any

import pytest
from aiokafka import ConsumerRecord

from schemas.errors import ConfigurationError
from streams.tailing import parse_condition, to_document, wanted
from streams.topics import TopicKind

RESULT = {"label": "negative", "verdict": "late", "latency": {"total_ms": 180.5}, "reason": None}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("label=negative", True),
        ("label=positive", False),
        ("label!=positive", True),
        ("latency.total_ms>100", True),
        ("latency.total_ms<100", False),
        ("latency.total_ms>=180.5", True),
        ("latency.total_ms=fast", False),
        ("reason=null", True),
        ("nothing.there=1", False),
        ("nothing!=1", False),
        ("label.deeper=1", False),
    ],
)
def test_a_condition_compares_a_field(text: str, holds: bool) -> None:
    """Numbers compare as numbers, texts as texts, and an absent field never holds."""
    assert wanted(RESULT, [parse_condition(text)]) is holds


def test_all_conditions_have_to_hold() -> None:
    """Two conditions narrow down what one lets through."""
    both = [parse_condition("label=negative"), parse_condition("verdict=on_time")]
    assert not wanted(RESULT, both)
    assert wanted(RESULT, both[:1])


@pytest.mark.parametrize("text", ["label", "", "=x", "a b=c"])
def test_what_is_no_comparison_is_refused_with_an_example(text: str) -> None:
    """The error shows how one is written."""
    with pytest.raises(ConfigurationError, match="label=negative"):
        parse_condition(text)


def record(value: bytes | None, headers: tuple[tuple[str, bytes], ...] = ()) -> Any:
    """Make a record of a topic that is nobody's."""
    return ConsumerRecord("t", 0, 0, 0, 0, None, value, None, 0, 0, headers)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b'{"a": 1}', {"id": "e", "a": 1}),
        (b"[1]", {"id": "e", "value": [1]}),
        (b"plain", {"id": "e", "value": "plain"}),
        (b"\xff\x00", {"id": "e", "value": "2 bytes"}),
        (None, {"id": "e", "value": None}),
    ],
)
def test_any_record_can_be_shown(value: bytes | None, shown: dict[str, Any]) -> None:
    """JSON is merged with the CloudEvents attributes; other bytes are told by their number."""
    assert to_document(record(value, (("ce_id", b"e"),)), TopicKind.EVENTS) == shown


@pytest.mark.parametrize("kind", [TopicKind.RESULTS, TopicKind.DEAD_LETTERS])
def test_a_foreign_record_on_our_topics_is_shown_as_it_is(kind: TopicKind) -> None:
    """What is no result and no dead letter does not end the following of a topic."""
    assert to_document(record(b'{"a": 1}'), kind) == {"a": 1}
