"""One browser for all, and for each test a gateway, and topics that nobody else writes to."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from streams.broker import RunningBroker
from tests.browser import page as live
from tests.conftest import topics_of


@dataclass(frozen=True)
class Topics:
    """One topic of each kind."""

    results: str
    signals: str
    alerts: str

    @property
    def all(self) -> tuple[str, ...]:
        """Their names."""
        return (self.results, self.signals, self.alerts)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Return a browser; without a Chromium the test is skipped."""
    path = live.chromium()
    if path is None:
        pytest.skip(f"needs a Chromium, as one of {', '.join(live.NAMES)} on the PATH")
    async with live.browser(path) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def topics(broker: RunningBroker) -> AsyncIterator[Topics]:
    """Return new topics of results, signals and alerts."""
    async with topics_of(broker.bootstrap_servers) as create:
        yield Topics(
            await create(2, name="results.page"),
            await create(name="signals.page"),
            await create(name="alerts.page"),
        )


@pytest_asyncio.fixture(loop_scope="session")
async def served(broker: RunningBroker, topics: Topics) -> AsyncIterator[live.Served]:
    """Return a gateway that serves these topics to anybody."""
    gateway = live.Served(broker.bootstrap_servers, topics.all)
    async with gateway.serving():
        yield gateway


@pytest_asyncio.fixture(loop_scope="session")
async def seen(browser: Browser, served: live.Served) -> AsyncIterator[live.Seen]:
    """Return the page, opened and live; afterwards it must not have complained."""
    looked = live.Seen(await browser.new_page(viewport={"width": 1440, "height": 900}))
    await looked.page.goto(served.url)
    await looked.until_live()
    yield looked
    await looked.page.close()
    assert looked.complaints == []
    assert {url for url in looked.requests if not url.startswith(served.url)} == set()
