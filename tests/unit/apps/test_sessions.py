"""A session's state is that of its segments, whatever order their results come in."""

from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import Classification, Modality, SessionState, Source, decode_session
from streams.apps.sessions import sessions
from streams.apps.talk import TalkSettings
from tests.fakes.results import MOMENT, result

FEW = TalkSettings(most_segments=4)


def said(number: int, *, offset: int | None = None, **changes: Any) -> Classification:
    """Make the result of one segment, five seconds after the one before it."""
    values: dict[str, Any] = {
        "session_id": "call-7",
        "segment": number,
        "label": "balance",
        "scores": {changes.get("label", "balance"): 0.9},
        "source": Source(
            topic="events.transcripts", partition=0, offset=number if offset is None else offset
        ),
        "event_time": MOMENT + timedelta(seconds=5 * number),
    }
    return msgspec.structs.replace(result(modality=Modality.TRANSCRIPT), **(values | changes))


def heard(results: list[Classification], talk: TalkSettings | None = None) -> list[SessionState]:
    """Take all steps; return what was published of the session."""
    app = sessions(talk, clock=lambda: 1_000.0)
    state, found = None, []
    for one in results:
        for session, part in app.spread(one):
            step = app.step(session, state, part)
            if step is not None:
                state = step.state
                found += [decode_session(outbound.value or b"") for outbound in step.derived]
    return found


def test_intents_are_counted_in_the_order_in_which_they_were_said() -> None:
    """Not in that in which their results came."""
    labels = ["greeting", "balance", "card", "balance"]
    results = [said(number, label=label) for number, label in enumerate(labels)]
    state = heard([results[number] for number in (3, 1, 0, 2)])[-1]
    assert [
        (one.label, one.count, one.first_segment, one.last_segment) for one in state.intents
    ] == [("greeting", 1, 0, 0), ("balance", 2, 1, 3), ("card", 1, 2, 2)]
    assert (state.current_intent, state.segments, state.sequence) == ("balance", 4, 4)
    assert (state.first_event_time, state.event_time) == (MOMENT, results[3].event_time)
    assert state.results == tuple(f"events.transcripts:0:{number}:00:0" for number in range(4))


def test_a_final_text_replaces_the_interim_ones() -> None:
    """Also where an interim one's result comes last."""
    interim, final = said(0, offset=1, label="card"), said(0, offset=2, label="balance")
    for results in ([interim, final], [final, interim]):
        (intent,) = heard(results)[-1].intents
        assert (intent.label, intent.count) == ("balance", 1)


def test_a_second_answer_replaces_the_first() -> None:
    """A segment that was shed at first was said all the same."""
    shed = said(0, label=None, scores={}, speaker="caller")
    (state,) = heard([shed])
    assert (state.segments, state.intents, state.last_speaker) == (1, (), "caller")
    state = heard([shed, said(0, revision=1)])[-1]
    assert (state.segments, state.current_intent) == (1, "balance")


def test_sentiments_make_the_mood_and_are_no_intents() -> None:
    """Half of the weight goes in two minutes; a model of intents tells no mood."""
    bad = said(0, label="negative", scores={"negative": 1.0})
    good = said(24, label="positive", scores={"positive": 1.0})
    state = heard([bad, good])[-1]
    assert state.intents == ()
    assert state.mood == round((1 - 0.5) / 1.5, 6)
    assert heard([said(0)])[-1].mood is None


def test_a_question_is_open_until_the_other_side_speaks() -> None:
    """Whoever asks may go on speaking; a question in return is open in its place."""
    asked = said(1, speaker="caller", is_question=True)
    state = heard([asked, said(2, speaker="caller")])[-1]
    assert state.open_question is not None
    assert (state.open_question.segment, state.open_question.speaker) == (1, "caller")
    returned = said(3, speaker="agent", is_question=True)
    state = heard([asked, said(2, speaker="caller"), returned])[-1]
    assert state.open_question is not None
    assert state.open_question.segment == 3
    assert heard([asked, returned, said(4, speaker="caller")])[-1].open_question is None


def test_where_speakers_are_not_told_apart_the_next_segment_answers() -> None:
    """Nobody knows that it was not the other side."""
    asked = said(1, is_question=True)
    assert heard([asked])[-1].open_question is not None
    assert heard([asked, said(2)])[-1].open_question is None
    assert heard([asked, said(2, speaker="agent")])[-1].open_question is None


def test_an_interim_question_that_turns_out_to_be_none_is_not_open() -> None:
    """The final text counts."""
    asked = said(1, offset=1, speaker="caller", is_question=True)
    final = said(1, offset=2, speaker="caller", is_question=False)
    assert heard([asked, final])[-1].open_question is None


def test_older_segments_count_on_when_they_are_no_longer_kept() -> None:
    """One that comes after them is too late."""
    results = [said(number, label=f"intent-{number % 2}") for number in range(10)]
    states = heard(results, FEW)
    state = states[-1]
    assert (state.segments, len(state.results)) == (10, 4)
    assert [(one.label, one.count, one.last_segment) for one in state.intents] == [
        ("intent-0", 5, 8),
        ("intent-1", 5, 9),
    ]
    assert state.first_event_time == MOMENT
    assert heard([*results, said(3, offset=99)], FEW) == states


