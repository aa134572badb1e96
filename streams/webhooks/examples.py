"""Made-up records, one of each kind, that a webhook is tried with."""

from collections.abc import Callable, Mapping
from datetime import datetime

from schemas.derived import Alert, AlertState, Direction, Signal, encode_alert, encode_signal
from schemas.encode import encode_result
from schemas.events import Modality
from schemas.fused import Fused, FusedPart, encode_fused
from schemas.records import Outbound
from schemas.results import Classification, Effort, Latency, Model, Source, Verdict
from schemas.session_state import IntentCount, SessionState, encode_session
from streams.topics import TopicKind

NAME = "headrace-test"
_RESULT = f"{NAME}:0:0:000000000000:0"


def _result(now: datetime) -> Outbound:
    return encode_result(
        Classification(
            event_id=NAME,
            modality=Modality.NEWS,
            label="positive",
            scores={"negative": 0.02, "neutral": 0.08, "positive": 0.9},
            verdict=Verdict.ON_TIME,
            model=Model(name=NAME, version="0", digest="sha256:" + "0" * 64),
            effort=Effort(active_share=0.1, layers=1, experts=2),
            latency=Latency(budget_ms=150.0, queue_ms=1.0, model_ms=7.0, total_ms=12.0),
            source=Source(topic=NAME, partition=0, offset=0),
            event_time=now,
            result_time=now,
            tickers=("TEST",),
        ),
        key=b"TEST",
    )


def _signal(now: datetime) -> Outbound:
    return encode_signal(
        Signal(
            id=f"TEST:{NAME}:0:0",
            ticker="TEST",
            direction=Direction.POSITIVE,
            sentiment=0.5,
            strength=0.5,
            confidence=0.5,
            evidence=1,
            results=(_RESULT,),
            event_time=now,
            window_s=3_600.0,
        )
    )


def _alert(now: datetime) -> Outbound:
    return encode_alert(
        Alert(
            id=f"{NAME}:camera:{NAME}:{now.timestamp():.0f}",
            state=AlertState.RAISED,
            rule=NAME,
            scope="camera",
            subject=NAME,
            value=0.5,
            threshold=0.2,
            evidence=10,
            results=(_RESULT,),
            event_time=now,
        )
    )


def _session(now: datetime) -> Outbound:
    return encode_session(
        SessionState(
            session_id=NAME,
            sequence=1,
            segments=1,
            intents=(IntentCount(label="greeting", count=1, first_segment=0, last_segment=0),),
            current_intent="greeting",
            results=(_RESULT,),
            first_event_time=now,
            event_time=now,
        )
    )


def _fused(now: datetime) -> Outbound:
    part = FusedPart(
        label="positive", score=0.9, verdict=Verdict.ON_TIME, result=_RESULT, event_time=now
    )
    return encode_fused(
        Fused(
            id=f"TEST:{NAME}:0:0",
            key="TEST",
            parts={Modality.NEWS: part},
            complete=True,
            event_time=now,
            window_s=30.0,
        )
    )


EXAMPLES: Mapping[TopicKind, Callable[[datetime], Outbound]] = {
    TopicKind.RESULTS: _result,
    TopicKind.SIGNALS: _signal,
    TopicKind.ALERTS: _alert,
    TopicKind.SESSIONS: _session,
    TopicKind.FUSED: _fused,
}
"""By the kind of topic."""
