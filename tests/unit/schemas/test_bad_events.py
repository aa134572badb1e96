"""Every way in which a record can break its contract is named: field, value, remedy."""

import base64
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from schemas import (
    DEFAULT_LIMITS,
    ContractError,
    Inbound,
    InvalidEventError,
    Modality,
    OversizedError,
    UndecodableError,
)
from schemas.errors import shown

Decode = Callable[..., Inbound]
Draw = Callable[..., bytes]
GOOD = {"id": "n-17", "headline": "Harbour strike ends after nine days"}
SAID = {"id": "s-4", "text": "good morning"}
JSON = {"content-type": "application/json"}
STRUCTURED = {"content-type": "application/cloudevents+json"}
ENVELOPE = {"specversion": "1.0", "id": "ce-9", "source": "/feeds", "type": "org.example.story"}
DEEP = b'{"id":"n","headline":"Rain","x":' + b"[" * 40 + b"]" * 40 + b"}"


def _without(field: str) -> dict[str, str]:
    return {name: value for name, value in GOOD.items() if name != field}


UNDECODABLE: dict[str, tuple[Any, dict[str, Any], str, str]] = {
    # value, headers, field, what the message names
    "a tombstone": (None, {}, "value", "tombstone"),
    "an empty value": (b"", {}, "value", "empty"),
    "cut-off JSON": (b'{"id":"n-17","head', {}, "value", "is not JSON"),
    "text": (b"Harbour strike ends", {}, "value", "Harbour strike ends"),
    "two documents": (b"{}{}", {}, "value", "after document"),
    "a byte order mark": (b'\xef\xbb\xbf{"id":"n"}', {}, "value", "BOM"),
    "bytes that are not UTF-8": (b'{"id":"\xff"}', {}, "value", "UTF-8"),
    "a lone surrogate": (b'{"id":"\\ud800"}', {}, "value", "surrogate"),
    "NaN": (b'{"id":"n","headline":NaN}', {}, "value", "NaN is no number"),
    "minus infinity": (b'{"x":-Infinity}', {}, "value", "Infinity is no number"),
    "a number beyond doubles": (b'{"x":1e999}', {}, "value", "infinity"),
    "depths that no parser follows": (b'{"x":' + b"[" * 5000, {}, "value", "depth"),
    "an array": ([GOOD], {}, "value", "array of 1 items"),
    "a string": ("Rain", {}, "value", "'Rain'"),
    "null": (b"null", {}, "value", "null"),
    "an image without its type": (b"\x89PNG\r\n\x1a\n1234", {}, "value", "image/png"),
    "XML": (b"<a/>", {"content-type": "text/xml"}, "content-type", "application/json"),
    "Avro": (GOOD, {"content-type": "application/avro"}, "content-type", "application/avro"),
    "an empty content type": (GOOD, {"content-type": ""}, "content-type", "''"),
    "an image as news": (b"\xff\xd8\xff", {"content-type": "image/jpeg"}, "content-type", "news"),
    "another charset": (
        GOOD,
        {"content-type": "application/json; charset=latin-1"},
        "content-type",
        "UTF-8",
    ),
    "batched mode": (
        [ENVELOPE],
        {"content-type": "application/cloudevents-batch+json"},
        "content-type",
        "record of its own",
    ),
    "CloudEvents in Protobuf": (
        b"\x0a",
        {"content-type": "application/cloudevents+protobuf"},
        "content-type",
        "application/cloudevents+json",
    ),
    "a header that is not UTF-8": (GOOD, {"ce_id": b"\xff\xfe"}, "ce_id", "UTF-8"),
    "an old CloudEvents version": (
        GOOD,
        JSON | {"ce_specversion": "0.3"},
        "ce_specversion",
        '"1.0"',
    ),
    "a structured event of an unknown version": (
        ENVELOPE | {"specversion": 1.0, "data": GOOD},
        STRUCTURED,
        "specversion",
        "1.0",
    ),
    "a structured event without its version": (
        {"id": "ce-9", "data": GOOD},
        STRUCTURED,
        "specversion",
        "is missing",
    ),
    "a structured event without data": (ENVELOPE, STRUCTURED, "data", "null"),
    "data that is text": (ENVELOPE | {"data": "Rain"}, STRUCTURED, "data", "'Rain'"),
    "data twice": (
        ENVELOPE | {"data": GOOD, "data_base64": "e30="},
        STRUCTURED,
        "data_base64",
        "only one",
    ),
    "data that is not base64": (
        ENVELOPE | {"data_base64": "e30=\n"},
        STRUCTURED,
        "data_base64",
        "not base64",
    ),
    "base64 of no text": (ENVELOPE | {"data_base64": 7}, STRUCTURED, "data_base64", "7"),
    "base64 beyond ASCII": (ENVELOPE | {"data_base64": "é"}, STRUCTURED, "data_base64", "'é'"),
    "base64 of what is not JSON": (
        ENVELOPE | {"data_base64": "Pz8/"},
        STRUCTURED,
        "data_base64",
        "???",
    ),
    "data of an unknown type": (
        ENVELOPE | {"data": GOOD, "datacontenttype": "text/plain"},
        STRUCTURED,
        "datacontenttype",
        "text/plain",
    ),
    "data of a type that is a number": (
        ENVELOPE | {"data": GOOD, "datacontenttype": 3},
        STRUCTURED,
        "datacontenttype",
        "3",
    ),
}

