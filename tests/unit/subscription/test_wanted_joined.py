"""Session states and fused answers are picked by what was asked for, the newest of each."""

from typing import Any

import msgspec
import pytest

from schemas import (
    ConfigurationError,
    Fused,
    FusedPart,
    Incomplete,
    Modality,
    Record,
    SessionState,
    Verdict,
    encode_fused,
    encode_session,
)
from streams.subscription import Seen, WantedFused, WantedSessions
from tests.fakes.results import MOMENT

STATE = SessionState(
    session_id="call-7",
    sequence=3,
    segments=2,
    current_intent="card",
    results=("a", "b"),
    first_event_time=MOMENT,
    event_time=MOMENT,
)
NEWS = FusedPart(
    label="negative", score=0.9, verdict=Verdict.ON_TIME, result="a", event_time=MOMENT
)
WHOLE = Fused(
    id="harbour:events.news:0:1",
    key="harbour",
    parts={Modality.NEWS: NEWS},
    complete=True,
    event_time=MOMENT,
    window_s=10.0,
)
PARTIAL = msgspec.structs.replace(
    WHOLE,
    id="toll:events.news:0:2",
    key="toll",
    complete=False,
    missing=(Modality.CAMERA,),
    reason=Incomplete.WAIT_OVER,
    ambiguous=True,
    confidence=0.6,
    rivals=("b",),
)
OVER = msgspec.structs.replace(
    PARTIAL,
    id="toll:events.camera:0:2",
    parts={},
    superseded_by=PARTIAL.id,
    ambiguous=False,
)
ANSWERS = [WHOLE, PARTIAL, OVER]


def record_of(value: SessionState | Fused) -> Record:
    """Return one as it lies in its topic."""
    sent = encode_fused(value) if isinstance(value, Fused) else encode_session(value)
    return Record(topic="t", key=sent.key, value=sent.value, headers=sent.headers)


@pytest.mark.parametrize(
    ("asked", "picked"),
    [
        ({}, [0, 1, 2]),
        ({"keys": {"toll"}}, [1, 2]),
        ({"labels": {"negative"}}, [0, 1]),
        ({"states": {"complete", "incomplete"}}, [0, 1]),
        ({"missing": {"camera"}, "states": {"incomplete"}}, [1]),
        ({"certainties": {"ambiguous"}}, [1]),
        ({"certainties": {"clear"}, "keys": {"toll"}}, [2]),
    ],
)
def test_answers_are_picked_by_what_they_say(asked: dict[str, Any], picked: list[int]) -> None:
    """All that is asked holds."""
    wanted, seen = WantedFused(**asked), Seen()
    found = [wanted.pick(record_of(one), seen) for one in ANSWERS]
    assert found == [one if at in picked else None for at, one in enumerate(ANSWERS)]


def test_an_answer_that_was_revised_is_not_taken_back() -> None:
    """The first that is repeated after its revision does not replace it."""
    wanted, seen = WantedFused(), Seen()
    revised = msgspec.structs.replace(WHOLE, revision=1)
    found = [wanted.pick(record_of(one), seen) for one in (WHOLE, revised, WHOLE, revised)]
    assert found == [WHOLE, revised, None, None]


def test_of_a_session_the_newest_state_counts() -> None:
    """An app that recovers tells again what it told."""
    wanted, seen = WantedSessions(sessions={"call-7"}), Seen()
    newer = msgspec.structs.replace(STATE, sequence=4, current_intent="balance")
    other = msgspec.structs.replace(STATE, session_id="call-8")
    found = [wanted.pick(record_of(one), seen) for one in (STATE, newer, STATE, other)]
    assert found == [STATE, newer, None, None]
    assert WantedSessions(intents={"balance"}).pick(record_of(STATE), Seen()) is None
    assert WantedSessions(intents={"balance"}).pick(record_of(newer), Seen()) == newer


def test_a_state_that_there_is_not_is_refused() -> None:
    """With those that there are."""
    with pytest.raises(ConfigurationError, match="states: 'whole' is unknown; choose complete"):
        WantedFused(states={"whole"})  # type: ignore[arg-type]
