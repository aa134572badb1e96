"""Signals and alerts are CloudEvents, and are read as they were written."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from schemas import (
    Alert,
    AlertState,
    Direction,
    InvalidEventError,
    Signal,
    UndecodableError,
    decode_alert,
    decode_signal,
    encode_alert,
    encode_signal,
)
from tests.fakes.results import MOMENT

SIGNAL = Signal(
    id="HBR:events.news:3:41",
    revision=1,
    ticker="HBR",
    direction=Direction.POSITIVE,
    sentiment=0.6,
    strength=0.6,
    confidence=0.5,
    evidence=2,
    results=("a", "b"),
    event_time=MOMENT,
    window_s=3600,
)
ALERT = Alert(
    id="defect_rate:camera:gate-3:a",
    state=AlertState.CLEARED,
    rule="defect_rate",
    scope="camera",
    subject="gate-3",
    value=0.04,
    threshold=0.05,
    evidence=25,
    results=("a",),
    event_time=MOMENT,
)


def test_what_is_written_is_read() -> None:
    """Every field, types included."""
    assert decode_signal(encode_signal(SIGNAL).value or b"") == SIGNAL
    assert decode_alert(encode_alert(ALERT).value or b"") == ALERT


def test_ids_tell_a_correction_and_an_end_apart() -> None:
    """Repetitions have the same id, what is new has another."""
    signal, alert = encode_signal(SIGNAL), encode_alert(ALERT)
    assert dict(signal.headers)["ce_id"] == b"HBR:events.news:3:41:1"
    assert dict(alert.headers)["ce_id"] == b"defect_rate:camera:gate-3:a:cleared"
    assert (signal.key, alert.key) == (b"HBR", b"gate-3")


@pytest.mark.parametrize("decode", [decode_signal, decode_alert])
def test_what_is_none_is_refused(decode: Callable[[bytes], Any]) -> None:
    """With what to do."""
    with pytest.raises(UndecodableError, match="not JSON"):
        decode(b"<signal>")
    with pytest.raises(InvalidEventError, match="missing required field"):
        decode(orjson.dumps({"id": "a"}))
