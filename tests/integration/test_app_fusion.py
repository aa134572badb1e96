"""What belongs together is fused although a member of the app is killed in mid-stream."""

import asyncio
import signal
import time
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from schemas import Classification, Fused, Modality, Source, decode_fused, result_id
from schemas.fused import Incomplete
from streams.broker import RunningBroker
from tests.fakes.results import MOMENT, result
from tests.integration.app import AppRun, app_run, publish

INCIDENTS = 200
TICKERS = 24
PER_S = 90
SLOW_AFTER = 3 * PER_S
"""Results sent between a slow one's time and its sending: three times the wait."""
SETTLED_S = 60.0
SETTINGS = {
    "HEADRACE_APPS__FUSION__KEY": "ticker",
    "HEADRACE_APPS__FUSION__WINDOW_S": "4",
    "HEADRACE_APPS__FUSION__WAIT_MS": "1000",
    "HEADRACE_APPS__FUSION__LATENESS_S": "3600",
}
Keyed = list[tuple[bytes, Classification]]
Together = set[frozenset[str]]


def told(incident: int, modality: Modality) -> Classification:
    """Make what one modality says of an incident; incidents of a ticker are ten seconds apart."""
    at = MOMENT + timedelta(seconds=10 * (incident // TICKERS))
    late = 0.0 if modality is Modality.NEWS else 1.0 + incident % 3
    return msgspec.structs.replace(
        result(modality=modality),
        source=Source(topic=f"events.{modality}", partition=0, offset=incident),
        event_time=at + timedelta(seconds=late),
        result_time=at + timedelta(seconds=5),
        tickers=(f"T{incident % TICKERS:02d}",),
    )


def incidents() -> tuple[Keyed, Together]:
    """Return results in the order of their sending, and which belong together.

    Some images never come, some come long after the wait, and some headlines come twice.
    """
    sending, together = [], set()
    for incident in range(INCIDENTS):
        news, camera = told(incident, Modality.NEWS), told(incident, Modality.CAMERA)
        parts = [news] if incident % 7 == 0 else [news, camera]
        together.add(frozenset(map(name_of, parts)))
        for place, one in enumerate(parts):
            slow = SLOW_AFTER if one is camera and incident % 5 == 0 else 0
            sending.append((2 * incident + place + slow, one))
        if incident % 6 == 0:
            sending.append((2 * incident + 40, news))
    sending.sort(key=lambda each: each[0])
    return [(one.tickers[0].encode(), one) for _, one in sending], together


def name_of(one: Classification) -> str:
    """Return a result's id."""
    return result_id(one.source, one.model.digest, one.revision)


async def fused_until(run: AppRun, together: Together) -> list[Fused]:
    """Wait until the answers that hold are those; return all that were published."""
    give_up = time.monotonic() + SETTLED_S
    while True:
        answers = [decode_fused(record.value) for record in await run.derived()]
        holding = {one.id: one for one in answers}
        found = {
            frozenset(part.result for part in one.parts.values())
            for one in holding.values()
            if one.reason is not Incomplete.SUPERSEDED
        }
        if found == together or time.monotonic() > give_up:
            assert found == together, run.logs()
            return answers
        await asyncio.sleep(0.5)


def check_account(answers: list[Fused], together: Together) -> None:
    """Check that revisions count up, repetitions are equal, and what is missing is said."""
    revisions: dict[str, dict[int, Fused]] = defaultdict(dict)
    for answer in answers:
        known = revisions[answer.id].setdefault(answer.revision, answer)
        assert known == answer
        assert answer.complete is (not answer.missing) is (answer.reason is None)
    assert all(list(found) == list(range(len(found))) for found in revisions.values())
    last = [found[len(found) - 1] for found in revisions.values()]
    alone = [one for one in last if not one.complete]
    assert all((one.reason, one.missing) == ("wait_over", ("camera",)) for one in alone)
    assert len(alone) == sum(len(parts) == 1 for parts in together)
    assert any(one.complete and one.revision > 0 for one in last)


@pytest.mark.real_kafka
@pytest.mark.slow
async def test_a_killed_member_mixes_nothing_up(real_kafka: RunningBroker, tmp_path: Path) -> None:
    """One of two is killed and started again; waits that ran out meanwhile are said."""
    results, together = incidents()
    async with app_run(real_kafka.bootstrap_servers, tmp_path, "fusion") as run:
        first, second = await run.start(**SETTINGS), await run.start(**SETTINGS)
        await asyncio.gather(first.until_ready(), second.until_ready())
        sending = asyncio.create_task(publish(run.servers, run.inputs, results, per_s=PER_S))
        await asyncio.sleep(2.5)
        assert await first.end(signal.SIGKILL) == -signal.SIGKILL
        await asyncio.sleep(1.5)
        third = await run.start(**SETTINGS)
        await asyncio.gather(sending, third.until_ready())
        check_account(await fused_until(run, together), together)
        assert await second.counted("wake") > 0
        assert [await one.end(signal.SIGTERM) for one in (second, third)] == [0, 0], run.logs()