INVALID: dict[str, tuple[Any, dict[str, Any], str, str]] = {
    "no id": (_without("id"), {}, "id", "ce_id"),
    "an empty id": (GOOD | {"id": ""}, {}, "id", "empty"),
    "a blank id": (GOOD | {"id": "  "}, {}, "id", "blank"),
    "an id with a line break": (GOOD | {"id": "n\n17"}, {}, "id", "control character"),
    "an id that is a number": (GOOD | {"id": 17}, {}, "id", "17"),
    "an id that is too long": (GOOD | {"id": "n" * 257}, {}, "id", "256"),
    "an id from a header that is too long": (_without("id"), {"ce_id": "n" * 257}, "id", "256"),
    "no headline": (_without("headline"), {}, "headline", "is missing"),
    "a null headline": (GOOD | {"headline": None}, {}, "headline", "is missing"),
    "an empty headline": (GOOD | {"headline": ""}, {}, "headline", "empty"),
    "a blank headline": (GOOD | {"headline": " \t\u3000\n"}, {}, "headline", "blank"),
    "an invisible headline": (GOOD | {"headline": "\u200b\ufeff"}, {}, "headline", "blank"),
    "a headline with NUL": (GOOD | {"headline": "Ra\0in"}, {}, "headline", "control character"),
    "a headline that is an object": (GOOD | {"headline": {}}, {}, "headline", "object"),
    "a headline that is true": (GOOD | {"headline": True}, {}, "headline", "true"),
    "a headline that is too long": (GOOD | {"headline": "x" * 2001}, {}, "headline", "2,000"),
    "a body that is too long": (GOOD | {"body": "x" * 200_001}, {}, "body", "200,000"),
    "a body with NUL": (GOOD | {"body": "\0"}, {}, "body", "NUL"),
    "a source that is too long": (GOOD | {"source": "x" * 257}, {}, "source", "256"),
    "a source that is a list": (GOOD | {"source": ["a"]}, {}, "source", "array of 1"),
    "a URL that is too long": (GOOD | {"url": "h" * 2049}, {}, "url", "2,048"),
    "tickers that are text": (GOOD | {"tickers": "PORT"}, {}, "tickers", "'PORT'"),
    "a ticker that is a number": (GOOD | {"tickers": ["A", 3]}, {}, "tickers[1]", "3"),
    "an empty ticker": (GOOD | {"tickers": ["A", ""]}, {}, "tickers[1]", "empty"),
    "a null ticker": (GOOD | {"tickers": [None]}, {}, "tickers[0]", "null"),
    "a ticker that is too long": (GOOD | {"tickers": ["X" * 33]}, {}, "tickers[0]", "32"),
    "too many tickers": (GOOD | {"tickers": ["X"] * 65}, {}, "tickers", "64"),
    "a time that is a number": (GOOD | {"published_at": 1.7e9}, {}, "published_at", "RFC 3339"),
    "a time that is a word": (GOOD | {"published_at": "noon"}, {}, "published_at", "'noon'"),
    "a date alone": (GOOD | {"published_at": "2026-03-02"}, {}, "published_at", "2026-03-02"),
    "a time without an offset": (
        GOOD | {"published_at": "2026-03-02T08:00:00"},
        {},
        "published_at",
        "offset",
    ),
    "the 30th of February": (
        GOOD | {"published_at": "2026-02-30T08:00:00Z"},
        {},
        "published_at",
        "RFC 3339",
    ),
    "the year 1": (
        GOOD | {"published_at": "0001-01-01T00:00:00+14:00"},
        {},
        "published_at",
        "before 1970",
    ),
    "the year 9999": (
        GOOD | {"published_at": "9999-12-31T23:59:59-14:00"},
        {},
        "published_at",
        "future",
    ),
    "the day after tomorrow": (
        GOOD | {"published_at": "2026-03-03T08:00:01Z"},
        {},
        "published_at",
        "24 h",
    ),
    "a CloudEvents time that is a word": (GOOD, {"ce_time": "noon"}, "ce_time", "'noon'"),
    "a CloudEvents time without an offset": (
        GOOD,
        {"ce_time": "2026-03-02T08:00:00"},
        "ce_time",
        "offset",
    ),
    "a CloudEvents time of the year 9999": (
        GOOD,
        {"ce_time": "9999-12-31T23:59:59Z"},
        "ce_time",
        "future",
    ),
    "a CloudEvents id that is a number": (
        ENVELOPE | {"id": 9, "data": _without("id")},
        STRUCTURED,
        "id",
        "9 is not text",
    ),
    "a structured time that is a number": (
        ENVELOPE | {"time": 9, "data": GOOD},
        STRUCTURED,
        "time",
        "9 is not text",
    ),
    "a budget of nothing": (GOOD, {"ce_budgetms": ""}, "ce_budgetms", "''"),
    "a budget that is a word": (GOOD, {"ce_budgetms": "fast"}, "ce_budgetms", "'fast'"),
    "a budget of 0": (GOOD, {"ce_budgetms": "0"}, "ce_budgetms", "1 to 3,600,000"),
    "a negative budget": (GOOD, {"ce_budgetms": "-5"}, "ce_budgetms", "-5"),
    "a budget of more than an hour": (GOOD, {"ce_budgetms": "3600001"}, "ce_budgetms", "3600001"),
    "a budget that is not a number": (GOOD, {"ce_budgetms": "nan"}, "ce_budgetms", "nan"),
    "a budget in other digits": (GOOD, {"ce_budgetms": "٢٥٠"}, "ce_budgetms", "٢٥٠"),
    "a budget of endless digits": (GOOD, {"ce_budgetms": "9" * 5000}, "ce_budgetms", "5,000"),
    "a structured budget that is true": (
        ENVELOPE | {"data": GOOD, "budgetms": True},
        STRUCTURED,
        "budgetms",
        "true",
    ),
    "a structured budget that is a list": (
        ENVELOPE | {"data": GOOD, "budgetms": [1]},
        STRUCTURED,
        "budgetms",
        "array",
    ),
    "a priority of 10": (GOOD, {"ce_priority": "10"}, "ce_priority", "0 to 9"),
    "a negative priority": (GOOD, {"ce_priority": "-1"}, "ce_priority", "'-1'"),
    "an unknown priority": (GOOD, {"ce_priority": "urgent"}, "ce_priority", "low, normal, high"),
    "a structured priority with a point": (
        ENVELOPE | {"data": GOOD, "priority": 4.5},
        STRUCTURED,
        "priority",
        "4.5",
    ),
    "a structured priority that is true": (
        ENVELOPE | {"data": GOOD, "priority": True},
        STRUCTURED,
        "priority",
        "true",
    ),
    "an unknown overload policy": (GOOD, {"ce_onoverload": "drop"}, "ce_onoverload", "degrade"),
    "an overload policy that is a list": (
        ENVELOPE | {"data": GOOD, "onoverload": ["late"]},
        STRUCTURED,
        "onoverload",
        "array",
    ),
    "too many headers": (GOOD, {f"x-{n}": "1" for n in range(65)}, "headers", "64"),
    "headers that are too large": (GOOD, {"x": b"x" * 65_536}, "headers", "65,536"),
    "a null header with a long name": (GOOD, {"x" * 65_537: None}, "headers", "65,537"),
    "JSON that is too deep": (DEEP, {}, "value", "32 deep"),
    "a value that is too large": (b" " * (2 * 1024 * 1024 + 1), {}, "value", "2,097,153"),
}

