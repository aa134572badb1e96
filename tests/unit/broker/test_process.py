"""Child processes: what they write, and every way in which they end."""

import asyncio
import sys
import time
from pathlib import Path

import pytest

from schemas.errors import BrokerError
from streams.broker.process import ChildProcess, last_lines

TRACE = """\
12:00:00 ERROR Kafka$: Exiting
org.apache.kafka.ConfigException: Invalid value many
\tat org.apache.kafka.ConfigDef.parse(ConfigDef.java:787)
\tat java.base/java.lang.Thread.run(Thread.java:840)
Caused by: java.net.BindException: Address already in use
\tat kafka.Kafka$.<init>(Kafka.scala:1)
\t... 18 more
"""


def child(tmp_path: Path, code: str) -> ChildProcess:
    """Return a Python program that has not been started."""
    command = [sys.executable, "-c", code]
    return ChildProcess(command, log=tmp_path / "child.log", cwd=tmp_path)


async def has_written(process: ChildProcess, text: str) -> None:
    """Wait for a text in its log."""
    async with asyncio.timeout(20):
        while text not in process.logs(5):  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)


async def test_output_and_exit_status_are_kept(tmp_path: Path) -> None:
    """Both outputs go to the log; its last lines are told."""
    process = child(tmp_path, "import sys; print('out'); sys.exit('err')")
    assert (process.running, process.pid, process.logs(1)) == (False, None, "")
    process.start()
    assert await process.wait(20) == 1
    assert sorted(process.logs(5).splitlines()) == ["err", "out"]
    assert not process.running


async def test_a_second_start_appends_to_the_log(tmp_path: Path) -> None:
    """What it wrote before a kill is still there to be read."""
    process = child(tmp_path, "print('again')")
    for _ in range(2):
        process.start()
        await process.wait(20)
    assert process.logs(5) == "again\nagain"


async def test_stop_lets_it_end_in_order_also_where_it_is_frozen(tmp_path: Path) -> None:
    """SIGTERM arrives, because SIGCONT follows."""
    code = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7));"
    process = child(tmp_path, code + "print('up', flush=True); signal.pause()")
    process.start()
    await has_written(process, "up")
    process.pause()
    await process.stop()
    assert process.returncode == 7


async def test_what_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    """A stop ends in any case."""
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    process = child(tmp_path, code + "print('up', flush=True)\nwhile True: signal.pause()")
    process.start()
    await has_written(process, "up")
    begun = time.monotonic()
    await process.stop(grace_s=0.2)
    assert process.returncode == -9
    assert time.monotonic() - begun < 5


async def test_signals_to_what_does_not_run_are_an_error(tmp_path: Path) -> None:
    """A test that freezes nothing would prove nothing."""
    process = child(tmp_path, "pass")
    with pytest.raises(BrokerError, match="does not run"):
        process.pause()
    process.start()
    with pytest.raises(BrokerError, match="runs already"):
        process.start()
    await process.wait(20)
    await process.kill()
    await process.stop()


def test_stack_frames_are_left_out_of_quoted_logs() -> None:
    """Twelve lines of them would hide the cause."""
    assert last_lines(TRACE, 3).splitlines() == [
        "12:00:00 ERROR Kafka$: Exiting",
        "org.apache.kafka.ConfigException: Invalid value many",
        "Caused by: java.net.BindException: Address already in use",
    ]
