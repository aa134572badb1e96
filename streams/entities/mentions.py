"""Where a text names companies: by name, by cashtag, by a ticker alone or with its exchange."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from streams.entities.another import makes_another
from streams.entities.capitals import is_in_capitals, whole_in_capitals
from streams.entities.exchanges import BY_NAME, code_of, full_ticker
from streams.entities.folding import Folded, fold
from streams.entities.gazetteer import Found, Gazetteer, Name, Owner
from streams.entities.names import COMMON_WORDS, SHORT_CHARS, Doubt, legal_form, runs_on
from streams.entities.symbols import Standing, Symbol, symbols_in

_CASHTAG = re.compile(r"(?<![\w$&])\$([A-Za-z]{1,6}(?:[.-][A-Za-z]{1,2})?)(?![\w$])")
_EXCHANGES = "|".join(re.escape(name) for name in sorted(BY_NAME, key=len, reverse=True))
_symbol_behind = re.compile(r"\s?([A-Z0-9][A-Z0-9.&-]{0,14}(?<![.&-]))(?!\w)").match
_exchange_before = re.compile(rf"(?<![\w:])({_EXCHANGES})\s?$", re.IGNORECASE).search
_EXCHANGE_CHARS = max(map(len, BY_NAME)) + 2


MOST_MENTIONS, MOST_TICKERS = 128, 64
"""Names, and cashtags and listings each, that are looked at in one text; so that none, whatever it
holds, keeps the event loop for long."""


class How(StrEnum):
    """What a mention was found by."""

    NAME = "name"
    CASHTAG = "cashtag"
    LISTING = "listing"
    TICKER = "ticker"


@dataclass(slots=True, eq=False)
class Mention:
    """A place where a text may name a company.

    Attributes:
        start: Of the mention in the text, in characters.
        end: Behind its last one.
        how: What it was found by.
        row: The company, or the only one that it may be; ``None`` for a ticker that no row has.
        ticker: What it leads to.
        owners: All companies that the name may mean, where it is not sure.
        folded: Where the name lies in the folded text.
        is_symbol: Whether it is written as the company's ticker is.
        taken: Whether it counts.
        why: What speaks for it, or against.
    """

    start: int
    end: int
    how: How
    row: int | None
    ticker: str
    owners: tuple[Owner, ...] = ()
    folded: tuple[int, int] = (0, 0)
    is_symbol: bool = False
    taken: bool = True
    why: tuple[str, ...] = ()


def mentions_in(
    text: str, gazetteer: Gazetteer, *, accept_unknown: bool
) -> tuple[Folded, list[Mention]]:
    """Find what may be a mention of a company, in the order of the text; none overlap.

    Args:
        text: As it came.
        gazetteer: The companies.
        accept_unknown: Whether tickers that no row has are mentions, where the text itself says
            that they are tickers.
    """
    folded = fold(text)
    found = [one for one in gazetteer.find(folded.text) if _is_whole(folded.text, one)]
    mentions: list[Mention] = []
    if found:
        mentions = [
            _named(text, folded, one, owners, gazetteer)
            for one, owners in islice(_longest(text, folded, found), MOST_MENTIONS)
            if owners
        ]
    if "$" in text:
        mentions = _beside(
            mentions, islice(_cashtags(text, gazetteer, accept_unknown), MOST_TICKERS)
        )
    if ":" in text:
        mentions = _beside(mentions, _listings(text, gazetteer, accept_unknown))
    symbols = list(islice(symbols_in(text, gazetteer, accept_unknown=accept_unknown), MOST_TICKERS))
    if symbols:
        mentions = _with_symbols(text, folded, mentions, symbols)
    return folded, mentions


def _is_whole(folded: str, found: Found) -> bool:
    """Say whether a name is not part of a longer word, of an address or of an abbreviation."""
    start, end, name = found
    if start and not runs_on(name.text[0]):
        before = folded[start - 1]
        if before.isalnum() or before in "_/\\&$":
            return False
        if before in ".@" and start > 1 and folded[start - 2].isalnum():
            return False
    if end < len(folded) and not runs_on(name.text[-1]):
        if folded[end] == "s" and _takes_s(name):
            end += 1
        after = folded[end : end + 1]
        if after and (after.isalnum() or after in "_&@"):
            return False
        if after == "." and end + 1 < len(folded) and folded[end + 1].isalnum():
            return False
    return True


def _takes_s(name: Name) -> bool:
    """Say whether a name is written with an s for an apostrophe and one: ``Biocons results``."""
    sure = all(one.doubt is Doubt.NONE for one in name.owners)
    return sure and len(name.text) >= SHORT_CHARS and name.text[-1] != "s"


def _longest(
    text: str, folded: Folded, found: list[Found]
) -> Iterator[tuple[Found, tuple[Owner, ...]]]:
    """Yield the leftmost names, of those that begin together the longest, with whom they mean."""
    end = 0
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        # Two names in one character of the original, such as a ligature, are one place of it.
        if one.start < end or (end and folded.span(one.start, one.end)[0] < folded.span(0, end)[1]):
            continue
        owners = one.name.owners
        if owners:
            owners = _as_written(text, folded, one)
            if not owners:
                continue  # in other letters than the name has: nothing stands here
        end = one.end
        yield one, owners


def _as_written(text: str, folded: Folded, found: Found) -> tuple[Owner, ...]:
    """Return those owners of a name whose case rule the text keeps."""
    start, end = folded.span(found.start, found.end)
    written = text[start:end]
    if written != written.lower() or written == written.upper():  # a capital, or none to be had
        return tuple(one for one in found.name.owners if one.exact in ("", written))
    if end - start <= SHORT_CHARS:
        return ()
    return tuple(one for one in found.name.owners if one.doubt is Doubt.NONE)


def _named(
    text: str, folded: Folded, found: Found, owners: tuple[Owner, ...], gazetteer: Gazetteer
) -> Mention:
    start, end = folded.span(found.start, found.end)
    sole = owners[0] if len(owners) == 1 else None
    row = None if sole is None else sole.row
    mention = Mention(
        start,
        end,
        How.NAME,
        row,
        "" if row is None else gazetteer.rows[row].linked_to,
        folded=(found.start, found.end),
    )
    # Where all is in capitals, they tell no name from a word.
    is_word = found.name.text in COMMON_WORDS and whole_in_capitals(text)
    if sole is None or sole.doubt is not Doubt.NONE or is_word:
        mention.owners = owners
        mention.taken = False
    if form := legal_form(text, end):
        mention.end = form.end()
        if sole is not None:
            mention.taken, mention.owners, mention.why = True, (), ("legal form",)
    elif word := makes_another(text, start, end, [gazetteer.rows[one.row] for one in owners]):
        mention.owners = tuple(one._replace(doubt=Doubt.LONGER) for one in owners)
        mention.taken, mention.why = False, (f"{word!r} beside it makes another name",)
    return mention


def _with_symbols(
    text: str, folded: Folded, mentions: list[Mention], symbols: list[Symbol]
) -> list[Mention]:
    """Put tickers that stand alone where no name does."""
    new = []
    in_capitals = is_in_capitals(text, [(one.start, one.end) for one in symbols])
    for symbol in symbols:
        inside = [one for one in mentions if one.end > symbol.start and one.start < symbol.end]
        if not inside:
            new.append(_alone(folded, symbol, in_capitals=in_capitals))
        for one in inside:
            same = (one.start, one.end) == (symbol.start, symbol.end)
            one.is_symbol = same and not in_capitals and symbol.standing is not Standing.SHORT
    return sorted([*mentions, *new], key=lambda one: one.start) if new else mentions


def _alone(folded: Folded, symbol: Symbol, *, in_capitals: bool) -> Mention:
    """Return a ticker's mention; in a text in capitals any word could be one, and counts less."""
    standing = symbol.standing
    if in_capitals and not symbol.has_ending:
        standing = Standing.OPEN if standing is Standing.SURE else Standing.SHORT
    mention = Mention(
        symbol.start,
        symbol.end,
        How.TICKER,
        symbol.row,
        symbol.ticker,
        folded=folded.place(symbol.start, symbol.end),
        is_symbol=True,
    )
    if standing is not Standing.SURE and symbol.row is not None:
        doubt = Doubt.SYMBOL if standing is Standing.OPEN else Doubt.SHORT
        mention.owners, mention.taken = (Owner(symbol.row, doubt, "", 0),), False
    return mention


