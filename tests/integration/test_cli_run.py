"""``headrace run`` that cannot start: exit codes, and why, in the log's last line."""

import asyncio
import socket

import orjson
import pytest

from streams.broker import available, open_broker
from tests.integration.command import Done, finish, headrace, start

pytestmark = pytest.mark.timeout(240)

NOWHERE = "127.0.0.1:1"
QUICK = ("--log-format", "json", "--modality", "news")
"""Without images, whose model takes seconds to load."""


async def run(*arguments: str, **variables: str) -> tuple[Done, str]:
    """Run a worker that ends by itself; return how, and the error that it logged last."""
    done = await headrace("run", *QUICK, *arguments, **variables)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    last = orjson.loads(done.stderr.splitlines()[-1])
    assert (last["event"], last["level"]) == ("worker_failed", "error")
    return done, last["error"]


async def test_an_unreachable_broker_may_come_back() -> None:
    """After the time to connect: exit code 1, address and remedy; the wait is told once."""
    done, error = await run("--bootstrap-servers", NOWHERE, HEADRACE_CONNECT_TIMEOUT_MS="1200")
    assert done.status == 1
    assert done.stderr.count("broker_not_ready") == 1
    assert NOWHERE in error
    assert "headrace broker" in error


async def test_missing_topics_are_named_where_they_may_not_be_created() -> None:
    """Exit code 1, for somebody else may create them; nothing was created."""
    if reason := available("embedded"):
        pytest.skip(reason)
    async with open_broker("embedded") as broker:
        servers = ("--bootstrap-servers", broker.bootstrap_servers)
        done, error = await run(*servers, "--no-create-topics")
        listed = await headrace("topics", "list", "--json", *servers)
    assert done.status == 1
    for name in ("events.news", "results.news", "events.news.dlq", "headrace topics create"):
        assert name in error
    assert orjson.loads(listed.stdout) == []


async def test_a_model_that_is_not_there_has_to_be_given() -> None:
    """Exit code 2, before the broker is asked for anything."""
    done, error = await run("--model", "no-such-model", "--bootstrap-servers", NOWHERE)
    assert done.status == 2
    assert "no-such-model" in error
    assert "news-sentiment" in error


async def test_a_metrics_port_that_is_taken_is_named() -> None:
    """Exit code 2, before any worker starts: a probe would ask somebody else."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = await headrace(
            *("run", "--metrics-port", port, "--workers", "2", "--bootstrap-servers", NOWHERE)
        )
    assert done.status == 2
    assert f"metrics_port {port}" in done.complaint


async def test_a_stop_while_the_broker_is_away_is_clean() -> None:
    """Nothing was taken in: exit code 0, at once."""
    process = await start("run", *QUICK, "--bootstrap-servers", NOWHERE)
    assert process.stderr
    async with asyncio.timeout(90):
        while b"broker_not_ready" not in (line := await process.stderr.readline()):
            assert line
    process.terminate()
    async with asyncio.timeout(10):
        done = await finish(process)
    assert done.status == 0
    assert orjson.loads(done.stderr.splitlines()[-1])["event"] == "worker_stopped"
