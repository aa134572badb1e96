"""Which broker to use, and opening it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from schemas.errors import BrokerError
from streams.broker.docker import open_docker, why_no_engine
from streams.broker.embedded import open_embedded, why_not_embedded
from streams.broker.java import why_no_java
from streams.broker.kafka_cache import why_no_jars
from streams.broker.maven import open_maven
from streams.broker.ports import require_free
from streams.broker.running import RunningBroker, check
from streams.security import Security

AUTO = "auto"
PROVIDERS = ("docker", "maven", "embedded")
"""In the order in which ``auto`` tries them."""
ADDRESS_VARIABLE = "HEADRACE_BOOTSTRAP_SERVERS"


def _why_not_maven() -> str | None:
    return why_no_java() or why_no_jars()


_OBSTACLES: dict[str, Callable[[], str | None]] = {
    "docker": why_no_engine,
    "maven": _why_not_maven,
    "embedded": why_not_embedded,
}
_OPENERS: dict[str, Callable[..., AbstractAsyncContextManager[RunningBroker]]] = {
    "docker": open_docker,
    "maven": open_maven,
    "embedded": open_embedded,
}


def available(provider: str) -> str | None:
    """Return why a provider cannot be used here, with the remedy; ``None`` where it can.

    Nothing is fetched or started. Asking for Docker takes 3 s at most, for Java a moment.

    Raises:
        BrokerError: There is no such provider.
    """
    if provider not in _OBSTACLES:
        raise _unknown(provider)
    return _OBSTACLES[provider]()


def choose() -> str:
    """Return the first provider that can be used here.

    Raises:
        BrokerError: None can; with the reason and remedy of each.
    """
    reasons = []
    for provider in PROVIDERS:
        reason = available(provider)
        if reason is None:
            return provider
        reasons.append(f"  {provider}: {reason}")
    raise BrokerError(
        "no broker can be started here; give the address of one with --bootstrap-servers, or:\n"
        + "\n".join(reasons)
    )


@asynccontextmanager
async def open_broker(
    provider: str = AUTO,
    *,
    port: int | None = None,
    bootstrap_servers: str | None = None,
    data_dir: str | Path | None = None,
    properties: Mapping[str, str] | None = None,
    security: Security | None = None,
    advertised_port: int | None = None,
) -> AsyncIterator[RunningBroker]:
    """Yield a broker that answers: one that is given, or one of our own that ends with the context.

    Our own ends with this process too, however that ends (on Linux). It is started by the thread
    that calls, which has to live as long.

    Args:
        provider: ``docker``, ``maven``, ``embedded``, or ``auto`` for the first that can be used.
        port: For clients, on the loopback interface; ``None`` takes a free one.
        bootstrap_servers: Address of a broker to use as it is. It wins over everything else. With
            ``auto`` the environment's HEADRACE_BOOTSTRAP_SERVERS wins as well; asking for a
            provider by name starts one of our own in any case.
        data_dir: Keeps the broker's data after the end; ``None`` throws them away.
        properties: Settings of Apache Kafka on top of ours, see ``docs/brokers.md``.
        security: How to reach a given one; our own are plain text.
        advertised_port: What Apache Kafka tells clients to connect to in place of its own port, for
            a proxy on the loopback interface. ``check_address`` still leads past it.

    Raises:
        BrokerError: The given address does not answer, or no broker can be started.
    """
    given = bootstrap_servers or (os.environ.get(ADDRESS_VARIABLE) if provider == AUTO else None)
    if given:
        await check(given, security=security)
        yield RunningBroker(bootstrap_servers=given, provider="given", version="unknown")
        return
    if provider == AUTO:
        provider = await asyncio.to_thread(choose)
    if provider not in _OPENERS:
        raise _unknown(provider)
    if port is not None:
        require_free(port)
    directory = None if data_dir is None else Path(data_dir)
    opened = _OPENERS[provider](
        port=port, data_dir=directory, properties=properties, advertised_port=advertised_port
    )
    async with opened as broker:
        yield broker


def _unknown(provider: str) -> BrokerError:
    return BrokerError(f"provider: {provider!r} is none of {', '.join((AUTO, *PROVIDERS))}")
