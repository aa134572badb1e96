"""``headrace top`` on a broker with a worker, with none, and with no such group."""

import asyncio
import contextlib
import fcntl
import itertools
import os
import pty
import struct
import sys
import termios
import uuid
from pathlib import Path

import orjson
import pytest

from streams.broker import RunningBroker
from streams.connection import Connection
from streams.topics import ensure_topics
from tests.integration.command import finish, headrace, start
from tests.integration.worker import (
    LARGEST,
    PARTITIONS,
    TOPICS,
    producing,
    running_worker,
)

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
async def topics(broker: RunningBroker) -> None:
    """The shared topics, made as all tests expect them, whichever comes first.

    The worker is of headlines: the topic of pictures waits for another group's.
    """
    await ensure_topics(
        Connection(broker.bootstrap_servers),
        (*TOPICS, "events.camera"),
        partitions=PARTITIONS,
        max_message_bytes=LARGEST,
    )


async def send(servers: str, run: str) -> None:
    """Send headlines, one every 20 ms, until that is cancelled."""
    async with producing(servers) as producer:
        for number in itertools.count():
            value = orjson.dumps({"id": f"{run}-{number}", "headline": f"Mill {number} opens"})
            await producer.send_and_wait("events.news", value)
            await asyncio.sleep(0.02)


async def test_a_running_group_is_seen_with_its_results_and_metrics(
    broker: RunningBroker, tmp_path: Path
) -> None:
    """Whatever is seen is in the JSON document, and no topic that the group does not read."""
    servers, group = broker.bootstrap_servers, f"test-{uuid.uuid4().hex[:8]}"
    flags = ("--group", group, "--on-overload", "late")
    async with running_worker(servers, tmp_path / "log", *flags) as worker:
        top = await start(
            *("top", "--bootstrap-servers", servers, "--group", group, "--once", "--json"),
            *("--seconds", "3", "--metrics", f"127.0.0.1:{worker.port}"),
        )
        sending = asyncio.create_task(send(servers, group))
        done = await finish(top)
        sending.cancel()
        assert await worker.stop() == 0
    assert done.status == 0, done.stderr
    seen = orjson.loads(done.stdout)
    assert (seen["group"], seen["state"]) == (group, "Stable")
    topic = next(one for one in seen["topics"] if one["topic"] == "events.news")
    assert topic["rate_in"] > 5
    assert topic["rate_out"] > 5
    assert topic["budget_ms"] == 150
    assert topic["p99_ms"] >= topic["p50_ms"] > 0
    assert topic["labels"]
    (member,) = seen["workers"]
    assert member["verdicts"] == topic["verdicts"]
    owned = [one for one in seen["partitions"] if one["member"] == member["member"]]
    assert member["partitions"] == len(owned) > 0
    assert len(owned) == len(seen["partitions"])
    assert [one["topic"] for one in seen["topics"]] == ["events.news"]
    (instance,) = seen["instances"]
    assert (instance["ready"], instance["problem"]) == (1, None)
    assert instance["rate_in"] > 5
    # The worker has left: its group stays behind, with its offsets.
    done = await headrace(
        *("top", "--bootstrap-servers", servers, "--group", group, "--once", "--seconds", "0.2"),
        COLUMNS="80",
    )
    assert done.status == 0
    assert "Empty" in done.stdout
    assert "has no worker: start one with" in done.stdout
    assert max(map(len, done.stdout.splitlines())) == 80


async def test_a_group_that_nobody_knows_is_an_error(broker: RunningBroker) -> None:
    """With its name, and what to do."""
    servers = broker.bootstrap_servers
    done = await headrace("top", "--bootstrap-servers", servers, "--group", "nobody", "--once")
    assert done.status == 2
    assert "knows no group 'nobody'" in done.complaint
    assert "headrace run --group nobody" in done.complaint


async def test_a_broker_that_is_not_there_is_an_error() -> None:
    """In one line."""
    done = await headrace("top", "--bootstrap-servers", "127.0.0.1:1", "--once")
    assert done.status == 2
    assert "no broker answers at 127.0.0.1:1" in done.complaint


async def test_q_ends_it_on_a_terminal_and_leaves_that_as_it_was(
    broker: RunningBroker, tmp_path: Path
) -> None:
    """It draws on a screen of its own, at the terminal's size."""
    servers, group = broker.bootstrap_servers, f"test-{uuid.uuid4().hex[:8]}"
    async with running_worker(servers, tmp_path / "log", "--group", group):
        shown, status = await on_terminal("top", "--bootstrap-servers", servers, "--group", group)
    assert status == 0
    assert "headrace top" in shown
    assert "q quits" in shown
    assert shown.rstrip().endswith(("\x1b[?1049l\x1b[?25h", "\x1b[?25h\x1b[?1049l"))


async def on_terminal(*arguments: str) -> tuple[str, int]:
    """Run the command on a terminal of 80 by 24, press q at its first frame, return all of it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    kept = {key: value for key, value in os.environ.items() if "HEADRACE" not in key}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", *arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=kept | {"TERM": "xterm"},
    )
    os.close(theirs)
    shown, pressed = b"", False
    try:
        async with asyncio.timeout(30):
            with contextlib.suppress(OSError):  # the terminal is gone once the command has ended
                while part := await asyncio.to_thread(os.read, ours, 65_536):
                    shown += part
                    if b"q quits" in shown and not pressed:
                        pressed = True
                        os.write(ours, b"q")
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)
    assert process.returncode is not None
    return shown.decode("utf-8", "replace"), process.returncode
