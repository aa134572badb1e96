"""One company of a gazetteer, and what its columns may hold."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from schemas.errors import shown
from schemas.limits import DEFAULT_LIMITS

LIST_SEPARATOR = "|"
"""Between the members of a list in a CSV cell."""
NAME_CHARS = 120
LEAST_NAME_CHARS = 2
LIST_ITEMS = 200
_TICKER = re.compile(r"[A-Z0-9][A-Z0-9.&/-]*").fullmatch
_EXCHANGE = re.compile(r"[A-Z][A-Z0-9 ]{0,23}").fullmatch
_LISTING = re.compile(r"[A-Z][A-Z0-9 ]{0,23}:[A-Z0-9][A-Z0-9.&/-]{0,31}").fullmatch


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One company."""

    name: str
    """As results show it."""
    aliases: tuple[str, ...] = ()
    """Other names of it."""
    ticker: str = ""
    """What it is linked to; may be left out where there is a ``parent``."""
    exchange: str = ""
    """Where that is listed."""
    listings: tuple[str, ...] = ()
    """Its other listings, as ``EXCHANGE:SYMBOL``."""
    sector: str | None = None
    """What it does."""
    also_word: tuple[str, ...] = ()
    """Those of its names that are also common words, such as Apple."""
    also_name: tuple[str, ...] = ()
    """Those of its names that others have as well, such as Amazon, a river."""
    context: tuple[str, ...] = ()
    """Words that, beside such a name, say that it is the company."""
    exclude: tuple[str, ...] = ()
    """Phrases with such a name in them that never mean the company."""
    parent: str = ""
    """Ticker of the company that owns it."""
    suppliers: tuple[str, ...] = ()
    """Tickers of companies that supply it."""
    where: str = ""
    """File and row, for messages."""

    @property
    def names(self) -> tuple[str, ...]:
        """All of its names."""
        return self.name, *self.aliases

    @property
    def linked_to(self) -> str:
        """The ticker that a mention of it leads to."""
        return self.ticker or self.parent


COLUMNS = tuple(name for name in Row.__struct_fields__ if name != "where")
"""What a file may say of a company; ``name`` alone must be there."""
_KNOWN = frozenset(COLUMNS)
LISTS = frozenset(
    {"aliases", "listings", "also_word", "also_name", "context", "exclude", "suppliers"}
)


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with one value of a file."""

    where: str
    """File and row."""
    column: str
    """Whose value it is."""
    value: Any
    """The value."""
    remedy: str
    """What is wrong, and what to do."""

    def __str__(self) -> str:
        """Name row, column, value and remedy on one line."""
        return f"{self.where}, {self.column}: value is {shown(self.value)}; {self.remedy}"


def row_of(cells: Mapping[str, Any], where: str) -> tuple[Row | None, list[Problem]]:
    """Make a row of what a file says; what is wrong with it comes beside."""
    problems = []
    values: dict[str, Any] = {}
    for column, value in cells.items():
        if column not in _KNOWN:
            use = f"is no column; use {', '.join(COLUMNS)}"
            problems.append(Problem(where, str(column), value, use))
            continue
        if value is None or value in ("", []):
            continue
        bad = _bad_list(value) if column in LISTS else _bad_text(value)
        if bad:
            problems.append(Problem(where, column, *bad))
        elif column in LISTS:
            values[column] = tuple(dict.fromkeys(each.strip() for each in value))
        else:
            values[column] = value.strip()
    if not problems and "name" not in values:
        problems.append(Problem(where, "name", cells.get("name"), "write the company's name"))
    if problems:
        return None, problems
    row = Row(**values, where=where)
    problems = list(_problems(row))
    return (None if problems else row), problems


def _text_remedy(value: Any) -> str | None:
    """Say what to do with a value that cannot stand where one text should."""
    if not isinstance(value, str):
        return "write a text"
    if not value.strip() or not value.isprintable():
        return "write a text that can be seen, on one line"
    if len(value) > NAME_CHARS:
        return f"write at most {NAME_CHARS} characters"
    return None


def _bad_text(value: Any) -> tuple[Any, str] | None:
    remedy = _text_remedy(value)
    return None if remedy is None else (value, remedy)


def _bad_list(value: Any) -> tuple[Any, str] | None:
    """Return what cannot be used of a list, itself or a member, and what to do with it."""
    if not isinstance(value, list):
        return value, f"write a list; in a CSV file separate its members by {LIST_SEPARATOR}"
    if len(value) > LIST_ITEMS:
        return value, f"write at most {LIST_ITEMS} members"
    return next((bad for each in value if (bad := _bad_text(each))), None)


def _problems(row: Row) -> Iterator[Problem]:
    """Find values that have the right type and cannot be used."""
    yield from _name_problems(row)
    yield from _ticker_problems(row)
    if row.exchange and not _EXCHANGE(row.exchange):
        yield Problem(
            row.where, "exchange", row.exchange, "write its code in capitals, as in NYSE or XETRA"
        )
    for listing in row.listings:
        if not _LISTING(listing):
            yield Problem(row.where, "listings", listing, "write EXCHANGE:SYMBOL, as in NYSE:INFY")


def _name_problems(row: Row) -> Iterator[Problem]:
    for column, names in (("name", (row.name,)), ("aliases", row.aliases)):
        for name in names:
            if sum(map(str.isalnum, name)) < LEAST_NAME_CHARS:
                yield Problem(row.where, column, name, "write two letters or digits of it at least")
    for column, flagged in (("also_word", row.also_word), ("also_name", row.also_name)):
        for name in flagged:
            if name not in row.names:
                remedy = "repeat one of the row's names: name or an alias"
                yield Problem(row.where, column, name, remedy)


def _ticker_problems(row: Row) -> Iterator[Problem]:
    most = DEFAULT_LIMITS.ticker_chars
    form = f"write 1 to {most} capitals, digits, '.', '&', '/' or '-', as in BRK.B or RELIANCE.NS"
    for column, tickers in (
        ("ticker", (row.ticker,)),
        ("parent", (row.parent,)),
        ("suppliers", row.suppliers),
    ):
        for ticker in filter(None, tickers):
            if not _TICKER(ticker) or len(ticker) > most:
                yield Problem(row.where, column, ticker, form)
    if not row.linked_to:
        remedy = "write the company's ticker, or its parent's in parent"
        yield Problem(row.where, "ticker", row.ticker, remedy)
    if row.parent and row.parent == row.ticker:
        yield Problem(row.where, "parent", row.parent, "leave it out: it is the row's own ticker")
