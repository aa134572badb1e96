"""Whatever arrives, the codecs either read it or say what is wrong; nothing else ever escapes."""

from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import (
    ContractError,
    Inbound,
    Modality,
    Record,
    decode_dead_letter,
    decode_event,
    decode_result,
    encode_redrive,
    previous_attempts,
)
from schemas.images import dimensions, media_type

NOW_MS = 1_772_438_400_000
CONTENT_TYPES = (
    "application/json",
    "application/cloudevents+json",
    "application/cloudevents+json; charset=utf-8",
    "application/cloudevents-batch+json",
    "image/jpeg",
    "image/png",
)
ATTRIBUTES = (
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "datacontenttype",
    "budgetms",
    "priority",
    "onoverload",
    "traceparent",
    "cameraid",
)
DOCUMENTS: dict[Modality, dict[str, Any]] = {
    Modality.NEWS: {
        "id": "n-17",
        "headline": "Harbour strike ends after nine days",
        "body": "Cranes are moving again.",
        "source": "Harbour Gazette",
        "published_at": "2026-03-02T07:59:58Z",
        "tickers": ["PORT", "SHIP.L"],
    },
    Modality.TRANSCRIPT: {
        "id": "s-4",
        "text": "we expect margins to widen",
        "segment": 4,
        "is_final": False,
        "confidence": 0.93,
        "start_ms": 61_000,
        "end_ms": 63_500,
    },
    Modality.CAMERA: {
        "id": "f-1",
        # The first bytes of a PNG of 4 by 3 pixels.
        "image": "iVBORw0KGgoAAAANSUhEUgAAAAQAAAADCAAAAACs3WnPAAAA",
        "camera_id": "yard",
        "captured_at": "2026-03-02T07:59:58Z",
    },
}

modalities = st.sampled_from(list(Modality))
telling = st.sampled_from(
    ["", "1.0", "250", "high", "late", "2026-03-02T07:59:58Z", "headrace.news.v1", *CONTENT_TYPES]
).map(str.encode)
headers = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from(["content-type", *(f"ce_{name}" for name in ATTRIBUTES)]),
            st.text(max_size=12),
        ),
        st.one_of(st.none(), telling, st.binary(max_size=24)),
    ),
    max_size=8,
)
timestamps = st.one_of(st.none(), st.just(-1), st.integers(-(2**63), 2**63 - 1))
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=20),
        st.sampled_from(["2026-03-02T07:59:58Z", "0001-01-01T00:00:00+14:00", "AAAA", "1.0"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


def _decoded(modality: Modality, value: bytes | None, **fields: Any) -> Inbound | ContractError:
    record = Record(topic="events.any", value=value, **fields)
    try:
        return decode_event(record, modality, now_ms=NOW_MS)
    except ContractError as error:
        refusal = error
    assert refusal.field
    assert 0 < len(str(refusal)) < 1_000
    assert "\n" not in str(refusal)
    return refusal


@given(modality=modalities, value=st.one_of(st.none(), st.binary()), sent=headers, at=timestamps)
@settings(deadline=None, max_examples=300)
def test_any_bytes_under_any_headers_are_read_or_refused(
    modality: Modality, value: bytes | None, sent: list[tuple[str, bytes | None]], at: int | None
):
    """By a contract error that names the field, on one line of modest length."""
    _decoded(modality, value, headers=sent, timestamp_ms=at)


@given(data=st.data(), modality=modalities, sent=headers)
@settings(deadline=None, max_examples=400)
def test_any_value_in_any_field_is_read_or_refused(
    data: st.DataObject, modality: Modality, sent: list[tuple[str, bytes | None]]
):
    """Each field of a good document in turn carries something else, or is gone."""
    document = dict(DOCUMENTS[modality])
    field = data.draw(st.sampled_from(sorted(document)))
    if data.draw(st.booleans()):
        del document[field]
    else:
        document[field] = data.draw(json_values)
    _decoded(modality, orjson.dumps(document), headers=sent)


@given(
    modality=modalities,
    attributes=st.dictionaries(
        st.sampled_from([*ATTRIBUTES, "data", "data_base64"]), json_values, max_size=6
    ),
    keep=st.booleans(),
)
@settings(deadline=None, max_examples=300)
def test_any_structured_event_is_read_or_refused(
    modality: Modality, attributes: dict[str, Any], keep: bool
):
    """With attributes of any type, in an envelope that is otherwise good or nearly empty."""
    envelope = {"specversion": "1.0"}
    if keep:
        envelope |= {"id": "ce-9", "source": "/feeds", "data": DOCUMENTS[modality]}
    _decoded(
        modality,
        orjson.dumps(envelope | attributes),
        headers=[("content-type", b"application/cloudevents+json")],
    )


@given(modality=modalities, position=st.integers(0, 400), patch=st.binary(max_size=4))
@settings(deadline=None, max_examples=300)
def test_any_damage_to_a_good_record_is_read_or_refused(
    modality: Modality, position: int, patch: bytes
):
    """Bytes overwritten in place, wherever they are."""
    value = bytearray(orjson.dumps(DOCUMENTS[modality]))
    start = position % len(value)
    value[start : start + len(patch)] = patch
    _decoded(modality, bytes(value))


@pytest.mark.parametrize("modality", list(Modality))
def test_the_documents_that_are_damaged_above_are_good(modality: Modality):
    """Otherwise the tests above would prove little."""
    assert isinstance(_decoded(modality, orjson.dumps(DOCUMENTS[modality])), Inbound)


@given(image=st.binary(max_size=200))
@example(image=b"\xe0\0\2" * 50)
@settings(deadline=None, max_examples=300)
def test_any_bytes_after_an_images_magic_are_measured_or_not(image: bytes):
    """And both sides of a measured image are positive."""
    for magic in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"):
        assert media_type(magic + image)
        size = dimensions(magic + image)
        assert size is None or min(size) > 0


@given(value=st.one_of(st.binary(), json_values.map(orjson.dumps)))
@settings(deadline=None)
def test_any_bytes_are_a_result_or_refused(value: bytes):
    """A subscriber can rely on one family of errors."""
    with pytest.raises(ContractError):
        decode_result(value)


@given(
    sent=st.lists(
        st.tuples(
            st.sampled_from(
                ["error", "message", "failed_at", "attempts", "modality", "source_offset", "x"]
            ).map("headrace_{}".format),
            st.one_of(st.none(), st.binary(max_size=12), st.just(b"1"), st.just(b"news")),
        )
    )
)
@settings(deadline=None)
def test_any_headers_are_a_dead_letter_or_refused(sent: list[tuple[str, bytes | None]]):
    """Including those that look like ours."""
    record = Record(topic="events.news.dlq", value=b"", headers=sent)
    with pytest.raises(ContractError):  # the letter's source_topic is never among them
        decode_dead_letter(record)
    assert previous_attempts(record) >= 0
    assert encode_redrive(record).value == b""
