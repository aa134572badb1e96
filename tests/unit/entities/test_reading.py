"""Lists of companies are read from CSV and JSONL; what is wrong is told by row and column."""

from pathlib import Path

import pytest

from streams.entities.reading import (
    MOST_TOLD,
    SHIPPED,
    Content,
    GazetteerError,
    read_content,
    rows_of,
)
from streams.entities.rows import Row


def rows(text: str, name: str = "mine.csv") -> list[Row]:
    """Read a file's text."""
    return rows_of(Content(Path(name), text.encode()))


def problems(text: str, name: str = "mine.csv") -> list[str]:
    """Return what is wrong with a file's text."""
    with pytest.raises(GazetteerError) as refused:
        rows(text, name)
    return refused.value.problems


def test_a_csv_row_is_a_company() -> None:
    """Lists are parted by a bar; columns may come in any order, and cells be left out."""
    (row,) = rows("ticker,name,aliases,also_word\nHBR,Harbour Lines,Harbour | Lines,Harbour\n")
    assert row.name == "Harbour Lines"
    assert row.ticker == row.linked_to == "HBR"
    assert row.aliases == ("Harbour", "Lines")
    assert row.also_word == ("Harbour",)
    assert row.where == "mine.csv: row 2"


def test_a_json_line_says_the_same() -> None:
    """With lists as they are, and null for nothing."""
    text = '\n{"name": "Harbour", "ticker": "HBR", "aliases": ["HL2"], "sector": null}\n'
    (row,) = rows(text, "mine.jsonl")
    assert (row.name, row.aliases, row.sector) == ("Harbour", ("HL2",), None)
    assert row.where == "mine.jsonl: row 2"


def test_a_byte_order_mark_and_quotes_are_read_over() -> None:
    """As spreadsheets write them."""
    (row,) = rows('\ufeffname,ticker\n"Harbour, Lines",HBR\n')
    assert row.name == "Harbour, Lines"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,tiker\nA,B\n", "mine.csv: row 1: 'tiker' is no column; use name, aliases"),
        ("ticker\nHBR\n", "mine.csv: row 1: has no column name"),
        ("name,name\n", "mine.csv: row 1: column name comes twice"),
        ("name,ticker\n", "mine.csv: has no rows"),
        ("name,ticker\nHarbour,HBR,x\n", "mine.csv: row 2: has 3 cells where the first row has 2"),
        ('name,ticker\n"Harbour,HBR\n', "is no CSV"),
        ("name,ticker\n,HBR\n", "mine.csv: row 2, name: value is ''; write the company's name"),
        ("name,ticker\nHarbour,hbr\n", "mine.csv: row 2, ticker: value is 'hbr'; write 1 to 32"),
        ("name,ticker\nHarbour,\n", "row 2, ticker: value is ''; write the company's ticker"),
        ("name,ticker,aliases\nHarbour,HBR,!\n", "row 2, aliases: value is '!'; write two letters"),
        ("name,ticker,exchange\nHarbour,HBR,nyse\n", "row 2, exchange: value is 'nyse'"),
        ("name,ticker,listings\nHarbour,HBR,NYSE-X\n", "row 2, listings: value is 'NYSE-X'"),
        ("name,ticker,also_word\nHarbour,HBR,Lines\n", "row 2, also_word: value is 'Lines'"),
        ("name,ticker,parent\nHarbour,HBR,HBR\n", "row 2, parent: value is 'HBR'; leave it out"),
        ("name,ticker\nHar\tbour,HBR\n", "row 2, name: value is 'Har\\tbour'; write a text that"),
        (f"name,ticker\n{'x' * 200},HBR\n", "row 2, name: value is 'xxxx"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(text: str, told: str) -> None:
    """File, row, column, value, and what to write in its place."""
    (problem,) = problems(text)
    assert told in problem


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "mine.jsonl: row 1: is not JSON"),
        ("[]", "mine.jsonl: row 1: value is an array of 0 items; write one object a line"),
        ('{"name": 3, "ticker": "A"}', "row 1, name: value is 3; write a text"),
        ('{"name": "Ab", "aliases": "x"}', "row 1, aliases: value is 'x'; write a list"),
        ('{"name": "Ab", "aliases": [1]}', "row 1, aliases: value is 1; write a text"),
        ('{"name": "Ab", "tick": "A"}', "row 1, tick: value is 'A'; is no column"),
    ],
)
def test_the_same_in_json(line: str, told: str) -> None:
    """A wrong type is told as well."""
    assert told in problems(line, "mine.jsonl")[0]


def test_a_row_is_numbered_by_the_line_it_begins_in() -> None:
    """Also one whose cells hold line breaks, and those behind it."""
    told = problems('name,ticker,aliases\n\n"Harbour",HBR,"A\nB"\nGlow,glw,\n')
    assert told[0].startswith("mine.csv: row 3, aliases: value is 'A\\nB'; write a text that can")
    assert told[1].startswith("mine.csv: row 5, ticker: value is 'glw'")


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Up to a number of lines; then how many more there are."""
    with pytest.raises(GazetteerError) as refused:
        rows("name,ticker\n" + "Harbour,hbr\n" * 30)
    assert len(refused.value.problems) == 30
    lines = str(refused.value).splitlines()
    assert lines[-1] == "and 10 more"
    assert len(lines) == MOST_TOLD + 1


def test_a_file_that_is_no_text_is_refused() -> None:
    """With the line that is none."""
    with pytest.raises(GazetteerError, match="line 2 is not UTF-8"):
        rows_of(Content(Path("mine.csv"), b"name,ticker\n\xff,HBR\n"))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """And one of another kind."""
    with pytest.raises(GazetteerError, match=r"mine\.csv: cannot be read: No such file"):
        read_content(tmp_path / "mine.csv")
    with pytest.raises(GazetteerError, match=r"another ending than \.csv and \.jsonl"):
        read_content(tmp_path / "mine.txt")


def test_the_list_that_ships_is_right_in_form() -> None:
    """Several hundred companies of a dozen exchanges."""
    shipped = rows_of(read_content(SHIPPED))
    assert len(shipped) > 300
    assert len({row.exchange for row in shipped}) > 12
    assert all(row.exchange for row in shipped if row.ticker)
