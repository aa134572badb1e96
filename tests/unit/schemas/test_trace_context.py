"""The trace context of a record that may hold no event at all."""

import pytest

from schemas.cloudevents import traceparent_of
from schemas.records import Header, Record

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], None),
        ([("traceparent", TRACE)], TRACE),
        ([("Traceparent", TRACE)], TRACE),
        ([("ce_traceparent", OTHER), ("traceparent", TRACE)], TRACE),
        ([("traceparent", b"broken"), ("ce_traceparent", OTHER)], OTHER),
        ([("traceparent", OTHER), ("traceparent", TRACE)], TRACE),
        ([("traceparent", None), ("other", TRACE)], None),
        ([("traceparent", b"\xff" * 55)], None),
        ([("traceparent", TRACE.upper())], None),
    ],
)
def test_the_transports_own_header_comes_first_and_what_is_invalid_is_passed_over(
    headers: list[Header], found: bytes | None
) -> None:
    """As where the event can be decoded; the last of a repeated header counts."""
    text = traceparent_of(Record(topic="events.news", headers=headers))
    assert text == (found and found.decode())
