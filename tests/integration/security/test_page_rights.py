"""The live page on a broker with access rules: what may not be read keeps nothing else away."""

import asyncio

import pytest

from streams.clients import open_admin, open_consumer
from streams.connection import Connection
from tests.integration.published import publish, result
from tests.integration.security.conftest import Vault
from tests.integration.security.grants import DESCRIBE, GROUP, READ, TOPIC, allow, withdraw
from tests.integration.test_live_page import gateway_of, ids, looking, until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]

OPEN, CLOSED, WORKERS = "results.open", "results.closed", "page-workers"
TOPICS = ((TOPIC, OPEN, READ), (TOPIC, CLOSED, DESCRIBE))
GROUPS = ((GROUP, WORKERS, DESCRIBE),)


async def test_what_may_not_be_read_is_named_and_the_rest_is_shown(vault: Vault) -> None:
    """Of topics and of groups; a right that is granted later counts from then on."""
    await vault.create(OPEN, CLOSED)
    servers = vault.superuser.bootstrap_servers
    await publish(servers, OPEN, result(1, event_id="n-1"))
    async with (
        open_admin(vault.superuser) as admin,
        open_consumer(vault.superuser, group_id=WORKERS) as member,
    ):
        member.subscribe([OPEN])
        async with asyncio.timeout(30):
            while not member.assignment():
                await member.getmany(timeout_ms=100)
        await allow(admin, "ada", *TOPICS)
        try:
            login = Connection(vault.broker.bootstrap_servers, "page", vault.login())
            async with gateway_of(login) as url, looking(url) as events:
                assert ids(await until(events, "rows", holds=ids)) == ["n-1"]
                told = await until(events, "totals", holds=lambda data: data["problem"])
                assert f"lacks Read on topic {CLOSED}" in told["problem"]
                groups = await until(events, "groups", holds=lambda _: True)
                assert groups["members"] == []
                await allow(admin, "ada", *GROUPS, (TOPIC, CLOSED, READ))
                await publish(servers, CLOSED, result(2, event_id="n-2"))
                assert ids(await until(events, "rows", holds=ids)) == ["n-2"]
                await until(events, "totals", holds=lambda data: data["problem"] is None)
            async with gateway_of(login) as url, looking(url) as events:
                await until(events, "groups", holds=lambda data: data["members"])
        finally:
            await withdraw(admin, "ada", *TOPICS, *GROUPS, (TOPIC, CLOSED, READ))
