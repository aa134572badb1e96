"""Signals are complete and right although members of the app are killed in mid-stream."""

import asyncio
import signal
import time
from pathlib import Path

import pytest

from schemas import Classification
from streams.apps.signals import signals
from streams.broker import RunningBroker
from tests.integration.app import AppRun, app_run, headlines, latest, publish, replayed

SETTLED_S = 90.0
Keyed = list[tuple[bytes, Classification]]


async def compare(run: AppRun, results: Keyed) -> None:
    """Wait until there is a signal for each that the pure functions derive; then compare all."""
    wanted = replayed(signals(), [one for _, one in results])
    give_up = time.monotonic() + SETTLED_S
    while True:
        found = latest(await run.derived())
        if found.keys() >= wanted.keys() or time.monotonic() > give_up:
            break
        await asyncio.sleep(0.5)
    missing = sorted(wanted.keys() - found.keys())
    assert not missing, f"{len(missing)} of {len(wanted)} missing: {missing[:5]}\n{run.logs()}"
    assert found.keys() == wanted.keys()
    for name, record in found.items():
        assert (record.key, record.value) == (wanted[name].key, wanted[name].value), name


@pytest.mark.real_kafka
async def test_a_killed_member_loses_and_changes_no_signal(
    real_kafka: RunningBroker, tmp_path: Path
) -> None:
    """One of two is killed and started again; what is derived equals a replay of the steps."""
    results = headlines(900, seed=3)
    async with app_run(real_kafka.bootstrap_servers, tmp_path, "signals") as run:
        first, second = await run.start(), await run.start()
        await asyncio.gather(first.until_ready(), second.until_ready())
        sending = asyncio.create_task(publish(run.servers, run.inputs, results, per_s=90))
        await asyncio.sleep(2.5)
        assert await first.end(signal.SIGKILL) == -signal.SIGKILL
        await asyncio.sleep(1.5)
        third = await run.start()
        await sending
        await compare(run, results)
        assert await second.counted("part") > 0
        assert [await one.end(signal.SIGTERM) for one in (second, third)] == [0, 0], run.logs()