BAD_TRANSCRIPTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no text": ({"id": "s-4"}, "text", "is missing"),
    "blank text": (SAID | {"text": " "}, "text", "blank"),
    "text that is too long": (SAID | {"text": "x" * 20_001}, "text", "20,000"),
    "a segment that is text": (SAID | {"segment": "4"}, "segment", "'4'"),
    "a negative segment": (SAID | {"segment": -1}, "segment", "-1"),
    "half a segment": (SAID | {"segment": 0.5}, "segment", "0.5"),
    "an endless segment": (SAID | {"segment": 2**53}, "segment", "9,007,199,254,740,991"),
    "a segment beyond integers": (SAID | {"segment": 1e300}, "segment", "bits"),
    "is_final that is a number": (SAID | {"is_final": 1}, "is_final", "true or false"),
    "too much confidence": (SAID | {"confidence": 1.01}, "confidence", "1.01"),
    "negative confidence": (SAID | {"confidence": -0.1}, "confidence", "-0.1"),
    "confidence in words": (SAID | {"confidence": "high"}, "confidence", "'high'"),
    "a negative start": (SAID | {"start_ms": -1}, "start_ms", "-1"),
    "an end before its start": (SAID | {"start_ms": 9, "end_ms": 8}, "end_ms", "before start_ms"),
}


