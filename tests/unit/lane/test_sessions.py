"""What was said before a segment is read with it, as far as there is room."""

from datetime import UTC, datetime, timedelta

import pytest

from inference.engine import Encoded
from schemas.events import Modality, NewsEvent, TranscriptEvent
from schemas.kafka import Inbound
from schemas.results import Source
from streams.lane.sessions import MOST_CHARACTERS, REORDERED, Context, Sessions, encode_in_context
from streams.lane.sources import Transcripts
from tests.fakes.engine import FakeEngine, encode_words

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def said(
    segment: int | None,
    text: str | None = None,
    *,
    session: str | None = "call",
    is_final: bool = True,
    after_s: float = 0.0,
) -> Inbound:
    """Make a segment whose text is its number unless told otherwise."""
    event = TranscriptEvent(
        id=f"s-{segment}",
        text=str(segment) if text is None else text,
        session_id=session,
        segment=segment,
        is_final=is_final,
    )
    return Inbound(
        event=event,
        modality=Modality.TRANSCRIPT,
        event_time=START + timedelta(seconds=after_s),
        source=Source(topic="events.transcripts", partition=0, offset=0),
    )


@pytest.fixture
def sessions() -> Sessions:
    """Two segments of context, of at most two sessions, for a minute."""
    return Sessions(Transcripts(context_segments=2, max_sessions=2, context_for_ms=60_000))


def test_the_last_final_segments_come_before_in_order(sessions: Sessions) -> None:
    """The oldest goes first; interim texts are read with context and are none."""
    contexts = [sessions.take(said(number)) for number in range(1, 4)]
    assert contexts == [(), ("1",), ("1", "2")]
    assert sessions.take(said(4, "no", is_final=False)) == ("2", "3")
    assert sessions.take(said(5)) == ("2", "3")


def test_order_is_that_of_the_numbers_not_of_arrival(sessions: Sessions) -> None:
    """What comes late is read where it belongs, and nobody reads what was said later."""
    for number in (3, 1, 2):
        sessions.take(said(number))
    assert sessions.take(said(2, is_final=False)) == ("1",)
    assert sessions.take(said(9)) == ("2", "3")


def test_a_final_text_said_anew_replaces_the_first(sessions: Sessions) -> None:
    """The recogniser has corrected itself."""
    sessions.take(said(1, "forty"))
    sessions.take(said(1, "fourteen"))
    assert sessions.take(said(2)) == ("fourteen",)


def test_sessions_do_not_hear_each_other(sessions: Sessions) -> None:
    """Nor does what belongs to none."""
    sessions.take(said(1))
    sessions.take(said(1, session=None))
    sessions.take(said(None))
    assert sessions.take(said(2, session="other")) == ()
    assert sessions.take(said(2, session=None)) == ()
    assert sessions.take(said(None)) == ()
    assert sessions.take(said(2)) == ("1",)


def test_what_was_said_long_ago_is_not_read(sessions: Sessions) -> None:
    """By the events' own times, so that a replay finds the same."""
    sessions.take(said(1))
    assert sessions.take(said(2, after_s=61)) == ()
    assert sessions.take(said(3, after_s=62)) == ("2",)


def test_memory_is_bounded_by_sessions_segments_and_length(sessions: Sessions) -> None:
    """The session that was silent for longest goes, and the segment that came first."""
    for session in ("a", "b", "a", "c"):
        sessions.take(said(1, session=session))
    assert len(sessions) == 2
    assert sessions.take(said(2, session="b")) == ()
    for number in range(1, REORDERED + 4):
        sessions.take(said(number))
    assert sessions.take(said(2, is_final=False)) == ()
    sessions.take(said(40, "a" * (MOST_CHARACTERS + 1)))
    assert sessions.take(said(41)) == tuple(str(REORDERED + each) for each in (2, 3))


def test_a_session_that_counts_from_the_start_again_has_context_again(sessions: Sessions) -> None:
    """What came last is kept, not what has the highest number."""
    for number in range(100, 120):
        sessions.take(said(number))
    for number in range(1, 4):
        sessions.take(said(number))
    assert sessions.take(said(4)) == ("2", "3")


def test_nothing_is_remembered_unless_asked_for() -> None:
    """The default leaves models with what they were trained on."""
    sessions = Sessions(Transcripts())
    sessions.take(said(1))
    assert (sessions.take(said(2)), len(sessions)) == ((), 0)


def test_a_cleared_memory_begins_anew(sessions: Sessions) -> None:
    """As after a restart."""
    sessions.take(said(1))
    sessions.clear()
    assert sessions.take(said(2)) == ()


def encoded(text: str, context: Context, max_tokens: int) -> Encoded:
    """Encode one segment in its context."""
    engine = FakeEngine(max_tokens=max_tokens)
    (one,) = encode_in_context(engine, [said(1, text).event], [context])
    return one


@pytest.mark.parametrize(
    ("room", "read"),
    [
        (20, "a b c d e f g own text"),
        (10, "a b c d e f g own text"),
        (9, "c d e f g own text"),
        (7, "f g own text"),
        (4, "own text"),
        (2, "own text"),
    ],
)
def test_the_own_text_has_the_first_claim_and_whole_texts_go(room: int, read: str) -> None:
    """The oldest go first; a text that just fills the model may have been cut, so it goes too."""
    assert encoded("own text", ("a b", "c d e", "f g"), room) == encode_words(read.split())


def test_a_text_that_fills_the_model_by_itself_is_read_alone() -> None:
    """Context never takes room from it."""
    assert encoded("one two three four", ("a",), 3) == encode_words(["one", "two", "three"])


def test_events_keep_their_order_with_and_without_context() -> None:
    """Those that must be shortened are no exception, and headlines have none."""
    events = [said(1, "one").event, said(2, "two").event, NewsEvent(id="n", headline="three")]
    contexts: list[Context] = [("a b c d e",), (), ()]
    found = encode_in_context(FakeEngine(max_tokens=4), events, contexts)
    assert found == [encode_words([word]) for word in ("one", "two", "three")]
