"""The rule for names that are also words, or somebody else's."""

import pytest

from streams.entities.rows import Row
from streams.entities.settings import Entities
from tests.fakes.gazetteers import linker_of

PEAR = Row(
    name="Pear", aliases=("Pear Computer",), ticker="PER", exchange="NASDAQ", also_word=("Pear",),
    context=("phone", "Ida Moss"), exclude=("pear tree",), suppliers=("CHP",),
)  # fmt: skip
SARDO = Row(name="Sardo", ticker="SAR", exchange="NYSE", also_name=("Sardo",), context=("trucks",))
CHIPCO = Row(name="Chipco", ticker="CHP", exchange="NYSE")
OTHER = Row(
    name="Other Sardo", aliases=("Sardo",), ticker="OTH", also_name=("Sardo",), context=("bakery",)
)
ROWS = (PEAR, SARDO, CHIPCO)


def tickers(text: str, *given: str, rows: tuple[Row, ...] = ROWS, least: int = 1) -> list[str]:
    """Return what is linked in a text."""
    linker = linker_of(*rows, settings=Entities(min_evidence=least))
    return [one.ticker for one in linker.explain(text, given) if one.taken]


@pytest.mark.parametrize(
    "text",
    [
        "Pear Inc plans",
        "Pear (PER) plans",
        "Pear unloads a new phone",
        "Why Ida Moss left Pear",
        "Pear shares drop",
        "Pear's earnings drop",
        "Fund takes a stake in Pear",
        "Pear says no",
        "Pear to buy a rival",
        "The maker of what Pear would like",
    ],
)
def test_signs_beside_a_common_word_make_it_a_company(text: str) -> None:
    """One is enough, unless more are asked for."""
    assert tickers(text) == ["PER"]


@pytest.mark.parametrize(
    "text",
    [
        "Pear harvest fails",
        "Harvest: Pear, plum and cherry",
        "a pear says no",
        "Pear tree shares a garden with a phone",
        "PEAR HARVEST FAILS",
        "Harvest Fails As Pear Trees Freeze",
    ],
)
def test_without_signs_it_is_the_word(text: str) -> None:
    """At the start of a sentence, in titles, in capitals, in small letters, in excluded phrases."""
    assert tickers(text) == []


def test_capitals_say_nothing_of_names_that_others_have() -> None:
    """A town has one as well."""
    assert tickers("Two lost hikers found near Sardo yesterday") == []
    assert tickers("Two lost trucks found near Sardo yesterday") == ["SAR"]


def test_another_name_or_ticker_of_the_company_settles_it() -> None:
    """Whatever stands between them, and whoever gives it."""
    assert tickers("Pear grows, and with it Pear Computer does") == ["PER", "PER"]
    assert tickers("Pear grows $PER") == ["PER", "PER"]
    assert tickers("Pear grows", "PER") == ["PER"]
    assert tickers("Pear grows", "NASDAQ:PER") == ["PER"]
    assert tickers("Pear grows", "CHP") == []


def test_a_relation_of_the_company_is_a_sign() -> None:
    """Its supplier's name stands by."""
    assert tickers("Pear and what Chipco makes of it") == ["PER", "CHP"]


def test_a_list_of_companies_takes_its_neighbours_in() -> None:
    """One by one, from one that is sure."""
    rows = (*ROWS, Row(name="Umbra", ticker="UMB"))
    assert tickers("Sardo, Pear and Umbra", rows=rows) == ["SAR", "PER", "UMB"]
    assert tickers("Sardo, Pear", rows=rows) == []


def test_as_many_signs_as_the_setting_asks_for() -> None:
    """None, one or more."""
    assert tickers("Pear harvest fails", least=0) == ["PER"]
    assert tickers("Pear shares drop", least=2) == []
    assert tickers("Pear shares drop as phone sales do", least=2) == ["PER"]
    assert tickers("Pear Inc drops", least=4) == ["PER"]


def test_of_two_companies_the_one_with_more_signs_is_meant() -> None:
    """Neither, where both have as many."""
    rows = (SARDO, OTHER)
    assert tickers("Sardo trucks sell well", rows=rows) == ["SAR"]
    assert tickers("Sardo opens a bakery", rows=rows) == ["OTH"]
    assert tickers("Sardo shares drop", rows=rows) == []
    assert tickers("Sardo opens a bakery for trucks", rows=rows) == []


def test_what_speaks_for_a_mention_is_told() -> None:
    """And what does not suffice."""
    linker = linker_of(*ROWS, settings=Entities(min_evidence=2))
    (one,) = linker.explain("Pear shares drop")
    assert (one.taken, one.why) == (False, ("before 'shares'",))
