"""Signals and alerts as the apps would publish them."""

from typing import Any

import msgspec

from schemas.derived import Alert, AlertState, Direction, Signal
from tests.fakes.results import MOMENT

_SIGNAL = Signal(
    id="HBR:events.news:0:1",
    ticker="HBR",
    direction=Direction.NEGATIVE,
    sentiment=-0.75,
    strength=0.75,
    confidence=0.6,
    evidence=4,
    results=("events.news:0:1:00:0",),
    event_time=MOMENT,
    window_s=900,
)
_ALERT = Alert(
    id="defect_rate:camera:hall-2/gate-3:events.camera:0:1:00:0",
    state=AlertState.RAISED,
    rule="defect_rate",
    scope="camera",
    subject="hall-2/gate-3",
    value=0.25,
    threshold=0.2,
    evidence=20,
    results=("events.camera:0:1:00:0",),
    event_time=MOMENT,
)


def signal(**fields: Any) -> Signal:
    """Make a signal."""
    return msgspec.structs.replace(_SIGNAL, **fields)


def alert(**fields: Any) -> Alert:
    """Make an alert."""
    return msgspec.structs.replace(_ALERT, **fields)
