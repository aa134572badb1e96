"""One example, sent as any other record would be: what a new webhook is tried with."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from schemas.derived import Alert, AlertState, Direction, Signal, encode_alert, encode_signal
from schemas.encode import encode_result
from schemas.errors import ConfigurationError
from schemas.events import Modality
from schemas.records import Outbound, Record
from schemas.results import Classification, Effort, Latency, Model, Source, Verdict
from streams.topics import TopicKind, kind_of
from streams.webhooks.endpoint import Endpoint
from streams.webhooks.message import Message, message_of
from streams.webhooks.picking import Picker
from streams.webhooks.retrying import Answer
from streams.webhooks.settings import Webhook

NAME = "headrace-test"
LASTS_MS = 60_000.0
"""So that an example is over soon where an alert would otherwise go on until it is cleared."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What was sent and what came of it.

    Attributes:
        seconds: From the request to the answer.
    """

    message: Message
    answer: Answer
    seconds: float


async def try_out(webhook: Webhook) -> Tried:
    """Send one example.

    Raises:
        ConfigurationError: The webhook's settings or files cannot be used.
    """
    picker = Picker(webhook)  # what would end the start ends the trial
    kind = kind_of(webhook.topics[0])
    if kind not in EXAMPLES:
        raise ConfigurationError(
            f"--test: there is no example of {kind}; try a webhook of " + ", ".join(EXAMPLES)
        )
    now = datetime.now(UTC)
    record = _record(EXAMPLES[kind](now))
    short = msgspec.structs.replace(webhook, alert_lasts_ms=LASTS_MS)
    message = message_of(picker.read(record), short, now)
    async with Endpoint(webhook) as endpoint:
        began = time.perf_counter()
        answer = await endpoint.post(message)
        return Tried(message, answer, time.perf_counter() - began)


def _record(outbound: Outbound) -> Record:
    return Record(topic=NAME, key=outbound.key, value=outbound.value, headers=outbound.headers)


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
            results=(f"{NAME}:0:0:000000000000:0",),
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
            results=(f"{NAME}:0:0:000000000000:0",),
            event_time=now,
        )
    )


EXAMPLES: Mapping[TopicKind, Callable[[datetime], Outbound]] = {
    TopicKind.RESULTS: _result,
    TopicKind.SIGNALS: _signal,
    TopicKind.ALERTS: _alert,
}
"""By the kind of topic."""
