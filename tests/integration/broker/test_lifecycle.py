"""Brokers of our own: where their data stay, how they come back, and on which ports."""

import socket
from pathlib import Path

import pytest
from aiokafka.admin import NewTopic

from schemas.errors import BrokerError
from streams.broker import available, maven, open_broker, ports
from tests.integration.broker.clients import Clients, read

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]


@pytest.fixture(params=["maven", "embedded"])
def provider(request: pytest.FixtureRequest) -> str:
    """Return each provider that can be used here."""
    reason = available(request.param)
    if reason:
        pytest.skip(reason)
    return request.param


async def test_data_that_are_kept_are_there_the_next_time(provider: str, tmp_path: Path) -> None:
    """After an orderly end, a broker on the same directory and port goes on where it was."""
    (port,) = ports.free_ports(1)
    async with open_broker(provider, data_dir=tmp_path, port=port) as first:
        assert first.bootstrap_servers == f"127.0.0.1:{port}"
        async with Clients(first.bootstrap_servers) as clients:
            admin, producer = await clients.admin(), await clients.producer()
            await admin.create_topics([NewTopic("kept", 1, 1)])
            await producer.send_and_wait("kept", b"value")
    async with (
        open_broker(provider, data_dir=tmp_path, port=port) as second,
        Clients(second.bootstrap_servers) as clients,
    ):
        (record,) = await read(await clients.reader("kept"), 1)
        assert record.value == b"value"


async def test_kafka_that_is_refused_a_port_tries_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody takes the clients' port between the choice and the start; Kafka alone would hang."""
    reason = available("maven")
    if reason:
        pytest.skip(reason)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        unlucky = [taken.getsockname()[1]]

        def choice(count: int) -> list[int]:
            free = ports.free_ports(count)
            return [unlucky.pop(), *free[1:]] if unlucky else free

        monkeypatch.setattr(maven, "free_ports", choice)
        async with (
            open_broker("maven") as broker,
            Clients(broker.bootstrap_servers) as clients,
        ):
            admin = await clients.admin()
            assert await admin.list_topics() == []
    assert not unlucky


async def test_settings_that_kafka_refuses_are_told_with_its_reason() -> None:
    """The message leads to `properties` and holds what Kafka says."""
    reason = available("maven")
    if reason:
        pytest.skip(reason)
    with pytest.raises(BrokerError, match=r"properties[\s\S]*num\.io\.threads"):
        async with open_broker("maven", properties={"num.io.threads": "many"}):
            pass
