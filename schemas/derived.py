"""What is derived from results: signals of instruments, alerts of cameras and conversations."""

from datetime import datetime
from enum import StrEnum

import msgspec

from schemas.derived_codec import decode_derived, encode_derived
from schemas.records import Outbound

SIGNAL_TYPE = "headrace.signal.v1"
ALERT_TYPE = "headrace.alert.v1"


class Direction(StrEnum):
    """Which way a signal points."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    NEUTRAL = "neutral"


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """What the news of a window says of one instrument, as of one of its events."""

    id: str
    """The ticker and the event that the signal is as of; a corrected signal has the same."""
    revision: int = 0
    """0 for the first; that of the result that corrects it, for a corrected one."""
    ticker: str
    """Of which instrument."""
    direction: Direction
    """Which way it points; neutral where the sentiment is too weak for a direction."""
    sentiment: float
    """Mean of the events' sentiment, from -1 to 1, newer ones weighing more."""
    strength: float
    """How far the sentiment is from neutral, 0 to 1."""
    confidence: float
    """How much the evidence is worth and agrees, 0 to 1."""
    surprise: float | None = None
    """How many standard deviations the sentiment is from the instrument's earlier events; null
    while there are too few of them."""
    evidence: int
    """Events in the window."""
    results: tuple[str, ...]
    """Ids of the results that it came from, oldest event first."""
    event_time: datetime
    """When the event that the signal is as of happened."""
    window_s: float
    """Seconds of event time that the signal looks back."""


class AlertState(StrEnum):
    """Whether what an alert is about goes on."""

    RAISED = "raised"
    CLEARED = "cleared"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that began or ended at a camera, a line or in a conversation."""

    id: str
    """Of the whole time that it went on: when it is cleared the id is the one it was raised by."""
    state: AlertState
    """Whether it begins or ends."""
    rule: str
    """What was watched for, such as ``defect_rate``."""
    scope: str
    """What kind of thing it is about: ``camera``, ``line`` or ``session``."""
    subject: str
    """Which one: a camera's id, a line's name, a session's id."""
    value: float
    """What was measured when the state changed."""
    threshold: float
    """What it had to reach to be raised, or to fall to for being cleared."""
    evidence: int
    """Events that it was measured over."""
    results: tuple[str, ...]
    """Ids of the results that speak for it, oldest event first."""
    event_time: datetime
    """When the event happened that changed the state."""


def encode_signal(signal: Signal) -> Outbound:
    """Write a signal as a CloudEvent in binary mode, keyed by its ticker."""
    return encode_derived(
        signal,
        SIGNAL_TYPE,
        name=f"{signal.id}:{signal.revision}",
        source="/headrace/signals",
        subject=signal.ticker,
        time=signal.event_time,
    )


def encode_alert(alert: Alert) -> Outbound:
    """Write an alert as a CloudEvent in binary mode, keyed by what it is about."""
    return encode_derived(
        alert,
        ALERT_TYPE,
        name=f"{alert.id}:{alert.state.value}",
        source="/headrace/alerts",
        subject=alert.subject,
        time=alert.event_time,
    )


def decode_signal(value: bytes) -> Signal:
    """Read a signal's value; fields that this version does not know are ignored.

    Raises:
        UndecodableError: The value is not JSON.
        InvalidEventError: A field is missing or has the wrong type.
    """
    return decode_derived(value, Signal, "signal")


def decode_alert(value: bytes) -> Alert:
    """Read an alert's value; fields that this version does not know are ignored.

    Raises:
        UndecodableError: The value is not JSON.
        InvalidEventError: A field is missing or has the wrong type.
    """
    return decode_derived(value, Alert, "alert")
