"""What is written is read back the same, for any event, letter and text."""

import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from schemas import (
    CameraEvent,
    DeadLetter,
    Event,
    InvalidEventError,
    Modality,
    NewsEvent,
    Outbound,
    Record,
    Source,
    TranscriptEvent,
    decode_dead_letter,
    decode_event,
    encode_dead_letter,
    encode_event,
    encode_redrive,
    result_id,
)
from schemas.generate import documents

NOW_MS = 1_772_438_400_000
NOW = datetime.fromtimestamp(NOW_MS / 1e3, UTC)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80)
visible = texts.map(lambda text: f"{text}x{text}")
ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40).map("x{}".format)
wholes = st.integers(0, 2**53 - 1)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(
    NOW.replace(year=1970, tzinfo=None),
    NOW.replace(tzinfo=None) - timedelta(days=1),
    timezones=offsets,
)


def _pattern(
    _validator: object, pattern: str, value: object, _schema: object
) -> Iterator[ValidationError]:
    """Check a pattern as JSON Schema means it: in Python, "$" is also before a last line break."""
    if isinstance(value, str) and not re.search(pattern.replace("$", r"\Z"), value):
        yield ValidationError(f"{value!r} does not match {pattern}")


VALIDATOR = extend(Draft202012Validator, {"pattern": _pattern})(documents()["news_event"])


def _optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


@st.composite
def pngs(draw: st.DrawFn) -> bytes:
    """Begin a PNG of any acceptable size."""
    width, height = draw(st.integers(1, 6_000)), draw(st.integers(1, 6_000))
    start = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height)
    return start + draw(st.binary(max_size=40))


news = st.builds(
    NewsEvent,
    id=ids,
    headline=visible,
    body=_optional(texts),
    source=texts,
    language=_optional(texts),
    url=_optional(texts),
    published_at=_optional(moments),
    tickers=st.lists(st.text("ABCDEFG.:-é", min_size=1, max_size=32), max_size=8).map(tuple),
)
transcripts = st.builds(
    TranscriptEvent,
    id=ids,
    text=visible,
    session_id=_optional(texts),
    segment=_optional(wholes),
    speaker=_optional(texts),
    is_final=st.booleans(),
    confidence=_optional(st.floats(0, 1)),
    start_ms=_optional(st.integers(0, 1_000)),
    end_ms=_optional(st.integers(1_000, 2_000)),
)
cameras = st.builds(
    CameraEvent,
    id=ids,
    image=pngs(),
    camera_id=texts,
    captured_at=_optional(moments),
    content_type=st.just("image/png"),
)
headers = st.lists(
    st.tuples(
        st.text(max_size=10).filter(lambda name: not name.startswith("headrace_")),
        _optional(st.binary(max_size=10)),
    ),
    max_size=8,
)


def _arrive(outbound: Outbound) -> Record:
    return Record(
        topic="events.any",
        timestamp_ms=NOW_MS,
        key=outbound.key,
        value=outbound.value,
        headers=outbound.headers,
    )


@given(
    event=st.one_of(news, transcripts, cameras),
    mode=st.sampled_from(["binary", "structured", "json"]),
    budget_ms=_optional(st.floats(1, 3_600_000).map(lambda value: round(value, 3))),
    priority=_optional(st.integers(0, 9)),
)
@settings(deadline=None, max_examples=300)
def test_any_event_arrives_as_it_was_sent(
    event: Event, mode: str, budget_ms: float | None, priority: int | None
):
    """In every form, with any options."""
    modality = Modality(type(event).__name__.removesuffix("Event").lower())
    outbound = encode_event(event, mode=mode, budget_ms=budget_ms, priority=priority)
    inbound = decode_event(_arrive(outbound), modality, now_ms=NOW_MS)
    assert inbound.event == event
    assert (inbound.budget_ms, inbound.priority) == (budget_ms, priority)
    own = getattr(event, "published_at", None) or getattr(event, "captured_at", None)
    assert inbound.event_time == (own or NOW)


@given(
    letter=st.builds(
        DeadLetter,
        error=st.sampled_from(["undecodable", "invalid", "oversized", "poison", "crashed"]),
        message=texts,
        field=_optional(texts),
        event_id=_optional(ids),
        source=st.builds(Source, topic=ids, partition=wholes, offset=wholes),
        modality=st.sampled_from(list(Modality)),
        content_type=_optional(texts),
        failed_at=moments.map(lambda moment: moment.astimezone(UTC)),
        attempts=st.integers(1, 1_000),
        stack_digest=_optional(st.text("0123456789abcdef", min_size=12, max_size=12)),
    ),
    key=_optional(st.binary()),
    value=_optional(st.binary()),
    sent=headers,
)
@settings(deadline=None, max_examples=200)
def test_any_record_survives_being_a_dead_letter(
    letter: DeadLetter,
    key: bytes | None,
    value: bytes | None,
    sent: list[tuple[str, bytes | None]],
):
    """The letter tells the same, and the redrive sends the same."""
    outbound = encode_dead_letter(letter, Record(topic="t", key=key, value=value, headers=sent))
    arrived = _arrive(outbound)
    assert decode_dead_letter(arrived) == letter
    again = encode_redrive(arrived)
    assert (again.key, again.value, again.headers[:-1]) == (key, value, sent)
    assert again.headers[-1] == ("headrace_attempts", str(letter.attempts).encode())


@pytest.mark.parametrize("field", ["id", "headline", "body"])
@example(text="0\n")
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
@settings(deadline=None)
def test_schema_and_decoder_agree_on_any_text(field: str, text: str):
    """On what is blank and what may be in it."""
    document = {"id": "n-17", "headline": "Rain", field: text}
    valid = VALIDATOR.is_valid(document)
    record = Record(topic="events.news", value=orjson.dumps(document))
    if valid:
        assert getattr(decode_event(record, Modality.NEWS, now_ms=NOW_MS).event, field) == text
    else:
        with pytest.raises(InvalidEventError, match=field):
            decode_event(record, Modality.NEWS, now_ms=NOW_MS)


topics = st.text("abc.-_0123456789", min_size=1, max_size=6)
names = st.tuples(
    topics, st.integers(0, 99), st.integers(0, 99), st.sampled_from(["a", "b"]), st.integers(0, 2)
)


@given(one=names, other=names)
def test_two_results_have_one_id_only_if_they_are_the_same(
    one: tuple[str, int, int, str, int], other: tuple[str, int, int, str, int]
):
    """Topic names hold no separator of ids."""

    def named(topic: str, partition: int, offset: int, digit: str, revision: int) -> str:
        source = Source(topic=topic, partition=partition, offset=offset)
        return result_id(source, f"sha256:{digit * 64}", revision)

    assert (named(*one) == named(*other)) == (one == other)
