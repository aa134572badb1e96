"""``headrace broker`` as a process: what it prints, how it ends, and what it leaves behind."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from streams.broker import available
from streams.broker.running import check
from tests.integration.broker.clients import until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]

PATIENCE_S = 90


@pytest.fixture(params=["maven", "embedded"])
def provider(request: pytest.FixtureRequest) -> str:
    """Return each provider that can be used here."""
    reason = available(request.param)
    if reason:
        pytest.skip(reason)
    return request.param


@asynccontextmanager
async def broker_command(*arguments: str) -> AsyncIterator[Process]:
    """Start the command, and kill it if the test has not ended it."""
    environment = {key: value for key, value in os.environ.items() if "HEADRACE" not in key}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "streams.cli", "broker", *arguments),
        stdout=PIPE,
        stderr=PIPE,
        env=environment,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def first_line(process: Process) -> str:
    """Return the first line of its standard output."""
    assert process.stdout
    async with asyncio.timeout(PATIENCE_S):
        line = await process.stdout.readline()
    assert line, "ended before its first line"
    return line.decode().rstrip("\n")


async def end_of(process: Process) -> tuple[int | None, str, str]:
    """Wait for the end; return exit status, and what is left on stdout and stderr."""
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_address_is_the_first_line_and_sigterm_ends_with_0(
    provider: str, tmp_path: Path
) -> None:
    """A script reads one line and connects; nothing else is on stdout, nothing runs on."""
    arguments = ("--provider", provider, "--data-dir", str(tmp_path / "data"))
    async with broker_command(*arguments) as process:
        await check(await first_line(process))
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.send_signal(signal.SIGTERM)
        status, out, err = await end_of(process)
        assert (status, out) == (0, ""), err
        assert f"{provider} broker, version" in err
        assert not any(child.is_running() for child in children)
    assert (tmp_path / "data").is_dir()


async def test_kill_9_of_the_command_leaves_no_broker_behind(provider: str) -> None:
    """The kernel ends the broker with the process that started it."""
    async with broker_command("--provider", provider) as process:
        await first_line(process)
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.kill()
        await process.wait()
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, 10)
        assert alive == []


async def test_a_port_in_use_is_refused_by_name(provider: str) -> None:
    """The line names the port and the option, and no address was printed before it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with broker_command("--provider", provider, "--port", str(port)) as process:
            status, out, err = await end_of(process)
    assert (status, out) == (2, "")
    assert f"port: {port} " in err
    assert "--port" in err


async def test_sigterm_while_starting_ends_with_0(provider: str, tmp_path: Path) -> None:
    """Whoever changes his mind does not have to wait for the broker first."""
    async with broker_command("--provider", provider, "--data-dir", str(tmp_path)) as process:
        await until(
            lambda: any(tmp_path.glob("*.log")), within_s=PATIENCE_S, what="a log of the broker's"
        )
        process.send_signal(signal.SIGTERM)
        status, _, err = await end_of(process)
        assert status == 0, err


async def test_settings_are_refused_where_they_would_be_passed_over() -> None:
    """The embedded broker has none."""
    reason = available("embedded")
    if reason:
        pytest.skip(reason)
    async with broker_command("--provider", "embedded", "--property", "a.b=1") as process:
        status, out, err = await end_of(process)
    assert (status, out) == (2, "")
    assert "a.b" in err
