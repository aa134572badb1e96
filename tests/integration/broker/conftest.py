"""Holds each test of a capability to what is known of the run's broker."""

from collections.abc import AsyncIterator

import pytest

from streams.broker import RunningBroker
from tests.integration.broker.clients import Clients
from tests.integration.broker.differences import CAPABILITIES, DIFFERENCES


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of this directory."""
    config.addinivalue_line(
        "markers", "capability(name): tries what CAPABILITIES has under the name"
    )


@pytest.fixture(autouse=True)
def expectation(request: pytest.FixtureRequest) -> None:
    """Expect a test to fail, or skip it, where the run's broker lacks its capability."""
    marker = request.node.get_closest_marker("capability")
    if marker is None:
        return
    (name,) = marker.args
    assert name in CAPABILITIES
    request.node.user_properties.append(("capability", name))
    broker: RunningBroker = request.getfixturevalue("broker")
    difference = DIFFERENCES.get((broker.provider, name))
    if difference is None:
        return
    if not difference.ends:
        pytest.skip(difference.why)
    request.applymarker(
        pytest.mark.xfail(reason=difference.why, raises=(AssertionError, TimeoutError), strict=True)
    )


@pytest.fixture
async def clients(broker: RunningBroker) -> AsyncIterator[Clients]:
    """Return what makes clients of the run's broker."""
    async with Clients(broker.bootstrap_servers) as made:
        yield made


@pytest.fixture
def session_timeout_ms(broker: RunningBroker) -> int:
    """Return the shortest session timeout that the broker takes: our Kafka is set to take less."""
    return 1500 if broker.is_ours and broker.is_kafka else 6000
