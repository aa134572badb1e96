"""Which broker is used: a given one first, then the first that can be started."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import NodeNotReadyError

from schemas.errors import BrokerError, ConfigurationError
from streams.broker import (
    ADDRESS_VARIABLE,
    AUTO,
    PROVIDERS,
    available,
    choose,
    open_broker,
    running,
)
from streams.broker import providers as module
from streams.connection import Connection


@pytest.fixture
def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(autouse=True)
def _no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)


def usable(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let just these providers be usable; the others lack a goat."""
    for provider in PROVIDERS:
        reason = None if provider in names else f"{provider} lacks a goat; buy one"
        monkeypatch.setitem(module._OBSTACLES, provider, lambda reason=reason: reason)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("docker", "maven", "embedded"), "docker"),
        (("maven", "embedded"), "maven"),
        (("embedded",), "embedded"),
        (("docker", "embedded"), "docker"),
    ],
)
def test_apache_kafka_comes_before_the_embedded_broker(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], chosen: str
) -> None:
    """Docker, then a JVM, then what is good for trying out only."""
    usable(monkeypatch, *names)
    assert choose() == chosen


def test_where_none_can_be_used_every_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its remedy, and with the way that is always open."""
    usable(monkeypatch)
    with pytest.raises(BrokerError) as raised:
        choose()
    for provider in PROVIDERS:
        assert f"{provider}: {provider} lacks a goat; buy one" in str(raised.value)
    assert "--bootstrap-servers" in str(raised.value)


async def test_auto_opens_the_one_that_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails as that one fails, not by trying the next: the reason would get lost."""
    usable(monkeypatch, "docker", "embedded")

    def broken(**_: object) -> None:
        raise BrokerError("the image is torn")

    monkeypatch.setitem(module._OPENERS, "docker", broken)
    with pytest.raises(BrokerError, match="the image is torn"):
        async with open_broker(AUTO):
            pass


@pytest.mark.parametrize("provider", [AUTO, *PROVIDERS])
async def test_a_given_address_wins_over_every_provider(
    monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    """Nothing is started, and the broker is not ours to stop."""
    usable(monkeypatch, *PROVIDERS)
    asked: list[str] = []

    async def answers(address: str, **_: object) -> None:
        asked.append(address)

    monkeypatch.setattr(module, "check", answers)
    async with open_broker(provider, bootstrap_servers="kafka.example:9092") as broker:
        assert (broker.bootstrap_servers, broker.provider) == ("kafka.example:9092", "given")
        assert not broker.is_ours
        assert broker.is_kafka
        with pytest.raises(BrokerError, match=r"kafka\.example:9092"):
            await broker.kill()
    assert asked == ["kafka.example:9092"]


async def test_the_variable_counts_with_auto_only(
    monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    """Who asks for a provider by name gets one of his own."""
    monkeypatch.setenv(ADDRESS_VARIABLE, f"127.0.0.1:{closed_port}")
    with pytest.raises(BrokerError, match=f"127.0.0.1:{closed_port}"):
        async with open_broker():
            pass

    def started(**_: object) -> None:
        raise BrokerError("one of our own was started")

    monkeypatch.setitem(module._OPENERS, "embedded", started)
    with pytest.raises(BrokerError, match="one of our own was started"):
        async with open_broker("embedded"):
            pass


async def test_an_address_where_nobody_answers_is_named(closed_port: int) -> None:
    """With what to do about it."""
    address = f"127.0.0.1:{closed_port}"
    with pytest.raises(BrokerError) as raised:
        async with open_broker(bootstrap_servers=address):
            pass
    assert address in str(raised.value)
    assert "headrace broker" in str(raised.value)


async def test_an_address_that_is_none_is_a_mistake_in_the_settings() -> None:
    """The start fails the same way until someone mends it."""
    with pytest.raises(ConfigurationError, match="kafka:port"):
        async with open_broker(bootstrap_servers="kafka:port"):
            pass


async def test_a_provider_that_does_not_exist_is_refused_with_those_that_do() -> None:
    """Also where only its availability is asked for."""
    with pytest.raises(BrokerError, match="'rabbit' is none of auto, docker, maven, embedded"):
        available("rabbit")
    with pytest.raises(BrokerError, match="'rabbit' is none of auto, docker, maven, embedded"):
        async with open_broker("rabbit"):
            pass


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_port_that_somebody_listens_on_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    """Whatever answers there would be taken for ours."""
    usable(monkeypatch, *PROVIDERS)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BrokerError, match=f"^port: {port} .* --port$"):
            async with open_broker(provider, port=port):
                pass


async def test_a_broker_that_breaks_off_its_answer_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is still starting is asked again; whoever waits for it knows our errors only."""

    class BreaksOff:
        async def describe_cluster(self) -> dict[str, Any]:
            raise NodeNotReadyError

    @asynccontextmanager
    async def open_admin(_: Connection) -> AsyncIterator[BreaksOff]:
        yield BreaksOff()

    monkeypatch.setattr(running, "open_admin", open_admin)
    with pytest.raises(BrokerError, match=r"kafka\.example:9092.*NodeNotReady"):
        await running.check("kafka.example:9092")
