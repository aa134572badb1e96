"""An app of one's own runs as those that ship do, and its keys are woken by the clock."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from schemas import Classification, Modality
from streams.broker import RunningBroker
from tests.conftest import TopicFactory
from tests.fakes.results import result
from tests.integration.app import publish
from tests.integration.worker import read_all

EXAMPLE = Path(__file__).parents[2] / "examples" / "faust_app.py"


def seen(camera: str, ago_s: float) -> tuple[bytes, Classification]:
    """Return a result that a camera got so many seconds ago."""
    made = datetime.now(UTC) - timedelta(seconds=ago_s)
    one = msgspec.structs.replace(
        result(modality=Modality.CAMERA), camera_id=camera, result_time=made
    )
    return camera.encode(), one


@pytest.mark.real_kafka
async def test_the_example_tells_of_silent_cameras_once(
    real_kafka: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Also after a kill that came before the time: restored keys are woken too."""
    inputs, output = await topic_factory(2), await topic_factory(2)
    servers = real_kafka.bootstrap_servers
    # Not until it was killed and started again is the second camera silent for long enough.
    await publish(servers, inputs, [seen("gate", 60), seen("mill", 2), seen("mill", 1)], per_s=50)
    async with running(servers, inputs, output) as process:
        await until_told(servers, output, {"gate"})
        process.kill()
        await process.wait()
    async with running(servers, inputs, output) as process:
        await until_told(servers, output, {"gate", "mill"})
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0
    told = await read_all(servers, output, {0: 0, 1: 0})
    assert sorted(one.key for one in told) == [b"gate", b"mill"]


@asynccontextmanager
async def running(
    servers: str, inputs: str, output: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start the example on topics of the test's own; kill it where the test has not ended it."""
    program = (
        "import sys; from dataclasses import replace; import faust_app as example;"
        "topics = {'inputs': (sys.argv[1],), 'output': sys.argv[2]};"
        "example.run_app(replace(example.APP, **topics), example.load_settings())"
    )
    kept = {name: value for name, value in os.environ.items() if "HEADRACE" not in name}
    settings = {
        "PYTHONPATH": os.pathsep.join((str(EXAMPLE.parents[1]), str(EXAMPLE.parent))),
        "HEADRACE_BOOTSTRAP_SERVERS": servers,
        "HEADRACE_PARTITIONS": "2",
        "HEADRACE_SESSION_TIMEOUT_MS": "6000",
        "HEADRACE_APPS__PREFIX": inputs,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, inputs, output), env=kept | settings
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until_told(servers: str, output: str, cameras: set[str]) -> None:
    """Wait until all of these cameras were told of."""
    async with asyncio.timeout(60):
        while True:
            told = await read_all(servers, output, {0: 0, 1: 0})
            if {(one.key or b"").decode() for one in told} >= cameras:
                return
            await asyncio.sleep(0.5)


async def test_a_broker_that_is_not_there_is_told_in_one_line() -> None:
    """With the remedy, and the status of a failure that a restart may mend."""
    kept = {name: value for name, value in os.environ.items() if "HEADRACE" not in name}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLE)),
        stderr=asyncio.subprocess.PIPE,
        env=kept
        | {"PYTHONPATH": str(EXAMPLE.parents[1]), "HEADRACE_BOOTSTRAP_SERVERS": "127.0.0.1:1"},
    )
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert b"headrace broker" in errors
    assert b"Traceback" not in errors
