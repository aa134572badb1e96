"""A process frozen at the very write of a state cannot replace what others have written since."""

import asyncio
import signal
import time
from pathlib import Path

import pytest

from streams.broker import RunningBroker
from tests.integration.app import AppProcess, app_run, headlines, publish
from tests.integration.signals import check_once, compare

FROZEN_S = 60.0
FREEZES = """
import os
import signal
from pathlib import Path

from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.produce import ProduceRequest

from streams.app_host import run_app
from streams.apps.registry import APPS
from streams.settings import load_settings

send, trigger = AIOKafkaConnection.send, Path(os.environ["TRIGGER"])

def freeze_and_send(connection, request, *arguments, **named):
    if isinstance(request, ProduceRequest) and trigger.exists():
        if any("changelog" in topic for topic, _ in request._topics):
            trigger.unlink()
            os.kill(os.getpid(), signal.SIGSTOP)
    return send(connection, request, *arguments, **named)

AIOKafkaConnection.send = freeze_and_send
settings = load_settings()
run_app(APPS["signals"](settings.apps), settings)
"""


def is_frozen(process: AppProcess) -> bool:
    """Ask the kernel."""
    return "State:\tT" in Path(f"/proc/{process.process.pid}/status").read_text()


async def until_frozen(process: AppProcess) -> None:
    """Wait until the process has stopped itself."""
    give_up = time.monotonic() + FROZEN_S
    while not is_frozen(process):
        assert time.monotonic() < give_up, process.log.read_text()
        await asyncio.sleep(0.1)


@pytest.mark.real_kafka
@pytest.mark.slow
async def test_a_state_that_is_written_too_late_is_refused(
    real_kafka: RunningBroker, tmp_path: Path
) -> None:
    """The process goes on after another took over, derived more and died; a third knows better."""
    results = headlines(300, seed=12)
    async with app_run(real_kafka.bootstrap_servers, tmp_path, "signals") as run:
        run.variables["HEADRACE_APPS__DELIVERY"] = "exactly_once"
        trigger = tmp_path / "trigger"
        frozen = await run.start(script=FREEZES, TRIGGER=str(trigger))
        await frozen.until_ready()
        await publish(run.servers, run.inputs, results[:100], per_s=1_000)
        await compare(run, results[:100])
        trigger.touch()
        await publish(run.servers, run.inputs, results[100:150], per_s=1_000)
        await until_frozen(frozen)
        second = await run.start()
        await second.until_ready()
        await publish(run.servers, run.inputs, results[150:200], per_s=1_000)
        await compare(run, results[:200])
        frozen.process.send_signal(signal.SIGCONT)
        assert await asyncio.wait_for(frozen.process.wait(), FROZEN_S) == 1, run.logs()
        await second.end(signal.SIGKILL)
        third = await run.start()
        await third.until_ready()
        await publish(run.servers, run.inputs, results[200:], per_s=1_000)
        await compare(run, results)
        check_once(await run.derived())
