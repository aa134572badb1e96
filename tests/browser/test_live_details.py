"""What the live page shows of one thing, or of some: receipts, views, sessions, hostile texts."""

import re
from datetime import timedelta

import orjson
import pytest
from playwright.async_api import Browser, Page, expect

from schemas.derived import encode_alert, encode_signal
from schemas.events import Modality
from schemas.fused import Fused, FusedPart, Incomplete, encode_fused
from schemas.results import Verdict
from schemas.session_state import IntentCount, OpenQuestion, SessionState, encode_session
from streams.broker import RunningBroker
from tests.browser.conftest import Topics
from tests.browser.page import Seen, Served
from tests.conftest import topics_of
from tests.fakes.derived import alert, signal
from tests.fakes.results import MOMENT
from tests.integration.published import publish, result, send

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

ROWS = "#results-rows tr:visible"
MARKUP = "<img src=x onerror=alert(1)>"


async def until_rows(page: Page, count: int) -> None:
    """Wait for so many rows of results."""
    await expect(page.locator(ROWS)).to_have_count(count)


async def test_a_row_opens_its_result_which_can_be_sent_as_a_link(
    seen: Seen, served: Served, topics: Topics
) -> None:
    """With its stages, its record's place and its JSON; a record that is gone is said to be."""
    page = seen.page
    late = result(7, event_id="n-7", verdict=Verdict.LATE, reason="device: it was busy")
    await publish(served.servers, topics.results, result(1, event_id="n-1"), late)
    await until_rows(page, 2)
    await page.focus("#results-rows tr:first-child button")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowUp")
    await page.locator(ROWS, has_text="n-7").click()
    receipt = page.locator("#receipt")
    await expect(receipt.locator("h2")).to_have_text("Result of n-7")
    await expect(receipt).to_contain_text("▲ late: device: it was busy")
    await expect(receipt.locator("tbody tr", has_text="waited in the queue")).to_contain_text("ms")
    told = orjson.loads(await receipt.locator("#receipt-json").text_content() or "")
    assert told["result"]["event_id"] == "n-7"
    assert f"result={topics.results}%3A{told['partition']}%3A{told['offset']}" in page.url
    await page.reload()
    await expect(receipt.locator("h2")).to_have_text("Result of n-7")
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(served.url)
    await page.goto(f"{served.url}?result={topics.results}:0:999")
    await expect(receipt.locator("[role=alert]")).to_contain_text("has no longer, or not yet")
    await page.goto(f"{served.url}?result=events.news:0:0")
    await expect(receipt.locator("[role=alert]")).to_contain_text("is no topic of results")
    seen.complaints.clear()  # a browser complains of answers that are refusals


async def test_rows_stand_still_while_one_is_pointed_at(
    seen: Seen, served: Served, topics: Topics
) -> None:
    """What is about to be clicked does not move; what came meanwhile follows."""
    page = seen.page
    await publish(served.servers, topics.results, result(1, event_id="n-1"))
    await until_rows(page, 1)
    await page.hover(f"{ROWS} >> nth=0")
    await publish(served.servers, topics.results, result(2, event_id="n-2"))
    await expect(page.locator("#results-hint")).to_contain_text("; 1 came since")
    await until_rows(page, 1)
    await page.hover("h1")
    await until_rows(page, 2)


async def test_all_but_alerts_can_be_paused(seen: Seen, served: Served, topics: Topics) -> None:
    """The page says of when the picture is, and an alert is not missed."""
    page = seen.page
    await publish(served.servers, topics.results, result(1))
    await expect(page.locator("#rates-rows tr")).to_contain_text("100%")
    await page.keyboard.press("p")
    await expect(page.locator("#paused")).to_contain_text("alerts go on")
    await publish(served.servers, topics.results, result(2, verdict=Verdict.LATE))
    await send(served.servers, topics.alerts, encode_alert(alert()))
    await expect(page.locator("#alerts-rows tr")).to_have_count(1)
    await expect(page).to_have_title("▲ 1 headrace live")
    await expect(page.locator("#rates-rows tr")).to_contain_text("100%")
    await page.keyboard.press("p")
    await expect(page.locator("#rates-rows tr")).to_contain_text("50.0%")


async def test_the_address_names_panels_and_orders(
    seen: Seen, served: Served, topics: Topics
) -> None:
    """One panel may have all of the page; signals are sorted, and found by how they begin."""
    page = seen.page
    strengths = {"ACME": 0.2, "BOLT": 0.9, "BOND": 0.5}
    for ticker, strength in strengths.items():
        made = signal(ticker=ticker, strength=strength, id=ticker)
        await send(served.servers, topics.signals, encode_signal(made))
    names = page.locator("#tickers-rows th")
    await expect(names).to_have_text(["ACME", "BOLT", "BOND"])
    await page.select_option("#tickers-order", "strongest")
    await page.fill("#tickers-watched", "bo")
    await expect(names).to_have_text(["BOLT", "BOND"])
    await page.keyboard.press("Escape")
    await page.keyboard.press("6")
    await page.keyboard.press("o")
    await expect(page).to_have_url(f"{served.url}?signals=strongest&tickers=bo&only=tickers")
    await page.reload()
    await expect(names).to_have_text(["BOLT", "BOND"])
    await expect(page.locator("main .panel:visible")).to_have_count(1)
    await page.keyboard.press("4")
    await expect(page.locator("#results")).to_be_visible()


