"""An app logs in as a worker does, and needs no more rights than its topics ask for."""

import asyncio
import signal
import time
import uuid
from pathlib import Path

import pytest

from streams.apps.taking import own_topics
from streams.clients import open_admin
from streams.security import Mechanism, Protocol, Security
from tests.integration.app import AppRun, headlines, publish
from tests.integration.security.conftest import Vault, unsigned_token
from tests.integration.security.grants import (
    DESCRIBE,
    GROUP,
    READ,
    TOPIC,
    TRANSACTIONAL_ID,
    WRITE,
    allow,
    withdraw,
)
from tests.integration.worker import read_all

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]
PATIENCE_S = 40.0


def token_login(vault: Vault) -> Security:
    """Return the settings of who logs in with a token out of a file."""
    return Security(
        protocol=Protocol.SASL_SSL,
        ca_file=str(vault.authority.certificate),
        mechanism=Mechanism.OAUTHBEARER,
        token_file=vault.file("token-of-app", unsigned_token("ada")),
    )


@pytest.mark.parametrize("exactly_once", [False, pytest.param(True, marks=pytest.mark.slow)])
async def test_an_app_runs_on_a_broker_that_asks_who_is_there(
    vault: Vault, tmp_path: Path, *, exactly_once: bool
) -> None:
    """Its clients speak TLS and log in, on topics that were made for it.

    By name and password; with exactly once by a token, and with rights to its transactional ids.
    """
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
    login, delivery = vault.login(), "at_least_once"
    if exactly_once:
        identity = f"{prefix}-signals/{own[0]}/0"
        rights += tuple((TRANSACTIONAL_ID, identity, right) for right in (WRITE, DESCRIBE))
        delivery, login = "exactly_once", token_login(vault)
    run = AppRun(vault.broker.bootstrap_servers, tmp_path, "signals", inputs, output, prefix)
    async with open_admin(vault.superuser) as admin:
        await allow(admin, "ada", *rights)
        process = await run.start(
            HEADRACE_CREATE_TOPICS="false",
            HEADRACE_APPS__DELIVERY=delivery,
            **{name: text for name, text in login.variables().items() if text},
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
