"""What many images a second cost `headrace app fusion`, each its own part or repetitions as one.

    python bench/fusion_rates.py

200 cameras send 5 images a second each: all of one entity, or of 20. Now and then a camera shows
a defect for some seconds, and a headline tells of it. Images alone are not answered. Processor time
is that of spreading and of the steps, without Kafka.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from fusion_log import TOTAL_MS, made_up
from report import facts

from schemas.events import Modality
from schemas.fused import Fused, decode_fused
from schemas.results import Classification
from streams.apps.entities import Entity
from streams.apps.fusing import FusionSettings
from streams.apps.fusion import fusion

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
CAMERAS, PER_S, SECONDS = 200, 5, 10
DEFECT_EVERY_S, DEFECT_S = 2.0, 3.0
SOONER = 2_500
"""Results after which the run with each image a part ends: that costs too much for all of them."""
SETTINGS = FusionSettings(required=(Modality.NEWS,), window_s=5.0)
LIMIT_US = 1e6 / CAMERAS / PER_S
"""Processor time that a result may take for one process to keep up."""


@dataclass(slots=True)
class Cost:
    """What a run took.

    Attributes:
        results: That were read.
        spent_s: Processor time.
        written: Bytes of states that were written.
        largest: Bytes of the largest state.
        answers: That were published, revisions too.
        whole: Answers that hold in the end and have an image.
        headlines: All of them.
    """

    results: int = 0
    spent_s: float = 0.0
    written: int = 0
    largest: int = 0
    answers: int = 0
    whole: int = 0
    headlines: int = 0


def results(keys: int, seed: int = 1) -> Iterator[Classification]:
    """Yield images and headlines in the order of time."""
    chance = random.Random(seed)  # noqa: S311 - a load, no secret
    until = [0.0] * CAMERAS
    next_defect, offset = DEFECT_EVERY_S, 0
    for number in range(SECONDS * PER_S * CAMERAS):
        at, camera = number / PER_S / CAMERAS, number % CAMERAS
        if at >= next_defect:
            next_defect += DEFECT_EVERY_S
            until[camera] = at + DEFECT_S
            offset += 1
            news = {"tickers": (f"T{camera % keys}",)}
            yield _result(Modality.NEWS, offset, at + 0.5, "negative", news)
        label = "defect" if at < until[camera] else "good"
        camera_id = f"site-{camera % keys}/{camera}"
        dated = at + chance.uniform(0.0, 0.02)
        yield _result(Modality.CAMERA, number, dated, label, {"camera_id": camera_id})


def _result(
    modality: Modality, offset: int, at: float, label: str, about: dict[str, object]
) -> Classification:
    moment = START + timedelta(seconds=at)
    times = moment, moment + timedelta(milliseconds=TOTAL_MS)
    return made_up(modality, offset, label, times, about)


def run(keys: int, settings: FusionSettings) -> Cost:
    """Take all results in; return what that took."""
    table = tuple(Entity(f"site-{key}", (f"T{key}",), (f"site-{key}",)) for key in range(keys))
    now = START.timestamp()
    app = fusion(settings, entities=table, clock=lambda: now)
    states: dict[str, bytes] = {}
    cost, last = Cost(), dict[str, Fused]()
    most = None if settings.repeat_s else SOONER
    for one in list(islice(results(keys), most)):
        now = one.result_time.timestamp()
        cost.results += 1
        cost.headlines += one.modality is Modality.NEWS
        began = time.process_time()
        for key, part in app.spread(one):
            step = app.step(key, states.get(key), part)
            if step is None:
                continue
            states[key] = step.state
            cost.written += len(step.state)
            cost.largest = max(cost.largest, len(step.state))
            for outbound in step.derived:
                cost.answers += 1
                answer = decode_fused(outbound.value or b"")
                last[answer.id] = answer
        cost.spent_s += time.process_time() - began
    cost.whole = sum(one.complete for one in last.values())
    return cost


def main() -> None:
    """Print what was found."""
    for name, value in facts().items():
        print(f"{name}: {value}")
    print(f"{CAMERAS} cameras, {PER_S} images/s each, for {SECONDS} s")
    print("| entities | images | a result | states written, a result | largest state | answers |")
    print("|---|---|---|---|---|---|")
    for keys in (1, 20):
        for repeat_s in (0.0, 1.0):
            one = run(keys, replace(SETTINGS, repeat_s=repeat_s))
            how = f"as one within {repeat_s:g} s" if repeat_s else "each a part"
            print(
                f"| {keys} | {how} | {1e6 * one.spent_s / one.results:,.0f} µs "
                f"| {one.written / one.results:,.0f} bytes | {one.largest:,} bytes "
                f"| {one.answers:,}, {one.whole} of {one.headlines} headlines complete |",
                flush=True,
            )
    print(f"target: at most {LIMIT_US:,.0f} µs a result, so that one process keeps up")


if __name__ == "__main__":
    main()
