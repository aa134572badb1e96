"""Faust that stands still without a word is noticed, and the process ends to be replaced."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from streams.apps.faust_runtime import STOP_S
from streams.broker import RunningBroker
from streams.connection import Connection
from streams.topics import ensure_topics
from tests.conftest import BrokerFactory
from tests.integration.app import PARTITIONS, AppRun, app_run, headlines, publish

DEAF = """
import asyncio
from streams.app_host import run_app
from streams.apps.faust_runtime import Runtime
from streams.apps.registry import APPS
from streams.settings import load_settings

take_over = Runtime._take_over

async def and_go_deaf(runtime):
    await take_over(runtime)
    asyncio.get_running_loop().call_later(2.0, runtime._faust.consumer.stop_flow)

Runtime._take_over = and_go_deaf
settings = load_settings()
run_app(APPS["signals"](settings.apps), settings)
"""


@pytest.mark.real_kafka
@pytest.mark.slow
async def test_an_app_that_hears_nothing_ends(real_kafka: RunningBroker, tmp_path: Path) -> None:
    """With status 1 and how many records wait; while none waits, it stays."""
    servers, log = real_kafka.bootstrap_servers, tmp_path / "deaf.log"
    async with app_run(servers, tmp_path, "signals") as run:
        kept = {name: value for name, value in os.environ.items() if "HEADRACE" not in name}
        settings = {
            "HEADRACE_BOOTSTRAP_SERVERS": servers,
            "HEADRACE_APPS__PREFIX": run.prefix,
            "HEADRACE_APPS__STALL_MS": "5000",
            "HEADRACE_APPS__SIGNALS__INPUTS": run.inputs,
            "HEADRACE_APPS__SIGNALS__OUTPUT": run.output,
        }
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", DEAF), stderr=errors, env=kept | settings
            )
        try:
            give_up = time.monotonic() + 60
            while "app_ready" not in log.read_text():
                assert process.returncode is None, log.read_text()
                assert time.monotonic() < give_up, log.read_text()
                await asyncio.sleep(0.2)
            await asyncio.sleep(12)
            assert process.returncode is None, log.read_text()
            await publish(servers, run.inputs, headlines(40, seed=9), per_s=1_000)
            assert await asyncio.wait_for(process.wait(), 60) == 1, log.read_text()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert "nothing moved for 5 s, with 40 records unread" in log.read_text()


@pytest.mark.slow
async def test_an_app_whose_broker_dies_as_it_stops_ends_in_order(
    kafka_factory: BrokerFactory, tmp_path: Path
) -> None:
    """As where both run on one machine that goes down: with status 0, soon, and no traceback."""
    async with kafka_factory() as broker:
        run = AppRun(broker.bootstrap_servers, tmp_path, "signals", "results", "derived", "app")
        connection = Connection(run.servers)
        await ensure_topics(connection, [run.inputs, run.output], partitions=PARTITIONS)
        process = await run.start()
        try:
            await process.until_ready()
            await broker.kill()
            began = time.monotonic()
            assert await process.end(signal.SIGTERM) == 0, run.logs()
            assert time.monotonic() - began < STOP_S, run.logs()
            assert "Traceback" not in run.logs()
        finally:
            await process.end(signal.SIGKILL)
