"""Requests become the records that a producer would have sent, or are told what is wrong."""

import base64
import json
from typing import Any

import orjson
import pytest

from schemas import ContractError, Modality, OversizedError, Record, UndecodableError, decode_event
from streams.gateway.ingest.reading import (
    BATCHED,
    NDJSON,
    Taken,
    field_of,
    read_many,
    read_one,
    told,
)
from tests.fakes.pictures import jpeg

NOW_MS = 1_772_443_800_000
NEWS = {"id": "n-1", "headline": "Harbour raises its forecast"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def one(headers: dict[str, str], body: Any, **options: Any) -> Taken:
    """Read a request of one event of news."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    given = {"key": None, "now_ms": NOW_MS} | options
    return read_one("events.news", Modality.NEWS, headers, raw, **given)


def many(
    body: Any, content_type: str = "application/json", most: int = 10, key: str | None = None
) -> Any:
    """Read a request of many."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"key": key, "most": most, "now_ms": NOW_MS}
    return read_many("events.news", Modality.NEWS, content_type, raw, **given)


def test_a_binary_event_keeps_its_attributes_trace_and_bytes() -> None:
    """Other headers of the request stay behind."""
    headers = {
        "Content-Type": "application/json",
        "Ce-Id": "n-2",
        "ce-source": "/desk%20%E2%82%AC",
        "ce-budgetms": "80",
        "ce-partitionkey": "HBR",
        "traceparent": TRACE,
        "Authorization": "Bearer secret",
        "Cookie": "a=b",
    }
    taken = one(headers, {"headline": "x"})
    assert taken.event_id == "n-2"
    assert taken.record.key == b"HBR"
    assert taken.record.value == b'{"headline":"x"}'
    assert dict(taken.record.headers) == {
        "content-type": b"application/json",
        "ce_id": b"n-2",
        "ce_source": "/desk €".encode(),
        "ce_budgetms": b"80",
        "ce_partitionkey": b"HBR",
        "traceparent": TRACE.encode(),
    }
    record = Record(topic="t", value=taken.record.value, headers=taken.record.headers)
    inbound = decode_event(record, Modality.NEWS, now_ms=NOW_MS)
    assert (inbound.budget_ms, inbound.traceparent) == (80, TRACE)


def test_a_structured_event_and_plain_json_are_taken_as_they_are() -> None:
    """The key is the request's, else the event's own."""
    envelope = {"specversion": "1.0", "id": "n-3", "type": "headrace.news.v1", "source": "/x"}
    envelope |= {"partitionkey": "QRY", "data": {"headline": "x"}}
    structured = {"content-type": "application/cloudevents+json; charset=utf-8"}
    assert one(structured, envelope).event_id == "n-3"
    assert one(structured, envelope).record.key == b"QRY"
    assert one(structured, envelope, key="HBR").record.key == b"HBR"
    plain = one({"content-type": "application/json"}, NEWS)
    assert (plain.event_id, plain.record.key) == ("n-1", None)


def test_an_image_is_sent_raw() -> None:
    """With its camera in a header."""
    image = jpeg()
    headers = {"content-type": "image/jpeg", "ce-id": "c-1", "ce-cameraid": "hall-2/gate-3"}
    taken = read_one("events.camera", Modality.CAMERA, headers, image, key=None, now_ms=NOW_MS)
    assert taken.record.value == image
    assert ("ce_cameraid", b"hall-2/gate-3") in taken.record.headers


@pytest.mark.parametrize(
    ("headers", "body", "field", "message"),
    [
        ({}, b"", "value", "value: is null"),
        ({"content-type": "application/json"}, b"{", "value", "is not JSON"),
        ({"content-type": "application/json"}, {"id": "x"}, "headline", "headline: "),
        ({"content-type": "text/plain"}, NEWS, "content-type", "content-type: 'text/plain'"),
        (
            {"content-type": "application/json", "ce-budgetms": "soon"},
            NEWS,
            "ce-budgetms",
            "ce-budgetms: 'soon' is not accepted; send milliseconds",
        ),
    ],
)
def test_what_the_worker_would_not_accept_is_told_by_field(
    headers: dict[str, str], body: Any, field: str, message: str
) -> None:
    """With the names that headers have in HTTP."""
    with pytest.raises(ContractError) as refused:
        one(headers, body)
    assert field_of(refused.value) == field
    assert message in told(refused.value)


def test_many_events_come_as_an_array_a_batch_or_lines() -> None:
    """Plain and structured ones together; each with a key of its own."""
    envelope = {"specversion": "1.0", "id": "n-3", "source": "/x", "type": "headrace.news.v1"}
    envelope |= {"partitionkey": "QRY", "data": {"headline": "x"}}
    for body, kind in (
        ([NEWS, envelope], "application/json; charset=utf-8"),
        ([NEWS, envelope], BATCHED),
        (b"\n".join(map(orjson.dumps, [NEWS, envelope])) + b"\n", NDJSON),
    ):
        taken, refused = many(body, kind)
        assert [(each.event_id, each.record.key) for each in taken] == [
            ("n-1", None),
            ("n-3", b"QRY"),
        ]
        assert refused == []
        kinds = [dict(each.record.headers)["content-type"] for each in taken]
        assert kinds == [b"application/json", b"application/cloudevents+json"]


def test_each_bad_event_of_many_is_named_by_its_place() -> None:
    """With field, value and remedy."""
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    bad = [{"id": "x"}, 7, {"id": "y", "headline": 3}, {"id": "z", "headline": "x", "tags": deep}]
    taken, refused = many([NEWS, *bad])
    assert [each.event_id for each in taken] == ["n-1"]
    documents = [each.document() for each in refused]
    assert [(each["index"], each["field"]) for each in documents] == [
        (1, "headline"),
        (2, "value"),
        (3, "headline"),
        (4, "value"),
    ]
    assert documents[1]["error"] == "value: is 7; send a JSON object with the event's fields"


@pytest.mark.parametrize(
    ("body", "kind", "error", "message"),
    [
        (b"[", "application/json", UndecodableError, "value: b'[' is not JSON"),
        (NEWS, "application/json", UndecodableError, "send an array of events"),
        ([], "application/json", UndecodableError, "value: holds no event"),
        (b"\n \n", NDJSON, UndecodableError, "value: holds no event"),
        ([NEWS] * 11, "application/json", OversizedError, "value: 11 events; send at most 10"),
        ([NEWS], "text/csv", UndecodableError, "content-type: 'text/csv' is not accepted"),
    ],
)
def test_a_request_that_holds_no_events_is_refused_as_a_whole(
    body: Any, kind: str, error: type[ContractError], message: str
) -> None:
    """Saying what to send."""
    with pytest.raises(error) as refused:
        many(body, kind)
    assert message in str(refused.value)


def test_images_in_base64_can_come_in_many() -> None:
    """As structured events."""
    item = {
        "specversion": "1.0",
        "id": "c-1",
        "source": "gate-3",
        "type": "headrace.camera.v1",
        "datacontenttype": "image/jpeg",
        "data_base64": base64.b64encode(jpeg()).decode(),
    }
    taken, refused = read_many(
        "events.camera",
        Modality.CAMERA,
        BATCHED,
        orjson.dumps([item]),
        key=None,
        most=10,
        now_ms=NOW_MS,
    )
    assert ([each.event_id for each in taken], refused) == (["c-1"], [])


def test_a_key_that_the_request_says_is_that_of_all_its_events() -> None:
    """Also of those that say one of their own, as with one event."""
    taken, _ = many([NEWS, NEWS | {"partitionkey": "own"}], key="HBR")
    assert [one.record.key for one in taken] == [b"HBR", b"HBR"]
    taken, _ = many([NEWS, NEWS | {"partitionkey": "own"}])
    assert [one.record.key for one in taken] == [None, b"own"]


@pytest.mark.parametrize("name", ["ce-id", "ce-source", "ce-partitionkey"])
def test_a_header_that_is_no_text_is_told_or_kept_as_it_is(name: str) -> None:
    """A header may hold any bytes; aiohttp hands on what is no UTF-8 as surrogates."""
    headers = {"content-type": "application/json", "ce-id": "n-1", "ce-specversion": "1.0"}
    headers |= {"ce-source": "/x", "ce-type": "headrace.news.v1", name: "a\udcffb"}
    try:
        taken = one(headers, {"headline": "x"})
    except ContractError as error:
        told(error).encode()
    else:
        assert (name, taken.record.key) == ("ce-partitionkey", b"a\xffb")
