"""States of sessions are complete and right although the app is killed in mid-stream."""

import asyncio
import random
import signal
import time
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from schemas import Classification, Modality, Source
from streams.apps.sessions import sessions
from streams.broker import RunningBroker
from tests.fakes.results import MOMENT, result
from tests.integration.app import app_run, latest, publish, replayed

SESSIONS = 12
SEGMENTS = 25
SETTLED_S = 60.0


def segments(seed: int) -> list[tuple[bytes, Classification]]:
    """Make results of several sessions, with their keys; some overtake others, some come twice."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, no secret
    made = []
    for number in range(SESSIONS * SEGMENTS):
        session, segment = f"call-{number % SESSIONS}", number // SESSIONS
        one = msgspec.structs.replace(
            result(modality=Modality.TRANSCRIPT, label=chance.choice(("card", "balance", None))),
            source=Source(topic="events.transcripts", partition=0, offset=number),
            event_time=MOMENT + timedelta(seconds=5 * segment),
            session_id=session,
            segment=segment,
            speaker=chance.choice(("caller", "agent")),
            is_question=chance.random() < 0.3,
        )
        places = [number + chance.randrange(3 * SESSIONS) for _ in range(1 + (number % 9 == 0))]
        made += [(place, session.encode(), one) for place in places]
    made.sort(key=lambda each: each[0])
    return [(key, one) for _, key, one in made]


@pytest.mark.real_kafka
@pytest.mark.slow
async def test_a_killed_app_goes_on_with_what_it_knew(
    real_kafka: RunningBroker, tmp_path: Path
) -> None:
    """Each state that the steps derive is published, sequence number included."""
    results = segments(seed=4)
    wanted = replayed(sessions(), [one for _, one in results])
    async with app_run(real_kafka.bootstrap_servers, tmp_path, "sessions") as run:
        first = await run.start()
        await first.until_ready()
        sending = asyncio.create_task(publish(run.servers, run.inputs, results, per_s=90))
        await asyncio.sleep(1.5)
        assert await first.end(signal.SIGKILL) == -signal.SIGKILL
        second = await run.start()
        await sending
        give_up = time.monotonic() + SETTLED_S
        while (found := latest(await run.derived())).keys() < wanted.keys():
            assert time.monotonic() < give_up, run.logs()
            await asyncio.sleep(0.5)
        assert {name: (one.key, one.value) for name, one in found.items()} == {
            name: (one.key, one.value) for name, one in wanted.items()
        }
        assert await second.end(signal.SIGTERM) == 0, run.logs()
