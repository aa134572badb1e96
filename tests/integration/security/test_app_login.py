"""An app logs in as a worker does, and needs no more rights than its topics ask for."""

import asyncio
import signal
import time
import uuid
from pathlib import Path

import pytest

from streams.apps.taking import own_topics
from streams.clients import open_admin
from tests.integration.app import AppRun, headlines, publish
from tests.integration.security.conftest import Vault
from tests.integration.security.grants import GROUP, READ, TOPIC, WRITE, allow, withdraw
from tests.integration.worker import read_all

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]
PATIENCE_S = 40.0


async def test_an_app_runs_on_a_broker_that_asks_who_is_there(vault: Vault, tmp_path: Path) -> None:
    """Its consumer and its producer speak TLS and log in, on topics that were made for it."""
    unique = uuid.uuid4().hex[:12]
    inputs, output, prefix = f"results.{unique}", f"signals.{unique}", f"app.{unique}"
    own = own_topics(f"{prefix}-signals")
    await vault.create(inputs, output, *own)
    rights = (
        (GROUP, f"{prefix}-signals", READ),
        (TOPIC, inputs, READ),
        (TOPIC, output, WRITE),
        *((TOPIC, each, right) for each in own for right in (READ, WRITE)),
    )
    run = AppRun(vault.broker.bootstrap_servers, tmp_path, "signals", inputs, output, prefix)
    async with open_admin(vault.superuser) as admin:
        await allow(admin, "ada", *rights)
        process = await run.start(
            HEADRACE_CREATE_TOPICS="false",
            **{name: text for name, text in vault.login().variables().items() if text},
        )
        try:
            await process.until_ready()
            servers = vault.superuser.bootstrap_servers
            await publish(servers, inputs, headlines(100, seed=8), per_s=1_000)
            give_up = time.monotonic() + PATIENCE_S
            while not await read_all(servers, output, {0: 0}):
                assert time.monotonic() < give_up, run.logs()
                await asyncio.sleep(0.2)
            assert await process.end(signal.SIGTERM) == 0, run.logs()
        finally:
            if process.process.returncode is None:
                process.process.kill()
                await process.process.wait()
            await withdraw(admin, "ada", *rights)