def _break(decode: Decode, *args: Any, **fields: Any) -> ContractError:
    with pytest.raises(ContractError) as caught:
        decode(*args, **fields)
    return caught.value


@pytest.mark.parametrize("case", UNDECODABLE)
def test_bytes_that_are_not_what_they_should_be_are_undecodable(decode: Decode, case: str):
    """Each message names the field, what was found there, and what to send instead."""
    value, headers, field, named = UNDECODABLE[case]
    error = _break(decode, value, headers)
    assert isinstance(error, UndecodableError)
    assert (error.field, error.code) == (field, "undecodable")
    assert named in str(error)
    assert str(error).startswith(f"{field}: ")


@pytest.mark.parametrize("case", INVALID)
def test_an_event_that_breaks_a_rule_is_invalid(decode: Decode, case: str):
    """Each message names the field, what was found there, and what to send instead."""
    value, headers, field, named = INVALID[case]
    error = _break(decode, value, headers)
    assert isinstance(error, InvalidEventError)
    assert error.field == field
    assert named in str(error)
    assert str(error).startswith(f"{field}: ")
    assert len(str(error)) < 300


@pytest.mark.parametrize("case", BAD_TRANSCRIPTS)
def test_a_transcript_that_breaks_a_rule_is_invalid(decode: Decode, case: str):
    """The same for the fields that only transcripts have."""
    value, field, named = BAD_TRANSCRIPTS[case]
    error = _break(decode, value, modality=Modality.TRANSCRIPT)
    assert isinstance(error, InvalidEventError)
    assert error.field == field
    assert named in str(error)


