"""Names within longer names."""

import pytest

from streams.entities.rows import Row
from tests.fakes.gazetteers import linker_of

PEAR = Row(name="Pear", ticker="PER", exchange="NASDAQ", also_word=("Pear",), context=("phone",))
TOBIN = Row(name="Tobin Motor", aliases=("Tobin",), ticker="TOB", exchange="NYSE")
BANK = Row(name="Ostrian Bank", ticker="OSB", exchange="NYSE", sector="Banks")
LONGER = Row(name="Tobin Steel", ticker="TBS", exchange="NYSE")
LINKER = linker_of(PEAR, TOBIN, BANK, LONGER)


def tickers(text: str, *given: str) -> list[str]:
    """Return what is linked in a text."""
    return [one.ticker for one in LINKER.explain(text, given) if one.taken]


@pytest.mark.parametrize(
    "text",
    [
        "Pear Hospitality shares drop",
        "Floods hit Pear Valley, phone lines are down",
        "Tobin Foundation gives to schools",
        "Tobin Industries Wins Order",
        "TOBIN INDUSTRIES SHARES FALL",
        "Tobin Power shares fall after results",
        "South Ostrian Bank raises rates",
    ],
)
def test_a_word_beside_it_makes_another_name(text: str) -> None:
    """Whatever else speaks for the company."""
    assert tickers(text) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Tobin power plant opens", ["TOB"]),
        ("Tobin Power Plant Opens in Spring", ["TOB"]),
        ("Tobin Motors recalls cars", ["TOB"]),
        ("Tobin Steel opens a mill", ["TBS"]),
        ("Tobin, Industries Minister agree", ["TOB"]),
        ("Tobin's Foundation gives", ["TOB"]),
        ("Tobin Capital Markets says buy", ["TOB"]),
        ("Ostrian Bank raises rates", ["OSB"]),
        ("In the south Ostrian Bank lends", ["OSB"]),
    ],
)
def test_other_words_do_not(text: str, found: list[str]) -> None:
    """Small ones, the row's own, those of a longer name in the list, and those further away."""
    assert tickers(text) == found


def test_the_feed_or_another_name_settles_it() -> None:
    """As with other doubts."""
    assert tickers("Tobin Industries falls", "TOB") == ["TOB"]
    assert tickers("Tobin Industries, of Tobin Motor Co, falls") == ["TOB", "TOB"]