def test_a_session_that_was_silent_for_long_goes_on_counting() -> None:
    """Its segments are no longer kept; what comes too early in the day wakes nothing up."""
    now = [1_000.0]
    app = sessions(TalkSettings(keep_s=60.0), clock=lambda: now[0])
    assert app.wake is not None
    state = None
    for number in range(3):
        now[0] = 1_000.0 + number
        ((session, part),) = app.spread(said(number))
        step = app.step(session, state, part)
        assert step is not None
        state = step.state
    assert state is not None
    wake = app.wake("call-7", state)
    assert wake is not None
    assert wake.at == 1_062.0
    assert app.step("call-7", state, b"1061.0") is None
    silent = app.step("call-7", state, wake.part)
    assert silent is not None
    assert (silent.derived, app.wake("call-7", silent.state)) == ((), None)
    assert len(silent.state) < len(state) / 2
    ((_, late),) = app.spread(said(1, offset=9))
    assert app.step("call-7", silent.state, late) is None
    ((_, part),) = app.spread(said(3))
    step = app.step("call-7", silent.state, part)
    assert step is not None
    (outbound,) = step.derived
    found = decode_session(outbound.value or b"")
    assert (found.segments, found.sequence, found.intents[0].count) == (4, 4, 4)
    assert found.first_event_time == MOMENT


def test_an_unsure_label_is_no_intent() -> None:
    """The segment counts all the same; a surer answer to it brings its intent."""
    greeting = said(0, label="cancel_transfer", scores={"cancel_transfer": 0.07})
    unsure, sure = heard([greeting, said(0, revision=1, label="greeting")])
    assert (unsure.segments, unsure.intents, unsure.current_intent) == (1, (), None)
    assert (sure.segments, sure.current_intent) == (1, "greeting")
    (state,) = heard([greeting], TalkSettings(min_confidence=0.05))
    assert state.current_intent == "cancel_transfer"


def test_only_those_who_are_asked_about_have_intents() -> None:
    """What others say is part of the session, and answers questions."""
    results = [
        said(0, speaker="customer", label="balance", is_question=True),
        said(1, speaker="agent", label="card"),
    ]
    state = heard(results, TalkSettings(speakers=frozenset({"customer"})))[-1]
    assert [one.label for one in state.intents] == ["balance"]
    assert (state.segments, state.last_speaker, state.open_question) == (2, "agent", None)


def test_segments_without_number_are_ordered_by_their_time() -> None:
    """Each is its own."""
    results = [said(number, segment=None, label=f"intent-{number}") for number in range(3)]
    state = heard(results[::-1])[-1]
    assert [one.label for one in state.intents] == ["intent-0", "intent-1", "intent-2"]
    assert state.intents[0].first_segment is None


def test_results_of_no_session_concern_nobody() -> None:
    """They are results all the same."""
    assert list(sessions().spread(said(0, session_id=None))) == []


segments = st.builds(
    said,
    st.integers(0, 5),
    offset=st.integers(0, 30),
    label=st.sampled_from(["balance", "card", "negative", None]),
    scores=st.sampled_from([{"negative": 0.75}, {"positive": 0.5, "negative": 0.25}, {}]),
    speaker=st.sampled_from(["caller", "agent", None]),
    is_question=st.sampled_from([True, False, None]),
    revision=st.integers(0, 1),
)
logs = st.lists(
    segments, min_size=1, max_size=20, unique_by=lambda one: (one.source.offset, one.revision)
)


@settings(max_examples=200, deadline=None)
@given(logs, st.data())
def test_any_order_and_repetition_give_the_same_state(
    log: list[Classification], data: st.DataObject
) -> None:
    """Only the sequence number tells how it came about."""
    repeated = log + data.draw(st.lists(st.sampled_from(log), max_size=10))
    shuffled = data.draw(st.permutations(repeated))
    first, second = heard(log)[-1], heard(shuffled)[-1]
    assert msgspec.structs.replace(first, sequence=0) == msgspec.structs.replace(second, sequence=0)


@settings(max_examples=100, deadline=None)
@given(st.integers(5, 40), st.data())
def test_reading_again_from_an_earlier_offset_publishes_nothing_new(
    count: int, data: st.DataObject
) -> None:
    """Whatever is still kept, and the sequence number is the same too."""
    log = [said(number, label=f"intent-{number % 3}") for number in range(count)]
    cut = data.draw(st.integers(0, count))
    assert heard(log[:cut] + log[data.draw(st.integers(0, cut)) :], FEW) == heard(log, FEW)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_segments_may_be_overtaken_by_as_many_as_are_kept(data: st.DataObject) -> None:
    """Also where older ones are no longer kept."""
    log = [said(number, label=f"intent-{number % 3}", speaker="agent") for number in range(30)]
    delays = data.draw(st.lists(st.integers(0, 3), min_size=30, max_size=30))
    order = sorted(range(30), key=lambda number: (number + delays[number], number))
    late = [log[number] for number in order]
    first, second = heard(log, FEW)[-1], heard(late, FEW)[-1]
    assert first == second
