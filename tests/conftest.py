"""Fixtures that need a broker: one broker serves a whole run."""

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest
from aiokafka.admin import NewTopic

from streams.broker import AUTO, PROVIDERS, RunningBroker, available, open_broker
from streams.clients import open_admin
from streams.connection import Connection
from streams.topics import until_led

# How fast examples are made says how busy the machine is, not that a property does not hold.
hypothesis.settings.register_profile(
    "any-machine", suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any-machine")

# Torch's threads spin where processes share the processors; a worker runs with one, too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A broker of a test lives for seconds: compiling it well would take longer than running it.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")

REQUIRE_REAL_KAFKA = "HEADRACE_REQUIRE_REAL_KAFKA"

TopicFactory = Callable[..., Awaitable[str]]
BrokerFactory = Callable[..., AbstractAsyncContextManager[RunningBroker]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say which broker to test against."""
    group = parser.getgroup("headrace")
    group.addoption(
        "--bootstrap-servers",
        metavar="H:P",
        help="use this Apache Kafka instead of starting one",
    )
    group.addoption(
        "--broker",
        choices=[AUTO, *PROVIDERS],
        default=AUTO,
        help="where the broker comes from that a run starts",
    )
    group.addoption(
        "--data",
        metavar="DIR",
        type=Path,
        help="measure checkpoints on the labelled texts in this folder too",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run one test at a time on a broker that is given: its topics would be those of all."""
    if config.getoption("--bootstrap-servers"):
        config.option.numprocesses = 0


@pytest.fixture(autouse=True)
def subnormal_numbers() -> Iterator[None]:
    """Undo what loading a checkpoint sets for the thread: hypothesis refuses to go without them."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(scope="session")
def broker(pytestconfig: pytest.Config) -> Iterator[RunningBroker]:
    """Return the run's broker; all tests share it, so it may be neither killed nor paused."""
    asked: str = pytestconfig.getoption("--broker")
    address: str | None = pytestconfig.getoption("--bootstrap-servers")
    reason = None if address or asked == AUTO else available(asked)
    if reason:
        _skip_or_fail(f"needs the {asked} broker: {reason}")
    opened = open_broker(asked, bootstrap_servers=address)
    with asyncio.Runner() as runner:
        running = runner.run(opened.__aenter__())
        try:
            yield running
        finally:
            runner.run(opened.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def real_kafka(broker: RunningBroker) -> RunningBroker:
    """Return the run's broker if it is Apache Kafka; the embedded one proves nothing here."""
    if not broker.is_kafka:
        _skip_or_fail(f"needs Apache Kafka: this run's broker is the {broker.provider} one")
    return broker


@pytest.fixture(scope="session")
def kafka_factory(pytestconfig: pytest.Config) -> BrokerFactory:
    """Return what starts an Apache Kafka of a test's own, to be killed, paused or configured.

    The arguments are those of ``open_broker`` after ``provider``.
    """
    asked: str = pytestconfig.getoption("--broker")
    reasons = {name: available(name) for name in ("docker", "maven") if asked in {AUTO, name}}
    provider = next((name for name, reason in reasons.items() if reason is None), None)
    if provider is None:
        found = [f"{name}: {reason}" for name, reason in reasons.items()]
        why = "; ".join(found) or f"this run asks for the {asked} broker"
        _skip_or_fail(f"needs Apache Kafka: {why}")
    return lambda **options: open_broker(provider, **options)


@pytest.fixture
async def topic_factory(broker: RunningBroker) -> AsyncIterator[TopicFactory]:
    """Return what creates topics of unique names and deletes them after the test.

    ``await topic_factory(3, max_message_bytes="2000000")`` returns the name of one.
    """
    async with topics_of(broker.bootstrap_servers) as create:
        yield create


@pytest.fixture
async def topic(topic_factory: TopicFactory) -> str:
    """Return the name of a new topic of one partition."""
    return await topic_factory()


@asynccontextmanager
async def topics_of(bootstrap_servers: str) -> AsyncIterator[TopicFactory]:
    """Yield what creates topics on a broker; deletes them afterwards where it still answers."""
    connection = Connection(bootstrap_servers, "headrace-tests")
    created: list[str] = []

    async def create(
        partitions: int = 1, *, name: str = "test", suffix: str = "", **configs: str
    ) -> str:
        unique = f"{name}.{uuid.uuid4().hex[:12]}{suffix}"
        settings = {key.replace("_", "."): value for key, value in configs.items()}
        async with open_admin(connection) as admin:
            response = await admin.create_topics(
                [NewTopic(unique, partitions, 1, topic_configs=settings)]
            )
            assert [error[1] for error in response.topic_errors] == [0], response
            created.append(unique)
            await until_led(admin, [unique])
        return unique

    yield create
    if created:
        async with open_admin(connection) as admin:
            await admin.delete_topics(created)


def _skip_or_fail(reason: str) -> NoReturn:
    """Skip a test for want of its broker, unless the run must not go without Apache Kafka."""
    if os.environ.get(REQUIRE_REAL_KAFKA) == "1":
        pytest.fail(f"{reason}; {REQUIRE_REAL_KAFKA}=1 forbids to go without")
    pytest.skip(reason)
