"""Processes that the benchmark of subscribers starts, and topics for them."""

import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from streams.connection import Connection
from streams.gateway.settings import TOKENS_VARIABLE
from streams.topics import ensure_topics

HERE = Path(__file__).parent
TOKEN = secrets.token_hex(16)
PARTITIONS = 3
STARTED_S = 60.0
LIMITS = ("MAX_CLIENTS", "MAX_CLIENTS_PER_TOKEN")
SETTINGS = {
    # A WebSocket is two: a connection and a subscription.
    **{f"HEADRACE_GATEWAY__{limit}": "2000" for limit in LIMITS},
    # No heartbeats, so that all who are sent the same get the same number of bytes.
    "HEADRACE_GATEWAY__HEARTBEAT_MS": "3600000",
    "HEADRACE_LOG_LEVEL": "error",
}


@asynccontextmanager
async def gateway(servers: str, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a gateway until this is left; then it is killed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", "gateway", "--port", str(port)),
        *("--bootstrap-servers", servers),
        env={
            **os.environ,
            TOKENS_VARIABLE: TOKEN,
            **SETTINGS,
        },
    )
    try:
        await _until_ready(port)
        yield process
    finally:
        process.kill()
        await process.wait()


async def _until_ready(port: int) -> None:
    async with asyncio.timeout(STARTED_S), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/healthz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)


async def program(name: str, *arguments: str) -> asyncio.subprocess.Process:
    """Start a part of this benchmark."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, str(HERE / name), *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def said(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """Read a line of a part's answers."""
    assert process.stdout  # noqa: S101 - made with a pipe
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("a process of the benchmark ended; see its error above")
    found: dict[str, Any] = json.loads(line)
    return found


async def fresh_topic(servers: str) -> str:
    """Make a topic of results, and return its name."""
    topic = f"results.bench-{time.time_ns():x}"
    await ensure_topics(Connection(servers), [topic], partitions=PARTITIONS)
    return topic
