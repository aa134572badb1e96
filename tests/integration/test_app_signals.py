"""Signals are complete and right although members of the app are killed in mid-stream."""

import asyncio
import random
import signal
from pathlib import Path

import pytest

from streams.apps.taking import own_topics
from streams.broker import RunningBroker
from streams.connection import Connection
from streams.topics import ensure_topics
from tests.conftest import TopicFactory
from tests.integration.app import (
    PARTITIONS,
    SESSION_MS,
    AppProcess,
    allow,
    app_run,
    headlines,
    publish,
)
from tests.integration.signals import check_once, compare
from tests.integration.worker import producing


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


@pytest.mark.real_kafka
async def test_a_record_that_the_broker_refuses_ends_the_process(
    real_kafka: RunningBroker, tmp_path: Path
) -> None:
    """With status 1, and nothing is committed that was not derived."""
    results = headlines(40, seed=5)
    servers = real_kafka.bootstrap_servers
    async with app_run(servers, tmp_path, "signals", max_message_bytes="300") as run:
        process = await run.start()
        await process.until_ready()
        await publish(servers, run.inputs, results, per_s=1_000)
        assert await asyncio.wait_for(process.process.wait(), 60) == 1, run.logs()
        assert "app_failed" in run.logs()
        await allow(servers, run.output, max_message_bytes="1000000")
        await run.start()
        await compare(run, results)


@pytest.mark.real_kafka
async def test_several_inputs_are_read_and_what_is_no_result_is_passed_over(
    real_kafka: RunningBroker, tmp_path: Path, topic_factory: TopicFactory
) -> None:
    """Inputs may have other numbers of partitions; foreign records and tombstones are counted."""
    results = headlines(120, seed=6)
    servers, narrow = real_kafka.bootstrap_servers, await topic_factory(3)
    async with app_run(servers, tmp_path, "signals") as run:
        async with producing(servers) as producer:
            for partition in range(PARTITIONS):
                await producer.send(run.inputs, b"no result", partition=partition)
                await producer.send(run.inputs, None, key=b"gone", partition=partition)
            await producer.flush()
        process = await run.start(HEADRACE_APPS__SIGNALS__INPUTS=f"{run.inputs},{narrow}")
        await process.until_ready()
        for topic in (run.inputs, narrow):
            mine = [one for one in results if (one[0] < b"T12") == (topic == narrow)]
            await publish(servers, topic, mine, per_s=1_000)
        await compare(run, results)
        assert await process.counted("no_result") == 2 * PARTITIONS
        assert await process.end(signal.SIGTERM) == 0


@pytest.mark.real_kafka
async def test_topics_that_do_not_fit_each_other_are_a_mistake_in_the_settings(
    real_kafka: RunningBroker, tmp_path: Path
) -> None:
    """A state would not be where its parts are: status 2, as a restart mends nothing."""
    servers = real_kafka.bootstrap_servers
    async with app_run(servers, tmp_path, "signals") as run:
        parts, changelog = own_topics(f"{run.prefix}-signals")
        for name, partitions in ((parts, 2), (changelog, 3)):
            await ensure_topics(Connection(servers), [name], partitions=partitions)
        process = await run.start()
        assert await asyncio.wait_for(process.process.wait(), 60) == 2
        assert f"{changelog}: has 3 partitions and {parts} has 2" in run.logs()


@pytest.mark.real_kafka
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize("seed", range(2))
async def test_kills_stops_and_sleepers_lose_and_change_no_signal(
    real_kafka: RunningBroker, tmp_path: Path, seed: int, delivery: str
) -> None:
    """Three members, each started again by its supervisor; every few seconds one is disturbed.

    It is killed, told to stop, or frozen for less or more time than its session. With exactly once,
    no signal is published twice.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable, no secret
    results = headlines(4_000, seed=100 + seed)
    async with app_run(real_kafka.bootstrap_servers, tmp_path, "signals") as run:
        run.variables["HEADRACE_APPS__DELIVERY"] = delivery
        members = [await run.start() for _ in range(3)]
        await asyncio.gather(*(one.until_ready() for one in members))
        sending = asyncio.create_task(publish(run.servers, run.inputs, results, per_s=60))
        while not sending.done():
            await asyncio.sleep(chance.uniform(1, 8))
            number = chance.randrange(3)
            await disturb(members[number], chance)
            for index, one in enumerate(members):
                if one.process.returncode is not None:
                    members[index] = await run.start()
        await sending
        for index, one in enumerate(members):
            if one.process.returncode is not None:
                members[index] = await run.start()
        await compare(run, results)
        if delivery == "exactly_once":
            check_once(await run.derived())


async def disturb(member: AppProcess, chance: random.Random) -> None:
    """Do one of the things that happen to processes."""
    if member.process.returncode is not None:
        return
    kind = chance.choice(("kill", "stop", "short sleep", "long sleep"))
    if kind in ("kill", "stop"):
        await member.end(signal.SIGKILL if kind == "kill" else signal.SIGTERM)
        return
    member.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(SESSION_MS / 1e3 * (0.4 if kind == "short sleep" else 1.8))
    if member.process.returncode is None:  # it may have ended before it was stopped
        member.process.send_signal(signal.SIGCONT)
