"""The broker of the PyPI package ``noida-db``: one small program, for trying things out."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from schemas.errors import BrokerError
from streams.broker.directory import data_directory
from streams.broker.notices import say
from streams.broker.ports import LOOPBACK
from streams.broker.process import ChildProcess
from streams.broker.running import LOG_LINES, RunningBroker, until_ready

PACKAGE = "noida-db"
INSTALL = "pip install 'headrace[embedded]'"
START_S = 15.0
POLL_S = 0.02
_ADDRESS = re.compile(r"^\s*kafka\s+\S+:(\d+)\s*$", re.MULTILINE)


def find_binary() -> Path | None:
    """Return the binary inside the package: its console script would orphan it when killed."""
    spec = find_spec("noida_db")
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).with_name(PACKAGE)
    return binary.absolute() if os.access(binary, os.X_OK) else None


def why_not_embedded() -> str | None:
    """Return why the embedded broker cannot be used, or ``None`` where it can."""
    try:
        version(PACKAGE)
    except PackageNotFoundError:
        return f"the package {PACKAGE} is not installed; {INSTALL}"
    if find_binary() is None:
        return f"the package {PACKAGE} holds no program for this machine; reinstall it: {INSTALL}"
    return None


@asynccontextmanager
async def open_embedded(
    *,
    port: int | None = None,
    data_dir: Path | None = None,
    properties: Mapping[str, str] | None = None,
    advertised_port: int | None = None,
) -> AsyncIterator[RunningBroker]:
    """Run the embedded broker for as long as the context lasts.

    Args:
        port: For clients; ``None`` takes a free one.
        data_dir: Keeps the data after the end; ``None`` keeps them in a temporary directory.
        properties: Must be empty: this broker has no such settings.
        advertised_port: Must be ``None``, likewise.

    Raises:
        BrokerError: The package is missing, settings were given, or it does not come up.
    """
    reason = why_not_embedded()
    binary = find_binary()
    if reason or binary is None:
        raise BrokerError(f"provider embedded: {reason}")
    if properties:
        raise BrokerError(
            f"properties: {', '.join(properties)}: the embedded broker takes no Kafka settings; "
            "ask for provider maven or docker"
        )
    if advertised_port is not None:
        raise BrokerError(
            f"advertised_port: {advertised_port}: the embedded broker tells clients its own port "
            "alone; ask for provider maven or docker"
        )
    with data_directory(data_dir) as home:
        say("the embedded broker is for trying out only: not for groups, transactions or safety")
        process = _process(binary, home, port or 0)
        try:
            process.start()
            address = f"{LOOPBACK}:{port or await _told_port(process)}"
            if port is None:  # a restart comes back on the same one
                process.command = _command(binary, home, int(address.rpartition(":")[2]))
            await until_ready(address, process, START_S)
            yield RunningBroker(
                bootstrap_servers=address,
                provider="embedded",
                version=version(PACKAGE),
                runner=process,
                check_address=address,
            )
        finally:
            await (process.stop() if data_dir is not None else process.kill())


def _process(binary: Path, home: Path, port: int) -> ChildProcess:
    return ChildProcess(_command(binary, home, port), log=home / "broker.log", cwd=home)


def _command(binary: Path, home: Path, port: int) -> list[str]:
    where = ["--host", LOOPBACK, "--kafka-port", str(port), "--data-dir", str(home / "data")]
    return [str(binary), "start", "--only", "kafka", *where]


async def _told_port(process: ChildProcess) -> int:
    """Wait until the broker has written which port it took."""
    give_up = time.monotonic() + START_S
    while process.running and time.monotonic() < give_up:
        found = _ADDRESS.search(process.logs(LOG_LINES))
        if found:
            return int(found.group(1))
        await asyncio.sleep(POLL_S)
    raise BrokerError(
        f"the embedded broker has named no port; its last lines:\n{process.logs(LOG_LINES)}"
    )
