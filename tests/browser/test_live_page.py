"""What somebody sees and does who looks at the live page."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from schemas.derived import encode_alert, encode_signal
from schemas.events import Modality
from schemas.results import Classification, Verdict
from streams.broker import RunningBroker
from tests.browser.conftest import Topics
from tests.browser.page import Seen, Served
from tests.fakes.derived import alert, signal
from tests.integration.published import publish, result, send

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

TOKEN = "0123456789abcdef"  # noqa: S105 - of these tests
ROWS = "#results-rows tr"
CONTRASTS = (Path(__file__).parent / "contrasts.js").read_text()
"""Of every text that can be seen: what it is, and its contrast to what is behind it."""
NAMELESS = (Path(__file__).parent / "nameless.js").read_text()
"""Controls and drawings that have no name."""


async def publish_some(served: Served, topics: Topics) -> None:
    """Publish one or two of everything."""
    await publish(
        served.servers,
        topics.results,
        result(1, event_id="n-1", tickers=("ACME",)),
        result(2, event_id="n-2", tickers=("BOLT",), verdict=Verdict.LATE, label="negative"),
        camera(3, label="crack", scores={"crack": 0.9}),
    )
    raised = alert(subject="line-1/cam-2")
    await send(served.servers, topics.signals, encode_signal(signal(ticker="ACME")))
    await send(served.servers, topics.alerts, encode_alert(raised))


def camera(offset: int, name: str = "line-1/cam-2", **fields: Any) -> Classification:
    """Return the result of an image."""
    image = {"event_id": f"c-{offset}", "modality": Modality.CAMERA, "camera_id": name}
    return result(offset, **image, **fields)


async def test_what_is_published_appears(seen: Seen, served: Served, topics: Topics) -> None:
    """Results, rates, latencies, effort, a camera with its defect, a signal and an alert."""
    await publish_some(served, topics)
    page = seen.page
    await expect(page.locator(f"{ROWS}:visible")).to_have_count(3)
    late = page.locator(ROWS, has_text="n-2")
    await expect(late).to_contain_text("▲ late")
    tile = page.locator("#wall button")
    await expect(page.locator("#wall li")).to_have_class("is-defect is-alerted")
    await expect(tile).to_contain_text("▲ alert")
    await expect(tile).to_contain_text("◆ crack 0.90")
    await expect(page.locator("#tickers-rows tr")).to_contain_text("▼ negative")
    await expect(page.locator("#alerts-rows tr")).to_contain_text("▲ raised")
    await expect(page.locator("#announce")).to_contain_text("defect rate of camera line-1/cam-2")
    await expect(page.locator("#rates-rows tr")).to_contain_text("66.7%")
    await expect(page.locator("#latency-plots .latency")).to_have_count(2)
    await expect(page.locator("#effort-rows tr")).to_have_count(2)


async def test_filters_are_in_the_address_and_asked_of_the_gateway(
    seen: Seen, served: Served, topics: Topics
) -> None:
    """They find what came before, pass what comes after, and outlive a reload."""
    page = seen.page
    await publish_some(served, topics)
    await expect(page.locator(f"{ROWS}:visible")).to_have_count(3)
    await page.fill("#filter-text", "bolt")
    await expect(page.locator(f"{ROWS}:visible")).to_have_count(1)
    assert page.url.endswith("?text=bolt")
    await expect(page.locator("#announce")).to_have_text("1 of the newest results match")
    await page.reload()
    await expect(page.locator(f"{ROWS}:visible")).to_contain_text("n-2")
    await publish(
        served.servers,
        topics.results,
        result(11, event_id="n-11", tickers=("ACME",)),
        result(12, event_id="n-12", tickers=("BOLT",)),
    )
    await expect(page.locator(f"{ROWS}:visible")).to_have_count(2)
    await page.check("#filters [value=late]")
    await expect(page.locator(f"{ROWS}:visible")).to_have_count(1)
    await page.click("#filter-clear")
    await expect(page.locator(f"{ROWS}:visible")).to_have_count(5)


async def test_the_page_comes_back_when_the_gateway_does(
    seen: Seen, served: Served, topics: Topics
) -> None:
    """And says meanwhile that what it shows is old."""
    page = seen.page
    await served.stop()
    await expect(page.locator("#status")).to_contain_text("Connection lost")
    await served.start()
    await seen.until_live()
    await publish(served.servers, topics.results, result(1, event_id="n-after"))
    await expect(page.locator(ROWS).first).to_contain_text("n-after")
    seen.complaints.clear()  # a browser complains of each try that nobody answers


async def test_a_gateway_with_tokens_asks_for_one(
    browser: Browser, broker: RunningBroker, topics: Topics
) -> None:
    """A wrong one is said to be wrong; with a right one there is something to see."""
    served = Served(broker.bootstrap_servers, topics.all, [TOKEN])
    page = await browser.new_page()
    async with served.serving():
        await page.goto(served.url)
        await page.fill("#token", "f" * 16)
        await page.keyboard.press("Enter")
        await expect(page.locator("#login-error")).to_contain_text("none of its tokens")
        await expect(page.locator("#main")).to_be_hidden()
        await page.fill("#token", TOKEN)
        await page.keyboard.press("Enter")
        await expect(page.locator("#rates")).to_be_visible()
        await expect(page.locator("#status")).to_contain_text("Live")
        await page.close()


async def test_the_newest_results_can_be_paused(seen: Seen, served: Served, topics: Topics) -> None:
    """What came meanwhile is counted, and there when it goes on."""
    page = seen.page
    await publish(served.servers, topics.results, result(1, event_id="n-1"))
    await expect(page.locator(f"{ROWS}:visible")).to_have_count(1)
    await page.keyboard.press("p")
    await publish(served.servers, topics.results, result(2), result(3))
    await expect(page.locator("#results-hint")).to_have_text("paused; 2 came since")
    await expect(page.locator(f"{ROWS}:visible")).to_have_count(1)
    await page.click("#pause")
    await expect(page.locator(f"{ROWS}:visible")).to_have_count(3)


async def test_all_can_be_done_from_the_keyboard(
    seen: Seen, served: Served, topics: Topics
) -> None:
    """Keys go to panels and open their own list, unless switched off; focus can be seen."""
    page, focused = seen.page, "document.activeElement.id"
    for key, section in (("1", "rates"), ("4", "results"), ("9", "groups"), ("/", "filter-text")):
        await page.keyboard.press(key)
        assert await page.evaluate(focused) == section
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert await page.evaluate(outline) == "solid"
    await page.keyboard.type("p?")
    assert await page.input_value("#filter-text") == "p?"
    await page.keyboard.press("Escape")
    await page.keyboard.press("x")
    assert await page.input_value("#filter-text") == ""
    await page.keyboard.press("?")
    await expect(page.locator("#help")).to_be_visible()
    await page.uncheck("#keys-on")
    await page.keyboard.press("Escape")
    await expect(page.locator("#help")).to_be_hidden()
    await page.keyboard.press("p")
    assert await page.get_attribute("#pause", "aria-pressed") == "false"
    images = [camera(number, f"cam-{number}") for number in range(1, 4)]
    await publish(served.servers, topics.results, *images)
    await expect(page.locator("#wall li")).to_have_count(3)
    assert await page.locator("#wall button[tabindex='0']").count() == 1
    await page.focus("#wall button[tabindex='0']")
    for key, name in (("ArrowRight", "cam-2"), ("End", "cam-3"), ("Home", "cam-1")):
        await page.keyboard.press(key)
        assert name in await page.evaluate("document.activeElement.innerText")
    await page.keyboard.press("Enter")
    await expect(page.locator(f"{ROWS}:visible")).to_have_count(1)


async def test_texts_can_be_read_in_both_themes(seen: Seen, served: Served, topics: Topics) -> None:
    """Each has a contrast of 4.5 to its background at least, as WCAG asks; the choice stays."""
    page = seen.page
    await publish_some(served, topics)
    await expect(page.locator(f"{ROWS}:visible")).to_have_count(3)
    papers = set()
    for theme in ("light", "dark"):
        await page.keyboard.press("t")
        await expect(page.locator("#theme")).to_have_text(f"Theme: {theme}")
        found: list[dict[str, Any]] = await page.evaluate(CONTRASTS)
        assert len(found) > 100
        assert [one for one in found if one["contrast"] < 4.5] == []
        papers.add(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(papers) == 2
    await page.reload()
    await expect(page.locator("#theme")).to_have_text("Theme: dark")


async def test_everything_has_a_name(seen: Seen, served: Served, topics: Topics) -> None:
    """Tables have headers, drawings a description, controls a label, for who cannot see them."""
    await publish_some(served, topics)
    await expect(seen.page.locator("#latency-plots .latency")).to_have_count(2)
    assert await seen.page.evaluate(NAMELESS) == []
    heads = seen.page.locator("table thead th:not([scope=col])")
    assert await heads.count() == 0
    assert await seen.page.locator("tbody tr:not(:has(> th[scope=row]))").count() == 0


async def test_an_empty_page_says_what_to_do(seen: Seen, served: Served) -> None:
    """The command names the broker that was asked."""
    notice = seen.page.locator("#notice")
    await expect(notice).to_contain_text("Nothing came in the last 5 minutes")
    await expect(notice.locator("code")).to_contain_text(
        f"headrace replay headlines.jsonl --to events.news --bootstrap-servers {served.servers}"
    )
    await expect(seen.page.locator("#cameras-empty")).to_contain_text("No camera yet")
