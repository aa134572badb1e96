"""Tickers that stand in a text as words do."""

import pytest

from streams.entities.names import COMMON_WORDS
from streams.entities.rows import Row
from streams.entities.settings import Entities
from streams.entities.symbols import ABBREVIATIONS, SYMBOL_WORDS
from tests.fakes.gazetteers import linker_of

ROWS = (
    Row(name="Quillon", ticker="QLLN", exchange="NASDAQ"),
    Row(name="Snowdrift Data", ticker="SNOW", exchange="NYSE"),
    Row(name="Allgood Insurance", ticker="ALL", exchange="NYSE"),
    Row(name="Itterby", ticker="IT", exchange="NYSE"),
    Row(name="Vexmoor", ticker="VXM", exchange="NYSE", context=("turbines",)),
    Row(name="Muller Memory", ticker="MU", exchange="NASDAQ"),
    Row(name="Berrick", ticker="BRK.B", exchange="NYSE"),
    Row(name="Reliable Mills", ticker="RELMILL.NS", exchange="NSE"),
    Row(name="Bajwa-Auto", ticker="BAJWA-AUTO.NS", exchange="NSE"),
    Row(name="Hanok Devices", ticker="005930.KS", exchange="KRX"),
)
LINKER = linker_of(*ROWS)


def tickers(text: str, *given: str, least: int = 1) -> list[str]:
    """Return what is linked in a text."""
    linker = LINKER if least == 1 else linker_of(*ROWS, settings=Entities(min_evidence=least))
    return [one.ticker for one in linker.explain(text, given) if one.taken]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("QLLN slides after a warning", ["QLLN"]),
        ("Why QLLN, RELMILL and BAJWA-AUTO matter", ["QLLN", "RELMILL.NS", "BAJWA-AUTO.NS"]),
        ("#QLLN (QLLN) QLLN's QLLN-led QLLN.", ["QLLN"] * 5),
        ("qlln Qlln xQLLN QLLNX QLLN_ @QLLN QLLN@x QLLN/USD", []),
        ("see QLLN.com and https://x.example/QLLN", []),
        ("QLLN.O and RELMILL.NS fall with BRK.B", ["QLLN", "RELMILL.NS", "BRK.B"]),
        ("IBRK.B or BRK.Bx", []),
    ],
)
def test_long_symbols_that_are_no_words_are_taken(text: str, found: list[str]) -> None:
    """Also with the ending of their exchange; not inside words, addresses and links."""
    assert tickers(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SNOW falls 5%", ["SNOW"]),
        ("Time to buy VXM?", ["VXM"]),
        ("VXM shares, MU calls", ["VXM", "MU"]),
        ("VXM and its turbines", ["VXM"]),
        ("QLLN, MU and VXM are the picks", ["QLLN", "MU", "VXM"]),
        ("Broker upgrades SNOW to neutral", ["SNOW"]),
        ("So much SNOW in the mountains, investors stay at home", []),
        ("The VXM exam is postponed", []),
    ],
)
def test_words_and_short_symbols_need_something_next_to_them(text: str, found: list[str]) -> None:
    """Of what is said of companies; money somewhere in the text is not enough."""
    assert tickers(text) == found


@pytest.mark.parametrize(
    "text",
    ["IT stocks rally", "buy IT shares", "ALL shares gain", "QLLN, IT shares fall", "Is IT up?"],
)
def test_abbreviations_are_no_tickers_whatever_is_next_to_them(text: str) -> None:
    """Of what they stand for as a rule, all the same is said."""
    assert set(tickers(text)) <= {"QLLN"}


def test_the_company_s_name_settles_any_symbol() -> None:
    """In the text, or as the feed's ticker."""
    assert tickers("Allgood Insurance (ALL) pays") == ["ALL", "ALL"]
    assert tickers("IT pays", "NYSE:IT") == ["IT"]
    assert tickers("IT pays", "ALL") == []


def test_in_a_text_in_capitals_any_word_could_be_a_symbol() -> None:
    """So more must be said for it; links in small letters do not matter."""
    assert tickers("QLLN SHARES DROP AFTER WARNING https://x.example/abc") == ["QLLN"]
    assert tickers("REGULATOR TO LOOK INTO QLLN") == []
    assert tickers("SNOW FALLS IN THE ALPS") == []
    assert tickers("SNOW FALLS AS SNOWDRIFT DATA WARNS") == ["SNOW", "SNOW"]
    assert tickers("BRK.B AT A RECORD HIGH") == ["BRK.B"]


def test_numbers_with_an_exchange_s_ending_are_tickers() -> None:
    """Those that no row has if the setting accepts them; other numbers with points never."""
    assert tickers("005930.KS and 035420.KS rise") == ["005930.KS", "035420.KS"]
    assert tickers("Index at 17500.5, 7203.XX, 1234.A and 12.T") == []
    linker = linker_of(*ROWS, settings=Entities(accept_unknown=False))
    assert [one.ticker for one in linker.explain("005930.KS and 035420.KS")] == ["005930.KS"]


def test_signs_are_asked_for_even_where_names_need_none() -> None:
    """As many as the setting says, and one at least."""
    assert tickers("The VXM exam", least=0) == []
    assert tickers("VXM shares fall", least=2) == []
    assert tickers("VXM shares fall, turbines stop", least=2) == ["VXM"]


def test_the_lists_of_words_hold_what_is_no_ticker_alone() -> None:
    """Each word once, in capitals."""
    assert {"IT", "ALL", "ON", "NOW", "AI", "CEO"} <= ABBREVIATIONS
    assert {"CAT", "SNOW", "FAST", "LOVE"} <= SYMBOL_WORDS
    assert not {"AAPL", "MSFT", "INFY"} & (SYMBOL_WORDS | ABBREVIATIONS)
    assert all(word == word.upper() for word in SYMBOL_WORDS | ABBREVIATIONS)
    assert "apple" in COMMON_WORDS