async def test_texts_of_events_are_shown_as_text(
    seen: Seen, served: Served, topics: Topics
) -> None:
    """Markup in ids, labels, cameras, tickers and subjects makes no element and runs nothing."""
    page = seen.page
    hostile = {"event_id": f"e{MARKUP}", "label": MARKUP, "scores": {MARKUP: 0.9}}
    image = {"modality": Modality.CAMERA, "camera_id": MARKUP, "reason": MARKUP}
    await publish(served.servers, topics.results, result(1, **hostile, **image))
    await publish(served.servers, topics.results, result(2, **hostile, tickers=(MARKUP,)))
    await send(served.servers, topics.signals, encode_signal(signal(ticker=MARKUP)))
    await send(served.servers, topics.alerts, encode_alert(alert(subject=MARKUP, rule=MARKUP)))
    await until_rows(page, 2)
    for place in ("#wall button", "#tickers-rows tr", "#alerts-rows tr", "#results-rows"):
        await expect(page.locator(place)).to_contain_text(MARKUP)
    await page.locator(ROWS).first.click()
    await expect(page.locator("#receipt-h")).to_contain_text(MARKUP)
    assert await page.locator("img").count() == 0


async def test_sessions_and_fused_answers_are_shown_where_there_are_any(
    browser: Browser, broker: RunningBroker
) -> None:
    """A state that another came after, and an answer without parts any more, are not."""
    async with topics_of(broker.bootstrap_servers) as create:
        topics = (await create(name="sessions.page"), await create(name="fused.page"))
        served = Served(broker.bootstrap_servers, (*topics, "results.nowhere"))
        page = await browser.new_page()
        async with served.serving():
            await page.goto(served.url)
            states = [state(2, asks=True), state(1), state(1, session="call-2")]
            await send(served.servers, topics[0], *map(encode_session, states))
            answers = [fused("news-1"), fused("news-2"), fused("news-2", superseded_by="news-1")]
            await send(served.servers, topics[1], *map(encode_fused, answers))
            rows = page.locator("#sessions-rows tr")
            await expect(rows).to_have_count(2)
            await page.select_option("#sessions-order", "waiting")
            await expect(rows.first).to_contain_text("card lost")
            await expect(rows.first).to_contain_text(re.compile(r"\? \d+ s, customer"))
            await expect(page.locator("#fused-rows tr")).to_have_count(1)
            await expect(page.locator("#fused-rows")).to_contain_text("news: negative 0.90")
            await expect(page.locator("#fused-rows")).to_contain_text(
                "◌ without camera: wait over (ambiguous)"
            )
            await expect(page.locator("#notice")).to_contain_text("has no topic results.nowhere")
            await page.close()


def state(sequence: int, session: str = "call-1", *, asks: bool = False) -> SessionState:
    """Return a session's state, whose question was asked half a minute before."""
    asked = OpenQuestion(result="r", speaker="customer", event_time=MOMENT - timedelta(seconds=30))
    return SessionState(
        session_id=session,
        sequence=sequence,
        segments=sequence,
        intents=(IntentCount(label="card_lost", count=sequence),),
        current_intent="card_lost",
        open_question=asked if asks else None,
        results=("r",),
        first_event_time=MOMENT,
        event_time=MOMENT,
    )


def fused(name: str, superseded_by: str | None = None) -> Fused:
    """Return an answer that lacks its camera."""
    said = FusedPart(
        label="negative", score=0.9, verdict=Verdict.ON_TIME, result="r", event_time=MOMENT
    )
    return Fused(
        id=name,
        revision=1 if superseded_by else 0,
        key="harbour",
        parts={} if superseded_by else {Modality.NEWS: said},
        complete=False,
        ambiguous=True,
        missing=(Modality.CAMERA,),
        reason=Incomplete.SUPERSEDED if superseded_by else Incomplete.WAIT_OVER,
        superseded_by=superseded_by,
        event_time=MOMENT,
        window_s=15,
    )


async def test_a_gateway_that_is_gone_is_said_to_be_since_when(seen: Seen, served: Served) -> None:
    """In a banner that stays in sight; contrast is kept, and a try can be asked for at once."""
    page = seen.page
    await served.stop()
    banner = page.locator("#banner")
    await expect(banner).to_contain_text("has not answered since")
    await expect(banner).to_contain_text("what is shown is of then")
    await expect(page.locator("#status")).to_have_text("Connection lost")
    await served.start()
    await page.click("#retry")
    await seen.until_live()
    await expect(banner).to_be_hidden()
    seen.complaints.clear()
