"""Lists are compiled: later ones over earlier ones, contradictions told."""

import pytest

from streams.entities import gazetteer
from streams.entities.gazetteer import Gazetteer
from streams.entities.reading import SHIPPED, GazetteerError, read_content, rows_of
from streams.entities.rows import Row
from tests.fakes.gazetteers import SMALL


def compiled(*lists: tuple[Row, ...]) -> Gazetteer:
    """Compile lists."""
    return Gazetteer(lists, "0123456789ab")


def found(made: Gazetteer, text: str) -> list[str]:
    """Return tickers that a folded text's names lead to."""
    return [made.rows[one.row].linked_to for hit in made.find(text) for one in hit.name.owners]


def test_a_ticker_is_known_in_every_form_of_it() -> None:
    """Its own, with the exchange before it, another listing's, and the symbol alone."""
    made = compiled(SMALL)
    at = made.by_ticker["ZURI.SW"]
    for ticker in ("ZURI.SW", "SIX:ZURI", "SWX: ZURI", "NYSE:ZRI", "ZRI", "ZURI"):
        assert made.row_of_ticker(ticker) == at
    for ticker in ("NASDAQ:ZURI", "ZURX", "", ":"):
        assert made.row_of_ticker(ticker) is None


def test_a_later_list_replaces_companies_of_the_same_ticker() -> None:
    """With all their names."""
    made = compiled((Row(name="Old", ticker="OLD"),), (Row(name="New", ticker="OLD"),))
    assert found(made, "old") == []
    assert found(made, "new") == ["OLD"]


def test_a_name_of_a_later_list_is_its_own() -> None:
    """Whoever had it before."""
    made = compiled((Row(name="Nova", ticker="AAA"),), (Row(name="Nova", ticker="BBB"),))
    assert found(made, "nova") == ["BBB"]
    assert {"AAA", "BBB"} <= set(made.by_ticker)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            (Row(name="Aa", ticker="X", where="f: 2"), Row(name="Bb", ticker="X", where="f: 3")),
            "f: 3, ticker: value is 'X'; f: 2 has the same",
        ),
        (
            (Row(name="Aa", ticker="X", where="f: 2"), Row(name="aa", ticker="Y", where="f: 3")),
            "name or aliases: value is 'aa'; ",
        ),
        ((Row(name="Aa", parent="X", where="f: row 2"),), "f: row 2, parent: value is 'X'; no row"),
        ((Row(name="Aa", ticker="X", suppliers=("Q",)),), "suppliers: value is 'Q'; no row"),
    ],
)  # fmt: skip
def test_contradictions_are_told(rows: tuple[Row, ...], told: str) -> None:
    """Which rows they are in, and what to do."""
    with pytest.raises(GazetteerError) as refused:
        compiled(rows)
    assert told in str(refused.value)


def test_many_names_are_looked_for_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """And found whichever part they are in."""
    monkeypatch.setattr(gazetteer, "SHARD_NAMES", 2)
    rows = tuple(Row(name=f"Company {number:03}x", ticker=f"T{number}") for number in range(7))
    made = compiled(rows)
    assert found(made, "company 000x company 003x company 006x") == ["T0", "T3", "T6"]


def test_the_list_that_ships_contradicts_itself_nowhere() -> None:
    """And many of its names need context."""
    made = compiled(tuple(rows_of(read_content(SHIPPED))))
    assert made.names > len(made) > 2_500
    assert sum(bool(row.also_word or row.also_name) for row in made.rows) > 50