@pytest.mark.parametrize("timestamp_ms", [-2, 2**62, 1_772_438_400_000 + 86_400_001])
def test_a_kafka_timestamp_from_nowhere_is_invalid(decode: Decode, timestamp_ms: int):
    """A deadline that is counted from it would mean nothing."""
    error = _break(decode, GOOD, timestamp_ms=timestamp_ms)
    assert isinstance(error, InvalidEventError)
    assert error.field == "timestamp"
    assert str(timestamp_ms) in str(error)


def test_an_image_must_be_what_its_content_type_says(decode: Decode, picture: Draw):
    """A PNG under the name of JPEG points at a misconfigured camera."""
    headers = {"content-type": "image/jpeg", "ce_id": "f"}
    error = _break(decode, picture("png"), headers, modality=Modality.CAMERA)
    assert error.field == "content_type"
    assert "image/png" in str(error)


def test_a_raw_image_needs_an_id(decode: Decode, picture: Draw):
    """It has nowhere to carry one but the headers."""
    error = _break(decode, picture(), {"content-type": "image/png"}, modality=Modality.CAMERA)
    assert error.field == "id"
    assert "ce_id" in str(error)


@pytest.mark.parametrize(
    ("image", "named"),
    [
        (b"GIF89a", "neither JPEG nor PNG"),
        (b"\xff\xd8\xff", "cut off"),
        (b"\x89PNG\r\n\x1a\n", "cut off"),
    ],
)
def test_an_image_that_cannot_be_measured_is_invalid(decode: Decode, image: bytes, named: str):
    """The model's decoder never sees it."""
    document = {"id": "f", "image": base64.b64encode(image).decode()}
    error = _break(decode, document, modality=Modality.CAMERA)
    assert error.field == "image"
    assert named in str(error)


def test_an_image_that_is_not_base64_is_invalid(decode: Decode):
    """Data URLs are not base64."""
    document = {"id": "f", "image": "data:image/png;base64,iVBORw0KGgo="}
    error = _break(decode, document, modality=Modality.CAMERA)
    assert error.field == "image"
    assert "base64" in str(error)


def test_an_image_of_too_many_pixels_is_oversized(decode: Decode, picture: Draw):
    """A file of kilobytes can unfold into gigabytes."""
    small = bytearray(picture("png"))
    small[16:24] = (100_000).to_bytes(4, "big") * 2
    headers = {"content-type": "image/png", "ce_id": "f"}
    error = _break(decode, bytes(small), headers, modality=Modality.CAMERA)
    assert (error.field, error.code) == ("image", "oversized")
    assert "100000 x 100000" in str(error)


def test_a_camera_record_that_is_too_large_is_oversized(decode: Decode):
    """Before anything is read of it."""
    headers = {"content-type": "image/png", "ce_id": "f"}
    value = bytes(DEFAULT_LIMITS.camera_value_bytes + 1)
    error = _break(decode, value, headers, modality=Modality.CAMERA)
    assert (error.field, error.code) == ("value", "oversized")


@pytest.mark.parametrize(
    "document",
    [
        GOOD | {"headline": "x" * 2001},
        GOOD | {"tickers": ["X"] * 65},
        GOOD | {"x": orjson.loads(b"[" * 40 + b"]" * 40)},
    ],
)
def test_what_is_too_much_is_told_from_what_is_wrong(decode: Decode, document: dict[str, Any]):
    """An operator counts oversized events apart from invalid ones."""
    error = _break(decode, document)
    assert isinstance(error, OversizedError)
    assert error.code == "oversized"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Rain", "'Rain'"),
        ("x" * 41, f"'{'x' * 40}'… (41 characters)"),
        (b"\0" * 30, "b'" + "\\x00" * 24 + "'… (30 bytes)"),
        ("two\nlines", r"'two\nlines'"),
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (10**1000, "a number of 3,322 bits"),
        (float("nan"), "nan"),
        ({"a": 1}, "an object of 1 fields"),
    ],
)
def test_a_value_in_a_message_is_short_and_on_one_line(value: object, text: str):
    """Whatever a producer has sent."""
    assert shown(value) == text
