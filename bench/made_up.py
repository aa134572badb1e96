"""Made-up results, signals and alerts: what a busy day of all three modalities would publish.

    python bench/made_up.py --bootstrap-servers localhost:9092 --rate 500 --seconds 60

They are drawn with a seed, and no model has seen any of them.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer

from schemas.derived import (
    Alert,
    AlertState,
    Direction,
    Signal,
    encode_alert,
    encode_signal,
)
from schemas.events import Modality
from schemas.kafka import encode_result, result_id
from schemas.records import Outbound
from schemas.results import (
    AnsweredFrom,
    Classification,
    Effort,
    Latency,
    Model,
    Source,
    Verdict,
)
from streams.connection import Connection
from streams.topics import ensure_topics, event_topic, result_topic

BUDGETS_MS = {Modality.NEWS: 150.0, Modality.TRANSCRIPT: 200.0, Modality.CAMERA: 100.0}
LABELS = {
    Modality.NEWS: ("neutral", "positive", "negative"),
    Modality.TRANSCRIPT: (
        "card_delivery_estimate",
        "balance_not_updated_after_bank_transfer",
        "lost_or_stolen_card",
        "top_up_failed",
    ),
    Modality.CAMERA: ("no_anomaly", "hot_spot", "cracking", "surface_scratch"),
}
WEIGHTS = {
    Modality.NEWS: (5, 3, 2),
    Modality.TRANSCRIPT: (4, 2, 1, 1),
    Modality.CAMERA: (40, 2, 1, 1),
}
LAYERS = {Modality.NEWS: 6, Modality.TRANSCRIPT: 6, Modality.CAMERA: 8}
TICKERS = (
    *("ARBX", "BOLT", "CRNE", "DELV", "EMBR", "FJRD", "GRVL", "HLMS", "INDG", "JUNO", "KELP"),
    *("LUMN", "MRSH", "NOVA", "OPAL", "PIER"),
)
SIGNALS_TOPIC = "signals.news"
ALERTS_TOPIC = "alerts.camera"
DEFECT_RATE = 0.3
USUAL = (94.0, 1.2, 4.0, 0.8)
STORM = (45.0, 8.0, 40.0, 7.0)
"""How verdicts are divided, and how while too much comes at once."""
STORM_EVERY_S = 90
STORM_S = 8


class MadeUp:
    """A world of instruments, conversations and cameras that goes on.

    Args:
        cameras: How many there are.
        seed: The same one draws the same.
    """

    def __init__(self, cameras: int = 24, seed: int = 1) -> None:
        self._random = random.Random(seed)  # noqa: S311 - made-up results
        self._cameras = [f"line-{1 + at % 4}/cam-{1 + at // 4}" for at in range(cameras)]
        self._faulty = set(self._cameras[5::17])
        self._offsets = dict.fromkeys(Modality, 0)
        self._sentiment = dict.fromkeys(TICKERS, 0.0)
        self._raised: dict[str, str] = {}

    def result(self, modality: Modality, now: datetime) -> Classification:
        """Draw one result, as published at a moment."""
        chance, self._offsets[modality] = self._random, self._offsets[modality] + 1
        offset, budget = self._offsets[modality], BUDGETS_MS[modality]
        is_storm = now.timestamp() % STORM_EVERY_S < STORM_S
        verdict = chance.choices(tuple(Verdict), STORM if is_storm else USUAL)[0]
        total = chance.lognormvariate(0, 0.55) * {"news": 9, "camera": 16}.get(modality, 13)
        if verdict is Verdict.LATE:
            total = budget * chance.uniform(1.02, 1.7)
        source = Source(topic=event_topic(modality), partition=offset % 4, offset=offset)
        camera = chance.choice(self._cameras) if modality is Modality.CAMERA else None
        weights = WEIGHTS[modality]
        if camera in self._faulty:
            weights = (10, 8, 1, 1)
        label = chance.choices(LABELS[modality], weights)[0]
        confidence = round(min(0.999, chance.betavariate(9, 1.6)), 4)
        shed = verdict is Verdict.SHED
        return Classification(
            event_id=f"{modality.value[0]}-{100_000 + offset}",
            modality=modality,
            label=None if shed else label,
            scores={} if shed else self._scores(modality, label, confidence),
            verdict=verdict,
            reason=None if verdict is Verdict.ON_TIME else "queue: more came than could be run",
            answered_from=self._from(modality, shed=shed),
            model=Model(name=f"{modality.value}-made-up", version="1", digest="sha256:" + "0" * 64),
            effort=self._effort(modality, verdict),
            latency=Latency(
                budget_ms=budget,
                queue_ms=round(total / 3, 2),
                model_ms=0.0 if shed else round(total / 2, 2),
                total_ms=round(total, 2),
            ),
            source=source,
            event_time=now,
            result_time=now,
            tickers=tuple(chance.sample(TICKERS, chance.choice((1, 1, 1, 2))))
            if modality is Modality.NEWS
            else (),
            session_id=f"call-{offset // 40}" if modality is Modality.TRANSCRIPT else None,
            segment=offset % 40 if modality is Modality.TRANSCRIPT else None,
            camera_id=camera,
        )

    def _scores(self, modality: Modality, label: str, confidence: float) -> dict[str, float]:
        others = [one for one in LABELS[modality] if one != label]
        rest = round((1 - confidence) / len(others), 4)
        return {label: confidence} | dict.fromkeys(others, rest)

    def _from(self, modality: Modality, *, shed: bool) -> AnsweredFrom:
        if shed:
            return AnsweredFrom.NONE
        other = AnsweredFrom.PREVIOUS_FRAME if modality is Modality.CAMERA else AnsweredFrom.CACHE
        return self._random.choices((AnsweredFrom.MODEL, other), (85, 15))[0]

    def _effort(self, modality: Modality, verdict: Verdict) -> Effort:
        if verdict is Verdict.SHED:
            return Effort(active_share=0.0, layers=0, experts=0)
        most = LAYERS[modality]
        layers = self._random.choices((2, 3, 4, most), (30, 25, 15, 30))[0]
        experts = 1 if verdict is Verdict.DEGRADED else 2
        share = 0.05 + 0.45 * (layers / most) * (experts / 2)
        return Effort(active_share=round(share, 3), layers=layers, experts=experts)

    def derived(self, result: Classification) -> Iterator[tuple[str, Outbound]]:
        """Yield what apps might make of a result: topic and record."""
        for ticker in result.tickers:
            yield SIGNALS_TOPIC, encode_signal(self._signal(ticker, result))
        camera = result.camera_id
        if camera in self._faulty and camera is not None and result.label is not None:
            if camera not in self._raised and self._random.random() < DEFECT_RATE:
                self._raised[camera] = f"{camera}:{result.event_id}"
                yield ALERTS_TOPIC, encode_alert(self._alert(camera, result, AlertState.RAISED))
            elif camera in self._raised and self._random.random() < DEFECT_RATE / 40:
                yield ALERTS_TOPIC, encode_alert(self._alert(camera, result, AlertState.CLEARED))
                del self._raised[camera]

    def _signal(self, ticker: str, result: Classification) -> Signal:
        pull = {"positive": 0.8, "negative": -0.8}.get(result.label or "", 0.0)
        sentiment = 0.93 * self._sentiment[ticker] + 0.07 * pull + self._random.gauss(0, 0.12)
        sentiment = self._sentiment[ticker] = max(-1.0, min(1.0, sentiment))
        direction = Direction.NEUTRAL
        if abs(sentiment) >= 0.2:
            direction = Direction.POSITIVE if sentiment > 0 else Direction.NEGATIVE
        known = self._random.random() < 0.95
        return Signal(
            id=f"{ticker}:{result.event_id}",
            ticker=ticker,
            direction=direction,
            sentiment=round(sentiment, 6),
            strength=round(abs(sentiment), 6),
            confidence=round(self._random.betavariate(6, 2), 6),
            surprise=round(self._random.gauss(0, 1.2), 6) if known else None,
            evidence=self._random.randint(2, 40),
            results=(result_id(result.source, result.model.digest),),
            event_time=result.event_time,
            window_s=3_600.0,
        )

    def _alert(self, camera: str, result: Classification, state: AlertState) -> Alert:
        raised = state is AlertState.RAISED
        return Alert(
            id=self._raised[camera],
            state=state,
            rule="defect_rate",
            scope="camera",
            subject=camera,
            value=round(self._random.uniform(0.3, 0.6) if raised else 0.04, 4),
            threshold=0.3 if raised else 0.05,
            evidence=self._random.randint(20, 60),
            results=(result_id(result.source, result.model.digest),),
            event_time=result.event_time,
        )


TOPICS = (*(result_topic(modality) for modality in Modality), SIGNALS_TOPIC, ALERTS_TOPIC)
SHARES = {Modality.NEWS: 5, Modality.TRANSCRIPT: 2, Modality.CAMERA: 3}
"""How results are divided among modalities."""
TICK_S = 0.05


async def publish(
    servers: str, rate: float, seconds: float, world: MadeUp | None = None, derived_rate: float = 20
) -> int:
    """Publish at a rate per second for so many seconds; return how many results that were."""
    world = world or MadeUp()
    chance = random.Random(2)  # noqa: S311 - made-up results
    await ensure_topics(Connection(servers), TOPICS, partitions=4)
    producer = AIOKafkaProducer(bootstrap_servers=servers, linger_ms=5)
    await producer.start()
    began, sent = time.monotonic(), 0
    try:
        while (elapsed := time.monotonic() - began) < seconds:
            for _ in range(int(elapsed * rate) - sent):
                modality = chance.choices(tuple(SHARES), tuple(SHARES.values()))[0]
                result = world.result(modality, datetime.now(UTC))
                await _send(producer, result_topic(modality), encode_result(result, key=None))
                if chance.random() < derived_rate / rate:
                    for topic, record in world.derived(result):
                        await _send(producer, topic, record)
                sent += 1
            await asyncio.sleep(TICK_S)
    finally:
        await producer.stop()
    return sent


async def _send(producer: AIOKafkaProducer, topic: str, record: Outbound) -> None:
    await producer.send(topic, record.value, key=record.key, headers=record.headers)


def main() -> None:
    """Publish as told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--cameras", type=int, default=24)
    told = parser.parse_args()
    world = MadeUp(told.cameras)
    sent = asyncio.run(publish(told.bootstrap_servers, told.rate, told.seconds, world))
    print(f"{sent:,} results")


if __name__ == "__main__":
    main()
