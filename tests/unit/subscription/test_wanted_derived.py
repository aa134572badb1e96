"""Signals and alerts are picked by what was asked for, each revision and each state once."""

from typing import Any

import pytest

from schemas import (
    Alert,
    AlertState,
    ConfigurationError,
    ContractError,
    Record,
    Signal,
    encode_alert,
    encode_signal,
)
from streams.subscription import KINDS, AnyOf, Seen, WantedAlerts, WantedSignals, subscribed_kind
from streams.topics import TopicKind
from tests.fakes.derived import alert, signal

SIGNALS = [
    signal(id="a", ticker="HBR"),
    signal(id="b", ticker="QRY", direction="positive"),
    signal(id="c", ticker="QRY", strength=0.1, direction="neutral"),
    signal(id="d", ticker="ORE", confidence=0.2),
]
ALERTS = [
    alert(id="a"),
    alert(id="b", scope="line", subject="hall-2"),
    alert(id="c", rule="negative_turn", scope="session", subject="call-1"),
    alert(id="a", state=AlertState.CLEARED),
]


def record_of(value: Signal | Alert) -> Record:
    """Return one as it lies in its topic."""
    sent = encode_signal(value) if isinstance(value, Signal) else encode_alert(value)
    return Record(topic="t", key=sent.key, value=sent.value, headers=sent.headers)


@pytest.mark.parametrize(
    ("asked", "picked"),
    [
        ({}, [0, 1, 2, 3]),
        ({"tickers": {"QRY", "ORE"}}, [1, 2, 3]),
        ({"directions": ["negative", "neutral"]}, [0, 2, 3]),
        ({"min_strength": 0.5}, [0, 1, 3]),
        ({"min_confidence": 0.5, "tickers": {"HBR", "ORE"}}, [0]),
    ],
)
def test_signals_are_picked_by_instrument_direction_and_weight(
    asked: dict[str, Any], picked: list[int]
) -> None:
    """All that is asked holds."""
    wanted, seen = WantedSignals(**asked), Seen()
    found = [wanted.pick(record_of(one), seen) for one in SIGNALS]
    assert found == [one if at in picked else None for at, one in enumerate(SIGNALS)]


@pytest.mark.parametrize(
    ("asked", "picked"),
    [
        ({}, [0, 1, 2, 3]),
        ({"states": {"raised"}}, [0, 1, 2]),
        ({"rules": ["negative_turn"]}, [2]),
        ({"scopes": {"line", "camera"}}, [0, 1, 3]),
        ({"subjects": {"hall-2/gate-3"}, "states": {AlertState.CLEARED}}, [3]),
    ],
)
def test_alerts_are_picked_by_state_and_what_they_are_about(
    asked: dict[str, Any], picked: list[int]
) -> None:
    """All that is asked holds."""
    wanted, seen = WantedAlerts(**asked), Seen()
    found = [wanted.pick(record_of(one), seen) for one in ALERTS]
    assert found == [one if at in picked else None for at, one in enumerate(ALERTS)]


def test_a_corrected_signal_comes_once_and_is_not_taken_back() -> None:
    """The first that is repeated after its correction does not replace it."""
    wanted, seen = WantedSignals(), Seen()
    first, corrected = signal(), signal(revision=1, direction="positive")
    told = [first, first, corrected, first, corrected]
    found = [wanted.pick(record_of(one), seen) for one in told]
    assert found == [first, None, corrected, None, None]


def test_an_alert_comes_once_for_each_state() -> None:
    """An app that recovers tells again what it told; what was cleared is not raised by that."""
    wanted, seen = WantedAlerts(), Seen()
    raised, cleared = alert(), alert(state=AlertState.CLEARED)
    found = [wanted.pick(record_of(one), seen) for one in (raised, cleared, raised, cleared)]
    assert found == [raised, cleared, None, None]


@pytest.mark.parametrize("wanted", [WantedSignals(), WantedAlerts()])
def test_what_is_none_of_the_kind_is_an_error(wanted: WantedSignals | WantedAlerts) -> None:
    """The subscription counts it and goes on."""
    for value in (b"{}", b"no json", None):
        with pytest.raises(ContractError):
            wanted.pick(Record(topic="t", value=value), Seen())


@pytest.mark.parametrize(
    ("kind", "asked", "named"),
    [
        (WantedSignals, {"directions": {"up"}}, "directions: 'up' is unknown; choose positive"),
        (WantedSignals, {"min_strength": 2}, "min_strength: 2 is out of range; give 0 to 1"),
        (WantedSignals, {"tickers": "HBR"}, "tickers: 'HBR' is one text; give a set"),
        (WantedAlerts, {"states": {"over"}}, "states: 'over' is unknown; choose raised, cleared"),
        (WantedAlerts, {"states": "raised"}, "states: 'raised' is one text; give a set"),
    ],
)
def test_mistakes_are_named_with_their_remedy(kind: Any, asked: dict[str, Any], named: str) -> None:
    """A filter that could match nothing is refused."""
    with pytest.raises(ConfigurationError, match=named):
        kind(**asked)


@pytest.mark.parametrize("kind", KINDS)
def test_every_filter_that_a_kind_declares_is_a_field_of_it(kind: TopicKind) -> None:
    """What a query may ask reaches what chooses, and is told in the interface's documents."""
    wanted = KINDS[kind].wanted
    for one in wanted.FILTERS.values():
        schema = one.schema()
        text = schema.get("items", schema).get("enum", ["0.5"])[0]
        value = one.read([text])
        assert getattr(wanted(**{one.field: value}), one.field) == one.settle(value)
        assert isinstance(one, AnyOf) is (schema["type"] == "array")


@pytest.mark.parametrize("kind", KINDS)
def test_equal_wishes_are_one(kind: TopicKind) -> None:
    """So that whoever serves many subscribers decides once for all who want the same."""
    wanted = KINDS[kind].wanted
    assert wanted() in wanted.plain()
    first, *_ = (one for one in wanted.FILTERS.values() if isinstance(one, AnyOf))
    text = first.schema()["items"].get("enum", ["x"])[0]
    one, other = (wanted(**{first.field: first.read([text])}) for _ in range(2))
    assert {one: 1} == {other: 1}
    assert one.key == (first, one.key[1])
    assert wanted().key is None


def test_a_topic_of_another_name_is_one_of_results() -> None:
    """Topics of results may be called anything."""
    assert subscribed_kind("desk-7") is KINDS[TopicKind.RESULTS]
    assert subscribed_kind("signals.news").value is Signal
    assert subscribed_kind("signals.news.dlq") is KINDS[TopicKind.DEAD_LETTERS]
