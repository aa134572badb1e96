"""What a result carries of the companies that its event names."""

import pytest
from prometheus_client import REGISTRY

from schemas.events import NewsEvent
from schemas.limits import Limits
from schemas.results import Entity, Related, RelatedAs, Relation, TextField
from streams.entities.gazetteer import Gazetteer
from streams.entities.linker import Linker
from streams.entities.settings import Entities
from tests.fakes.gazetteers import SMALL, linker_of

LINKER = linker_of()


def event(headline: str, *tickers: str, body: str | None = None) -> NewsEvent:
    """Return news."""
    return NewsEvent(id="n-1", headline=headline, tickers=tickers, body=body)


def test_found_tickers_come_behind_those_of_the_feed() -> None:
    """In the order of the text, and none twice."""
    linked = LINKER.link(event("Zuri ships with Harbour Lines; Zuri rises", "XYZ", "XYZ", "HBR"))
    assert linked.tickers == ("XYZ", "HBR", "ZURI.SW")
    assert [one.ticker for one in linked.entities] == ["ZURI.SW", "HBR"]


def test_a_company_that_the_feed_names_in_another_form_is_not_added_again() -> None:
    """Another listing of it, or its exchange before the symbol."""
    for given in ("NYSE:ZRI", "SIX:ZURI", "ZRI"):
        assert LINKER.link(event("Zuri rises", given)).tickers == (given,)


def test_an_entity_says_who_where_and_with_whom_it_has_to_do() -> None:
    """Relations stand apart from the tickers."""
    linked = LINKER.link(event("Why Zuri Coffee AG rises"))
    assert linked.tickers == ("ZURI.SW",)
    assert linked.entities == (
        Entity(
            ticker="ZURI.SW",
            name="Zuri Coffee AG",
            start=4,
            end=18,
            related=(Related(ticker="HBR", relation=RelatedAs.SUPPLIER),),
        ),
    )
    (harbour,) = LINKER.link(event("Harbour Lines")).entities
    assert harbour.related == (Related(ticker="ZURI.SW", relation=RelatedAs.CUSTOMER),)


def test_a_part_without_a_ticker_leads_to_its_parents() -> None:
    """And says that it is one; named beside its parent it is an entity of its own."""
    linked = LINKER.link(event("Beanly opens"))
    assert linked.tickers == ("ZURI.SW",)
    assert linked.entities[0].relation is Relation.SUBSIDIARY
    assert linked.entities[0].name == "Beanly"
    both = LINKER.link(event("Beanly leaves Zuri"))
    assert both.tickers == ("ZURI.SW",)
    assert [one.name for one in both.entities] == ["Beanly", "Zuri Coffee AG"]


def test_a_ticker_in_no_row_has_no_name() -> None:
    """It is linked as it is written."""
    linked = LINKER.link(event("$QRST up"))
    assert linked == (("QRST",), (Entity(ticker="QRST", start=0, end=5),))


def test_the_articles_text_is_looked_through_on_request() -> None:
    """As much of it as is asked for; what the headline names is a sign there."""
    said = event("Harbour Lines rises", body="Gap apparel by sea. Beanly too.")
    assert LINKER.link(said).tickers == ("HBR",)
    linked = linker_of(settings=Entities(body_chars=20)).link(said)
    assert linked.tickers == ("HBR", "GAP")
    assert linked.entities[1].field is TextField.BODY
    assert linked.entities[1].sector == "Retail"


def test_there_are_no_more_tickers_than_an_event_may_have() -> None:
    """The feed's own stay."""
    linker = Linker(Gazetteer([SMALL], ""), Entities(), Limits(tickers=2))
    assert linker.link(event("Zuri, Harbour, Gap", "A", "B")).tickers == ("A", "B")
    assert linker.link(event("Zuri, Harbour, Gap", "A")).tickers == ("A", "ZURI.SW")


@pytest.mark.parametrize("headline", ["", "Ferry keeps its timetable", "gap year plans: $5"])
def test_news_that_names_nobody_keeps_its_own_tickers(headline: str) -> None:
    """As they came."""
    assert LINKER.link(event(headline, "HBR")) == (("HBR",), ())


def test_what_companies_are_found_by_is_counted() -> None:
    """By name, cashtag or listing."""
    before = _count("cashtag")
    LINKER.link(event("$HBR"))
    assert _count("cashtag") == before + 1


def _count(how: str) -> float:
    return REGISTRY.get_sample_value("headrace_entities_total", {"how": how}) or 0.0
