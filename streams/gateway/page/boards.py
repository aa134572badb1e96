"""The newest of each of many, such as cameras; bounded, and aware of what changed."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from schemas.derived import Alert, AlertState, Signal
from schemas.fused import Fused
from schemas.results import Classification, Verdict
from schemas.session_state import SessionState
from streams.apps.alerts import GOOD_LABELS
from streams.gateway.page.joined import (
    MOST_FUSED,
    MOST_SESSIONS,
    SILENT_MS,
    Answer,
    Conversation,
    answer,
    conversation,
)

MOST_CAMERAS = 1_000
MOST_TICKERS = 1_000
MOST_ALERTS = 500
STRIP = 30
"""Images of a camera that its strip shows."""
CURVE = 40
"""Signals of an instrument that its curve shows."""
CLEARED_MS = 60_000
"""How long an alert that is over is still shown."""

T = TypeVar("T")


class Board(Generic[T]):
    """Things by name; of more than ``most`` the one that was longest without news goes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: OrderedDict[str, T] = OrderedDict()
        self._changed: set[str] = set()
        self._gone: set[str] = set()

    def __len__(self) -> int:
        return len(self._things)

    def get(self, name: str) -> T | None:
        """Return a thing by its name."""
        return self._things.get(name)

    def put(self, name: str, thing: T) -> None:
        """Keep a thing as the newest."""
        self._things[name] = thing
        self._things.move_to_end(name)
        self._changed.add(name)
        self._gone.discard(name)
        if len(self._things) > self._most:
            self.drop(next(iter(self._things)))

    def drop(self, name: str) -> None:
        """Forget a thing."""
        if self._things.pop(name, None) is not None:
            self._gone.add(name)
            self._changed.discard(name)

    @property
    def all(self) -> list[T]:
        """All things, those longest without news first."""
        return list(self._things.values())

    def changes(self) -> tuple[list[T], list[str]]:
        """Return what is new and the names of what is gone since this was asked last."""
        new, gone = [self._things[name] for name in self._changed], list(self._gone)
        self._changed.clear()
        self._gone.clear()
        return new, gone


class Tile(msgspec.Struct, kw_only=True):
    """What a camera showed last."""

    camera: str
    label: str | None
    confidence: float | None
    verdict: Verdict
    is_defect: bool
    at_ms: int
    """When its result was published, in milliseconds since the epoch."""
    strip: list[int]
    """Of its last images the confidence in per cent, of defects below zero; 0 of shed ones."""


class Ticker(msgspec.Struct, kw_only=True):
    """What is thought of an instrument."""

    ticker: str
    id: str
    direction: str
    sentiment: float
    strength: float
    confidence: float
    surprise: float | None
    evidence: int
    at_ms: int
    event_ms: int
    """When the event happened that the signal is as of."""
    curve: list[float]
    """Its last sentiments, oldest first."""


class RaisedAlert(msgspec.Struct, kw_only=True):
    """An alert, and whether it goes on."""

    id: str
    state: AlertState
    rule: str
    scope: str
    subject: str
    value: float
    threshold: float
    evidence: int
    at_ms: int


def is_defect(label: str | None) -> bool:
    """Say whether a label of an image is one of a defect."""
    return label is not None and label not in GOOD_LABELS


def confidence_of(result: Classification) -> float | None:
    """Return the probability of a result's label; ``None`` where there is none."""
    return None if result.label is None else result.scores.get(result.label)


class Boards:
    """All that is shown as the newest of each of many."""

    def __init__(self) -> None:
        self.cameras: Board[Tile] = Board(MOST_CAMERAS)
        self.tickers: Board[Ticker] = Board(MOST_TICKERS)
        self.alerts: Board[RaisedAlert] = Board(MOST_ALERTS)
        self.sessions: Board[Conversation] = Board(MOST_SESSIONS)
        self.fused: Board[Answer] = Board(MOST_FUSED)
        self.named: Mapping[str, Board[Any]] = {
            "cameras": self.cameras,
            "tickers": self.tickers,
            "alerts": self.alerts,
            "sessions": self.sessions,
            "fused": self.fused,
        }

    def saw(self, camera: str, result: Classification, at_ms: int) -> None:
        """Take in the result of an image."""
        confidence = confidence_of(result)
        defect = is_defect(result.label)
        percent = 0 if confidence is None else max(1, round(confidence * 100))
        known = self.cameras.get(camera)
        strip = [*(known.strip if known else ()), -percent if defect else percent][-STRIP:]
        self.cameras.put(
            camera,
            Tile(
                camera=camera,
                label=result.label,
                confidence=confidence,
                verdict=result.verdict,
                is_defect=defect,
                at_ms=at_ms,
                strip=strip,
            ),
        )

    def signalled(self, signal: Signal, at_ms: int) -> None:
        """Take in a signal; one as of an older event than the newest is passed over."""
        known = self.tickers.get(signal.ticker)
        event_ms = int(signal.event_time.timestamp() * 1e3)
        curve = list(known.curve) if known else []
        if known is not None and known.event_ms > event_ms:
            return
        if known is not None and known.id == signal.id:
            curve.pop()  # a correction takes the place of what it corrects
        self.tickers.put(
            signal.ticker,
            Ticker(
                ticker=signal.ticker,
                id=signal.id,
                direction=signal.direction.value,
                sentiment=signal.sentiment,
                strength=signal.strength,
                confidence=signal.confidence,
                surprise=signal.surprise,
                evidence=signal.evidence,
                at_ms=at_ms,
                event_ms=event_ms,
                curve=[*curve, signal.sentiment][-CURVE:],
            ),
        )

    def alerted(self, alert: Alert, at_ms: int) -> None:
        """Take in that an alert was raised or cleared."""
        known = self.alerts.get(alert.id)
        if known is not None and known.state is AlertState.CLEARED:
            return  # what is over does not begin again: this is a repetition
        self.alerts.put(
            alert.id,
            RaisedAlert(
                id=alert.id,
                state=alert.state,
                rule=alert.rule,
                scope=alert.scope,
                subject=alert.subject,
                value=alert.value,
                threshold=alert.threshold,
                evidence=alert.evidence,
                at_ms=at_ms,
            ),
        )

    def said(self, state: SessionState, at_ms: int) -> None:
        """Take in a session's state; one that another came after is passed over."""
        new, known = conversation(state, at_ms), self.sessions.get(state.session_id)
        if (
            known is None
            or new.sequence >= known.sequence
            or new.event_ms > known.event_ms  # an app of another prefix counts from one
        ):
            self.sessions.put(state.session_id, new)

    def fused_as(self, fused: Fused, at_ms: int) -> None:
        """Take in a fused answer; one that another has the parts of goes."""
        known = self.fused.get(fused.id)
        if fused.superseded_by is not None:
            self.fused.drop(fused.id)
        elif known is None or fused.revision >= known.revision:
            self.fused.put(fused.id, answer(fused, at_ms))

    def forget(self, now_ms: int) -> None:
        """Drop alerts that have been over for a while, and what has long had no news."""
        for session in self.sessions.all:
            if now_ms - session.at_ms > SILENT_MS:
                self.sessions.drop(session.session)
        for one in self.fused.all:
            if now_ms - one.at_ms > SILENT_MS:
                self.fused.drop(one.id)
        for alert in self.alerts.all:
            if alert.state is AlertState.CLEARED and now_ms - alert.at_ms > CLEARED_MS:
                self.alerts.drop(alert.id)
