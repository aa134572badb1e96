"""What a person or script sees of a record, and which records they asked for."""

from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from schemas import AlertState, encode_alert, encode_signal
from schemas.errors import ConfigurationError
from streams.commands.tail import Printer
from streams.subscription import KINDS
from streams.tail.reading import parse_condition, to_document, wanted
from streams.topics import TopicKind
from tests.fakes import consumer
from tests.fakes.derived import alert, signal

DEEP = b'{"a":' + b"[" * 500 + b"]" * 500 + b"}"
"""Can be read as JSON, but not be written again."""
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


def record(value: bytes | None, **fields: Any) -> ConsumerRecord[bytes, bytes]:
    """Make a record of a topic that is nobody's."""
    return consumer.record(TopicPartition("t", 0), 0, value, **fields)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b'{"a": 1}', {"id": "e", "a": 1}),
        (b"[1]", {"id": "e", "value": [1]}),
        (b"plain", {"id": "e", "value": "plain"}),
        (b"\xff\x00", {"id": "e", "value": "2 bytes"}),
        (None, {"id": "e", "value": None}),
        (DEEP, {"id": "e", "value": DEEP.decode()}),
    ],
)
def test_any_record_can_be_shown(value: bytes | None, shown: dict[str, Any]) -> None:
    """JSON is merged with the CloudEvents attributes; other bytes are told by their number."""
    assert to_document(record(value, headers=(("ce_id", b"e"),)), TopicKind.EVENTS) == shown


@pytest.mark.parametrize("kind", KINDS)
def test_a_foreign_record_on_our_topics_is_shown_as_it_is(kind: TopicKind) -> None:
    """What is no result and no dead letter does not end the following of a topic."""
    assert to_document(record(b'{"a": 1}'), kind) == {"a": 1}


@pytest.mark.parametrize(
    ("timestamp", "shown"),
    [(45_296_789, "12:34:56.789"), (-1, "23:59:59.999"), (10**18, str(10**18))],
)
def test_any_timestamp_can_be_shown(
    timestamp: int, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A producer may count in nanoseconds; following its topic goes on."""
    printer = Printer(TopicKind.EVENTS, [], as_json=False, limit=None)
    printer.print(record(b'{"a": 1}', timestamp=timestamp))
    assert capsys.readouterr().out == f'{shown} {{"a":1}}\n'


def test_a_limit_counts_what_was_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    """Records that were passed over do not count, and nothing is printed beyond it."""
    wanted_ones = [parse_condition("a>1")]
    printer = Printer(TopicKind.EVENTS, wanted_ones, as_json=False, limit=2)
    for number in range(5):
        printer.print(record(b'{"a": %d}' % number, timestamp=0))
    assert printer.done
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(" ", 1)[1] for line in printed] == ['{"a":2}', '{"a":3}']


def test_signals_and_alerts_are_told_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Which way, of what, how strong, of how many events."""
    signals = Printer(TopicKind.SIGNALS, [], as_json=False, limit=None)
    alerts = Printer(TopicKind.ALERTS, [], as_json=False, limit=None)
    signals.print(record(encode_signal(signal(surprise=-2.5, revision=1)).value, timestamp=0))
    for one in (alert(), alert(state=AlertState.CLEARED, value=0.1, threshold=0.1)):
        alerts.print(record(encode_alert(one).value, timestamp=0))
    printed = [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert printed == [
        "negative HBR           strength 0.75  confidence 0.60  of 4  surprise -2.5  revision 1",
        "raised  defect_rate  camera hall-2/gate-3  0.25 >= 0.20  of 20",
        "cleared defect_rate  camera hall-2/gate-3  0.10 <= 0.10  of 20",
    ]


def test_a_signal_can_be_asked_for_by_its_fields() -> None:
    """As results can."""
    document = to_document(record(encode_signal(signal()).value), TopicKind.SIGNALS)
    assert wanted(document, [parse_condition("ticker=HBR"), parse_condition("strength>=0.5")])