def _cashtags(text: str, gazetteer: Gazetteer, accept_unknown: bool) -> Iterator[Mention]:  # noqa: FBT001
    for found in _CASHTAG.finditer(text):
        written = found[1]
        row = gazetteer.row_of_ticker(written.upper())
        if row is not None:
            ticker = gazetteer.rows[row].linked_to
        elif accept_unknown and written.isupper():
            ticker = written
        else:
            continue
        yield Mention(found.start(), found.end(), How.CASHTAG, row, ticker)


def _listings(text: str, gazetteer: Gazetteer, accept_unknown: bool) -> Iterator[Mention]:  # noqa: FBT001
    for exchange, start, symbol in _exchanges(text):
        row = gazetteer.by_listing.get((code_of(exchange), symbol[1]))
        if row is not None:
            ticker = gazetteer.rows[row].linked_to
        elif accept_unknown and text[:start].endswith("("):
            ticker = full_ticker(exchange, symbol[1])
        else:
            continue
        yield Mention(start, symbol.end(), How.LISTING, row, ticker)


def _exchanges(text: str) -> Iterator[tuple[str, int, re.Match[str]]]:
    """Yield exchanges that stand before a colon, where they begin, and the symbol behind it."""
    colon, tried = text.find(":"), 0
    while colon >= 0 and tried < MOST_TICKERS:
        if symbol := _symbol_behind(text, colon + 1):
            tried += 1
            # From a little before, since to try all names at every place takes long.
            before = text[max(0, colon - _EXCHANGE_CHARS) : colon]
            if exchange := _exchange_before(before):
                yield exchange[1].upper(), colon - len(exchange[0]), symbol
        colon = text.find(":", colon + 1)


def _beside(mentions: list[Mention], tickers: Iterator[Mention]) -> list[Mention]:
    """Put tickers among the names, in place of names that lie inside them."""
    new = list(tickers)
    if not new:
        return mentions
    kept = [
        one for one in mentions if all(one.end <= tag.start or one.start >= tag.end for tag in new)
    ]
    return sorted([*kept, *new], key=lambda one: one.start)
