"""The live page in Firefox: the same as in Chromium."""

from pathlib import Path

import pytest

from streams.broker import RunningBroker
from tests.browser.firefox import NAMES, firefox, window
from tests.browser.page import Served
from tests.conftest import TopicFactory
from tests.integration.published import publish, result

pytestmark = [pytest.mark.broker, pytest.mark.slow]

ROWS = "document.querySelectorAll('#results-rows tr:not([hidden])').length"
WIDTH = "document.documentElement.scrollWidth <= innerWidth"


async def test_the_page_is_alive_in_firefox(
    broker: RunningBroker, topic_factory: TopicFactory, tmp_path: Path
) -> None:
    """Rows come and open their result; nothing is too wide for a phone, and nothing complains."""
    path = firefox()
    if path is None:
        pytest.skip(f"needs a Firefox, as one of {', '.join(NAMES)} on the PATH")
    topic = await topic_factory(name="results.page")
    await publish(broker.bootstrap_servers, topic, result(1, event_id="n-1"))
    served = Served(broker.bootstrap_servers, (topic,))
    async with served.serving(), window(path, tmp_path) as seen:
        for width, height in ((1440, 900), (390, 844)):
            await seen.open(served.url, width, height)
            await seen.until("document.querySelector('#status').textContent", "Live")
            await seen.until(ROWS, 1)
            assert await seen.evaluate(WIDTH)
        await seen.evaluate("document.querySelector('#results-rows button').click()")
        await seen.until("document.querySelector('#receipt-h').textContent", "Result of n-1")
        await seen.evaluate("document.querySelector('#receipt').close()")
        await seen.evaluate("document.querySelector('#cameras .alone').click()")
        assert await seen.evaluate("location.search") == "?only=cameras"
        assert seen.complaints == []
