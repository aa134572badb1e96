"""A dead letter keeps its original whole and says what was wrong with it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from schemas import (
    DeadLetter,
    Limits,
    Modality,
    NewsEvent,
    Outbound,
    Record,
    Source,
    UndecodableError,
    decode_dead_letter,
    decode_event,
    encode_dead_letter,
    encode_event,
    encode_redrive,
    previous_attempts,
)

Build = Callable[..., Record]
LETTER = DeadLetter(
    error="invalid",
    message="headline: ' ' is blank; send a string",
    field="headline",
    event_id="n-17",
    source=Source(topic="events.news", partition=3, offset=41),
    modality=Modality.NEWS,
    content_type="application/json",
    failed_at=datetime(2026, 3, 2, 8, 0, 0, 5_000, tzinfo=UTC),
)
ORIGINAL = Record(
    topic="events.news",
    partition=3,
    offset=41,
    key=b"\x00key",
    value=b"\xff not JSON at all",
    headers=[("b", b"\xff"), ("a", None), ("b", b""), ("content-type", b"application/json")],
)


def _arrive(outbound: Outbound) -> Record:
    return Record(
        topic="events.news.dlq",
        partition=0,
        offset=7,
        key=outbound.key,
        value=outbound.value,
        headers=outbound.headers,
    )


def _change(**fields: Any) -> Record:
    return msgspec.structs.replace(ORIGINAL, **fields)


def test_a_letter_is_read_as_it_was_written():
    """With and without what is optional."""
    bare = DeadLetter(
        error="poison",
        message="müßig",
        source=LETTER.source,
        modality=Modality.CAMERA,
        failed_at=LETTER.failed_at,
        attempts=2,
        stack_digest="3f2a91c07d5e",
    )
    for letter in (LETTER, bare):
        assert decode_dead_letter(_arrive(encode_dead_letter(letter, ORIGINAL))) == letter


def test_the_original_travels_untouched():
    """Value, key and headers, in their order, with their repeats."""
    outbound = encode_dead_letter(LETTER, ORIGINAL)
    assert (outbound.key, outbound.value) == (ORIGINAL.key, ORIGINAL.value)
    assert outbound.headers[:4] == ORIGINAL.headers
    assert dict(outbound.headers[4:]) == {
        "headrace_error": b"invalid",
        "headrace_message": b"headline: ' ' is blank; send a string",
        "headrace_field": b"headline",
        "headrace_event_id": b"n-17",
        "headrace_modality": b"news",
        "headrace_content_type": b"application/json",
        "headrace_failed_at": b"2026-03-02T08:00:00.005000Z",
        "headrace_attempts": b"1",
        "headrace_source_topic": b"events.news",
        "headrace_source_partition": b"3",
        "headrace_source_offset": b"41",
    }


@pytest.mark.parametrize("key", [None, b"", b"k"])
@pytest.mark.parametrize("value", [None, b"", b"\x00\xff"])
def test_a_redrive_sends_the_original_in_again(key: bytes | None, value: bytes | None):
    """Exactly, but for the count of attempts."""
    original = _change(key=key, value=value)
    letter = _arrive(encode_dead_letter(LETTER, original))
    again = encode_redrive(letter)
    assert (again.key, again.value) == (key, value)
    assert again.headers == [*ORIGINAL.headers, ("headrace_attempts", b"1")]


def test_a_letter_has_a_trace_of_its_own_beside_the_original_s():
    """A redrive sends the original's alone."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    outbound = encode_dead_letter(LETTER, ORIGINAL, traceparent=trace)
    assert ("headrace_traceparent", trace.encode()) in outbound.headers
    assert decode_dead_letter(_arrive(outbound)) == LETTER
    assert "headrace_traceparent" not in dict(encode_redrive(_arrive(outbound)).headers)


def test_a_letter_is_never_a_tombstone():
    """On a compacted topic it would erase itself."""
    assert encode_dead_letter(LETTER, _change(value=None)).value == b""


def test_attempts_add_up_over_redrives():
    """An event that fails for ever shows it."""
    record = ORIGINAL
    for attempts in (1, 2, 3):
        letter = _arrive(encode_dead_letter(LETTER, record))
        assert decode_dead_letter(letter).attempts == attempts
        record = _arrive(encode_redrive(letter))
        assert previous_attempts(record) == attempts
        assert [name for name, _ in record.headers].count("headrace_attempts") == 1
    assert previous_attempts(ORIGINAL) == 0


@pytest.mark.parametrize("written", [b"", b"-1", b"many", b"9" * 4000, None])
def test_a_damaged_count_of_attempts_counts_as_none(written: bytes | None):
    """It is a header like any other; anyone can write it."""
    assert previous_attempts(_change(headers=[("headrace_attempts", written)])) == 0


def test_a_redriven_event_is_decoded_like_a_fresh_one():
    """What a letter adds means nothing to the decoder."""
    fresh = encode_event(NewsEvent(id="n-17", headline="Rain"), budget_ms=80)
    again = encode_redrive(_arrive(encode_dead_letter(LETTER, _arrive(fresh))))
    inbound = decode_event(_arrive(again), Modality.NEWS, now_ms=0)
    assert inbound == decode_event(_arrive(fresh), Modality.NEWS, now_ms=0)


def test_headers_beyond_the_limits_are_left_out_and_counted():
    """A record that was refused for its headers must still fit into a letter."""
    many = _change(headers=[(f"x-{index}", b"1") for index in range(70)])
    letter = encode_dead_letter(LETTER, many)
    assert ("headrace_headers_omitted", b"6") in letter.headers
    assert letter.headers[:64] == many.headers[:64]
    large = _change(headers=[("small", b"1"), ("large", b"x" * 100), ("last", b"1")])
    letter = encode_dead_letter(LETTER, large, limits=Limits(header_bytes=50))
    assert ("headrace_headers_omitted", b"2") in letter.headers
    assert letter.headers[0] == ("small", b"1")


@pytest.mark.parametrize("missing", ["headrace_headers_omitted", "headrace_value_omitted"])
def test_a_letter_without_all_of_its_original_is_not_redriven(missing: str):
    """The source topic still has it."""
    letter = _arrive(encode_dead_letter(LETTER, ORIGINAL))
    cut = msgspec.structs.replace(letter, headers=[*letter.headers, (missing, b"9")])
    with pytest.raises(UndecodableError, match=r"events\.news\.dlq/0/7") as caught:
        encode_redrive(cut)
    assert caught.value.field == missing


def test_a_long_message_is_cut():
    """It quotes what others have written."""
    letter = msgspec.structs.replace(LETTER, message="ß" * 5_000)
    outbound = encode_dead_letter(letter, ORIGINAL)
    assert decode_dead_letter(_arrive(outbound)).message == "ß" * 1_000


def test_what_is_no_letter_is_refused():
    """An operator may point at the wrong topic."""
    with pytest.raises(UndecodableError, match="do not describe a dead letter"):
        decode_dead_letter(ORIGINAL)
    letter = _arrive(encode_dead_letter(LETTER, ORIGINAL))
    damaged = [
        (name, b"soon" if name == "headrace_failed_at" else value) for name, value in letter.headers
    ]
    with pytest.raises(UndecodableError, match="failed_at"):
        decode_dead_letter(msgspec.structs.replace(letter, headers=damaged))
