"""What a probe and a scraper get."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from schemas.errors import ConfigurationError
from streams.health import Health, serve

HOST = "127.0.0.1"


@asynccontextmanager
async def served(health: Health, registry: CollectorRegistry | None = None) -> AsyncIterator[str]:
    """Serve a health on a free port; yield the address."""
    found = registry or CollectorRegistry()
    runner, port = await serve(health, host=HOST, port=0, registry=lambda: found)
    try:
        yield f"http://{HOST}:{port}"
    finally:
        await runner.cleanup()


async def get(url: str) -> tuple[int, str]:
    """Return status and body."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_readiness_names_what_is_missing() -> None:
    """503 until every condition holds, and again when one no longer does."""
    health = Health("model", "broker")
    async with served(health) as url:
        assert await get(f"{url}/readyz") == (
            503,
            '{"ok":false,"problem":null,"waiting_for":["broker","model"]}',
        )
        health.met("model")
        health.met("broker")
        assert (await get(f"{url}/readyz"))[0] == 200
        health.unmet("broker")
        status, body = await get(f"{url}/readyz")
        assert status == 503
        assert '"waiting_for":["broker"]' in body


async def test_readiness_says_why_where_that_is_known() -> None:
    """A breaker tells what it was opened for."""
    health = Health()
    health.unmet("breaker of events.news", "80 of 100 events became dead letters")
    async with served(health) as url:
        status, body = await get(f"{url}/readyz")
        assert status == 503
        assert '"reasons":{"breaker of events.news":"80 of 100 events became dead letters"}' in body
        health.met("breaker of events.news")
        assert "reasons" not in (await get(f"{url}/readyz"))[1]


async def test_a_worker_that_starts_is_well() -> None:
    """Not being ready is no reason to be replaced."""
    async with served(Health("model")) as url:
        assert await get(f"{url}/healthz") == (200, '{"ok":true,"problem":null}')


async def test_a_problem_fails_both_probes_and_tells_why() -> None:
    """Neither events nor patience for a worker that is stuck."""
    health = Health()
    health.problem = "7 events in flight, none ended in 30 s"
    async with served(health) as url:
        for path in ("healthz", "readyz"):
            status, body = await get(f"{url}/{path}")
            assert status == 503
            assert "none ended in 30 s" in body


async def test_metrics_are_collected_at_every_request() -> None:
    """In the text format of Prometheus, with its content type."""
    registry = CollectorRegistry()
    counter = Counter("mills", "Of the valley.", registry=registry)
    async with served(Health(), registry) as url, aiohttp.ClientSession() as session:
        for turns in (1, 2):
            counter.inc()
            async with session.get(f"{url}/metrics") as response:
                assert response.headers["content-type"].startswith("text/plain; version=")
                assert f"mills_total {turns}.0" in await response.text()


async def test_a_port_that_is_taken_is_the_users_to_change() -> None:
    """The error names port and host."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"metrics_port {port}.*{HOST}"):
            await serve(Health(), host=HOST, port=port)
