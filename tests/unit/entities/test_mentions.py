"""What is a mention of a company, and what only looks like one."""

import pytest

from streams.entities.mentions import MOST_MENTIONS, MOST_TICKERS, How
from streams.entities.rows import Row
from tests.fakes.gazetteers import linker_of

GE = Row(name="GE", aliases=("General Electric",), ticker="GE", exchange="NYSE")
KANJI = Row(name="トヨタ自動車", ticker="7203.T", exchange="TSE")
TOBIN = Row(name="Tobin & Sons Ltd", aliases=("Tobin-West", "O'Hare"), ticker="TOB", exchange="LSE")
LONG = Row(name="Tobin Air Lines", ticker="TAL", exchange="NYSE")
LINKER = linker_of(GE, KANJI, TOBIN, LONG)


def named(text: str) -> list[tuple[str, str]]:
    """Return the mentions of a text, as written, with their tickers."""
    return [(text[one.start : one.end], one.ticker) for one in LINKER.explain(text) if one.taken]


@pytest.mark.parametrize(
    ("text", "mentions"),
    [
        ("GE's plan", [("GE", "GE")]),
        ("(GE)", [("GE", "GE")]),
        ("#GE, “GE”: so GE.", [("GE", "GE")] * 3),
        ("the surge of a ge", []),
        ("AGE GEAR _GE GE_ GE&F", []),
        ("see ge.example and https://x.example/GE or GE.com", []),
        ("mail GE@ge.example x@GE", []),
        ("general electric", [("general electric", "GE")]),
        ("GENERAL ELECTRIC", [("GENERAL ELECTRIC", "GE")]),
        ("General Electric Co. rises", [("General Electric Co.", "GE")]),
        ("General Electric, Inc", [("General Electric, Inc", "GE")]),
        ("General Electrics results", [("General Electric", "GE")]),
        ("General Electricss Generals Electric", []),
        ("新しいトヨタ自動車が出る", [("トヨタ自動車", "7203.T")]),
        ("Tobin and Sons", [("Tobin and Sons", "TOB")]),
        ("Tobin&Sons", [("Tobin&Sons", "TOB")]),
        ("Tobin & Sons Ltd. wins", [("Tobin & Sons Ltd", "TOB")]),
        ("Tobin West, Tobin\u2011West", [("Tobin West", "TOB"), ("Tobin\u2011West", "TOB")]),
        ("O\u2019Hare OHare", [("O\u2019Hare", "TOB"), ("OHare", "TOB")]),
        ("Tobin Air Lines", [("Tobin Air Lines", "TAL")]),
        ("Tobin  Air\nLines", [("Tobin  Air\nLines", "TAL")]),
    ],
)  # fmt: skip
def test_names_are_found_as_whole_words(text: str, mentions: list[tuple[str, str]]) -> None:
    """With possessives, punctuation and legal forms; not inside words, addresses and links."""
    assert named(text) == mentions


@pytest.mark.parametrize(
    ("text", "tickers"),
    [
        ("$GE up", ["GE"]),
        ("$ge up", ["GE"]),
        ("($BRK.B, $BRK-A) $XYZ.", ["BRK.B", "BRK-A", "XYZ"]),
        ("$GE.Buy", ["GE"]),
        ("$5 US$20 A$AP $xyz $ $1M $TOOLONGX cost$GE", []),
        ("$TOB", ["TOB"]),
    ],
)
def test_cashtags_are_tickers_and_sums_are_not(text: str, tickers: list[str]) -> None:
    """Those in no row need capitals."""
    found = [one for one in LINKER.explain(text) if one.how is How.CASHTAG]
    assert [one.ticker for one in found] == tickers


@pytest.mark.parametrize(
    ("text", "tickers"),
    [
        ("(NYSE: GE)", ["GE"]),
        ("(nyse:GE)", ["GE"]),
        ("NYSE:GE", ["GE"]),
        ("(LON: TOB)", ["TOB"]),
        ("(TYO:7203)", ["7203.T"]),
        ("(NASDAQ: QRST)", ["QRST"]),
        ("(NSE: QRST)", ["QRST.NS"]),
        ("NSE: QRST says no", []),
        ("(NSE: Profit booking)", []),
        ("Note: GE", ["GE"]),
    ],
)
def test_a_ticker_with_its_exchange_is_found(text: str, tickers: list[str]) -> None:
    """One that no row has needs the bracket before it, and gets its exchange's ending."""
    assert [one.ticker for one in LINKER.explain(text) if one.taken] == tickers


def test_tickers_that_no_row_has_may_be_left_out() -> None:
    """By a setting; those that rows have stay."""
    from streams.entities.settings import Entities  # noqa: PLC0415

    linker = linker_of(GE, settings=Entities(accept_unknown=False))
    assert [one.ticker for one in linker.explain("$XYZ $GE (NYSE: ABC) (NYSE: GE)")] == ["GE", "GE"]


@pytest.mark.parametrize(
    "text", ["GE " * 600, "$GE " * 500, "(NYSE: GE) " * 180, "Gap, " * 400 + "GE", "A:B " * 500]
)
def test_of_one_text_so_many_mentions_are_looked_at(text: str) -> None:
    """However often it names somebody."""
    found = LINKER.explain(text)
    assert len(found) <= MOST_MENTIONS + 2 * MOST_TICKERS
    assert all(one.ticker == "GE" for one in found)
