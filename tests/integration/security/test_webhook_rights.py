"""Webhooks on a broker with access rules: the documented rights are enough, and needed."""

import asyncio

import pytest

from schemas.errors import BrokerError
from schemas.kafka import decode_dead_letter
from streams.clients import open_admin
from streams.connection import Connection
from streams.health import Health
from streams.webhooks.service import Terms, Webhooks, prepare
from streams.webhooks.settings import Webhook
from tests.fakes.receiver import Reply, receiving
from tests.integration.published import publish, result
from tests.integration.security.conftest import Vault
from tests.integration.security.grants import (
    CREATE,
    GROUP,
    READ,
    TOPIC,
    WRITE,
    allow,
    withdraw,
)
from tests.integration.test_webhooks import ids, letters_of, until_committed

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(240)]

RESULTS = "results.hooked"


async def test_the_rights_that_are_documented_are_needed_and_enough(vault: Vault) -> None:
    """Without them the start names what is missing; with them records and dead letters arrive."""
    await vault.create(RESULTS)
    servers = vault.superuser.bootstrap_servers
    await publish(servers, RESULTS, result(1), result(2), result(3))
    login = Connection(vault.broker.bootstrap_servers, "hooks", vault.login())
    async with receiving() as receiver, open_admin(vault.superuser) as admin:
        receiver.behaviour = lambda came: Reply(422 if came.id == ids(2)[0] else 204)
        one = Webhook(name="rights", url=receiver.url, topics=(RESULTS,), start="beginning")
        needed = {
            f"Read on topic {RESULTS}": (TOPIC, RESULTS, READ),
            f"Read on topic {one.again}": (TOPIC, one.again, READ),
            f"Write on topic {one.dead_letters}": (TOPIC, one.dead_letters, WRITE),
            f"Read on group {one.group}": (GROUP, one.group, READ),
        }
        creates = [(TOPIC, name, CREATE) for name in (one.again, one.dead_letters)]
        with pytest.raises(BrokerError) as told:
            await service(one, login).run()
        assert [name for name in needed if name not in str(told.value)] == []
        await allow(admin, "ada", *needed.values(), *creates)
        try:
            hooks = service(one, login)
            running = asyncio.create_task(hooks.run())
            try:
                await receiver.until(lambda: len(receiver.accepted) == 2)
                await until_committed(servers, one, 3)
            finally:
                hooks.stop()
                await running
        finally:
            await withdraw(admin, "ada", *needed.values(), *creates)
    assert sorted(receiver.accepted_ids) == ids(1, 3)
    (letter,) = await letters_of(servers, one)
    assert decode_dead_letter(letter).error == "refused"


def service(one: Webhook, connection: Connection) -> Webhooks:
    """Return one webhook, to be served."""
    terms = Terms(connection=connection, commit_interval_s=0.05, drain_s=2.0)
    return Webhooks(prepare([one]), terms, Health())
