"""Tickers that stand in a text as words do: ``AAPL slides``, ``BRK.B``, ``005930.KS``."""

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from streams.entities.exchanges import has_suffix
from streams.entities.gazetteer import Gazetteer

# The first character comes before what may not stand before it: so most places are passed quickly.
_BARE = re.compile(
    r"([A-Z0-9](?<![\w$&@/.:+'\u2019-].)[A-Z0-9&]*+(?:-[A-Z]{1,4}(?![a-z]))?)(\.[A-Z]{1,3})?"
    r"(?![\w@/&]|\.\w|-\d)"
)
_ABROAD = re.compile(r"\d{4,6}\.[A-Z]{1,3}").fullmatch
_REUTERS = frozenset({".O", ".N", ".OQ"})
"""What Reuters puts behind American tickers."""
SURE_CHARS = 4
"""Symbols of fewer characters are abbreviations of something else too often."""
_LEAST_CHARS = 2
_BARE_AT = frozenset({"", "NYSE", "NASDAQ", "NYSEAMERICAN", "NSE", "BSE"})
"""Exchanges whose symbols news has without more; short ones of others are somebody else's there."""

SYMBOL_WORDS = frozenset(
    Path(__file__).with_name("symbol_words.txt").read_text(encoding="utf-8").upper().split()
)
"""Words of four letters, and other words, first names and places that are symbols as well."""

ABBREVIATIONS = frozenset(
    Path(__file__).with_name("abbreviations.txt").read_text(encoding="utf-8").upper().split()
)
"""What capitals stand for something else as a rule; as tickers such need the company's name."""


class Standing(StrEnum):
    """How much a ticker says by itself."""

    SURE = "sure"
    """It is the company's, wherever it stands."""
    OPEN = "open"
    """Something next to it must say so."""
    SHORT = "short"
    """The text or the feed must have the company by another name."""


class Symbol(NamedTuple):
    """A ticker at a place of a text."""

    start: int
    end: int
    row: int | None
    ticker: str
    standing: Standing
    has_ending: bool = False


def symbols_in(text: str, gazetteer: Gazetteer, *, accept_unknown: bool) -> Iterator[Symbol]:
    """Yield tickers that stand alone in a text, in capitals.

    Args:
        text: As it came.
        gazetteer: The companies.
        accept_unknown: Whether numbers with the ending of an exchange are tickers, also where no
            row has them.
    """
    for found in _BARE.finditer(text):
        bare, ending = found.groups()
        if ending:
            yield from _with_ending(found, gazetteer, accept_unknown=accept_unknown)
        elif len(bare) >= _LEAST_CHARS and not bare.isdigit():
            row = gazetteer.row_of_ticker(bare)
            if row is not None:
                company = gazetteer.rows[row]
                standing = _standing(bare, company.exchange)
                yield Symbol(*found.span(), row, company.linked_to, standing)


def _with_ending(
    found: re.Match[str], gazetteer: Gazetteer, *, accept_unknown: bool
) -> Iterator[Symbol]:
    row = gazetteer.by_ticker.get(found[0])
    if row is None and found[2] in _REUTERS and len(found[1]) >= _LEAST_CHARS:
        row = gazetteer.by_ticker.get(found[1])
    if row is not None:
        ticker = gazetteer.rows[row].linked_to
        yield Symbol(*found.span(), row, ticker, Standing.SURE, has_ending=True)
    elif accept_unknown and _ABROAD(found[0]) and has_suffix(found[0]):
        yield Symbol(*found.span(), None, found[0], Standing.SURE, has_ending=True)


def _standing(symbol: str, exchange: str) -> Standing:
    is_short = len(symbol) <= SURE_CHARS and exchange not in _BARE_AT
    if is_short or symbol in ABBREVIATIONS:
        return Standing.SHORT
    if len(symbol) < SURE_CHARS or symbol in SYMBOL_WORDS:
        return Standing.OPEN
    return Standing.SURE
