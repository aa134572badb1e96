"""The companies that are looked for, compiled: names into automata, tickers into tables."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from ahocorasick_rs import AhoCorasick

from streams.entities.exchanges import code_of, symbol_of
from streams.entities.folding import fold
from streams.entities.names import COMMON_WORDS, Doubt, exact_case, written_forms
from streams.entities.reading import GazetteerError
from streams.entities.rows import Problem, Row

SHARD_NAMES = 25_000
"""Names in one automaton. To build one holds the interpreter for 2 ms per 1,000 names; to look
through one costs about 1.3 µs a headline."""

LET_GO_AT_ONCE = 2_000


class Owner(NamedTuple):
    """A company that a name may mean.

    Attributes:
        row: Its index.
        doubt: Why the name may mean something else.
        exact: How the name must be written; empty where case does not matter.
        rank: Of names that several lists have, those of the highest rank stand.
    """

    row: int
    doubt: Doubt
    exact: str
    rank: int


class Name(msgspec.Struct, frozen=True, gc=False):
    """A form of a name, or a phrase that is none."""

    text: str
    """As it is looked for: folded."""
    owners: tuple[Owner, ...]
    """Companies that it may mean; empty for a phrase that rules others out."""


class Found(NamedTuple):
    """A name at a place of a folded text."""

    start: int
    end: int
    name: Name


class Gazetteer:
    """Companies by their names and tickers; never changed once it is made.

    Args:
        lists: Rows of one list after another; later ones replace earlier ones of the same ticker,
            and own names that both have.
        version: Twelve digits that differ where the lists do.

    Raises:
        GazetteerError: Rows contradict each other.
    """

    def __init__(self, lists: Sequence[Sequence[Row]], version: str) -> None:
        self.version = version
        self.loaded_at = time.time()
        ranked = _merged(lists)
        self.rows = [row for row, _ in ranked]
        self.by_ticker = {row.ticker: at for at, row in enumerate(self.rows) if row.ticker}
        self.by_listing, self.by_symbol = _listed(self.rows)
        self.customers = _customers(self.rows)
        problems = [*_unknown_tickers(self.rows, self.by_ticker), *_twice(self.rows)]
        self._names, contradictions = _names(ranked)
        problems += contradictions
        if problems:
            raise GazetteerError([str(problem) for problem in problems])
        self._shards = _shards([name.text for name in self._names])

    def __len__(self) -> int:
        """Count the companies."""
        return len(self.rows)

    @property
    def names(self) -> int:
        """How many forms of names are looked for."""
        return len(self._names)

    def find(self, folded: str) -> Iterator[Found]:
        """Yield every name in a folded text, whole words or not, overlapping ones too."""
        names = self._names
        for base, automaton in self._shards:
            for index, start, end in automaton.find_matches_as_indexes(folded, overlapping=True):
                yield Found(start, end, names[base + index])

    def row_of_ticker(self, ticker: str) -> int | None:
        """Return the company of a ticker as feeds write it: ``AAPL``, ``NASDAQ:AAPL``, ``SAP.DE``.

        A symbol alone is understood where one company has it, wherever that is listed.
        """
        if ":" in ticker:
            exchange, symbol = ticker.split(":", 1)
            return self.by_listing.get((code_of(exchange.strip()), symbol.strip()))
        found = self.by_ticker.get(ticker)
        if found is None:
            found = self.by_symbol.get(ticker)
        return self.by_symbol.get(ticker.replace("-", ".")) if found is None else found

    def let_go(self) -> Iterator[None]:
        """Forget everything, a part with each step: all at once would hold the loop up."""
        for kept in (self._names, self.rows):
            while kept:
                del kept[-LET_GO_AT_ONCE:]
                yield

    def relatives(self, row: Row) -> frozenset[str]:
        """Return the tickers of a company's parent, suppliers and customers."""
        return frozenset((row.parent, *row.suppliers, *self.customers.get(row.ticker, ())))


def _merged(lists: Sequence[Sequence[Row]]) -> list[tuple[Row, int]]:
    later: set[str] = set()
    kept: list[list[tuple[Row, int]]] = []
    for rank in range(len(lists) - 1, -1, -1):
        kept.append([(row, rank) for row in lists[rank] if row.ticker not in later])
        later |= {row.ticker for row in lists[rank] if row.ticker}
    return [pair for part in reversed(kept) for pair in part]


def _listed(rows: Iterable[Row]) -> tuple[dict[tuple[str, str], int], dict[str, int]]:
    """Return companies by exchange and symbol, and by those symbols that one company has."""
    listings: dict[tuple[str, str], int] = {}
    symbols: dict[str, set[int]] = {}
    for at, row in enumerate(rows):
        pairs = [(code_of(exchange), symbol) for exchange, _, symbol in map(_parted, row.listings)]
        if row.ticker and row.exchange:
            pairs.insert(0, (code_of(row.exchange), symbol_of(row.exchange, row.ticker)))
        for pair in pairs:
            listings.setdefault(pair, at)
            symbols.setdefault(pair[1], set()).add(at)
    return listings, {symbol: min(ats) for symbol, ats in symbols.items() if len(ats) == 1}


def _parted(listing: str) -> tuple[str, str, str]:
    return listing.partition(":")


def _customers(rows: Iterable[Row]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        for supplier in row.suppliers:
            found.setdefault(supplier, []).append(row.linked_to)
    return {supplier: tuple(dict.fromkeys(tickers)) for supplier, tickers in found.items()}


def _unknown_tickers(rows: Iterable[Row], known: dict[str, int]) -> Iterator[Problem]:
    for row in rows:
        for column, tickers in (("parent", (row.parent,)), ("suppliers", row.suppliers)):
            for ticker in tickers:
                if ticker and ticker not in known:
                    remedy = "no row has this ticker; correct it, or add the company's row"
                    yield Problem(row.where, column, ticker, remedy)


def _twice(rows: Iterable[Row]) -> Iterator[Problem]:
    first: dict[str, Row] = {}
    for row in rows:
        if row.ticker and (known := first.setdefault(row.ticker, row)) is not row:
            remedy = f"{known.where} has the same; make one row of both"
            yield Problem(row.where, "ticker", row.ticker, remedy)


def _names(ranked: Sequence[tuple[Row, int]]) -> tuple[list[Name], list[Problem]]:
    owners: dict[str, list[Owner]] = {}
    for at, (row, rank) in enumerate(ranked):
        for name in row.names:
            exact = exact_case(name)
            for text in written_forms(name):
                doubt = _doubt(row, name, text, exact)
                known = owners.setdefault(text, [])
                before = next((one for one in known if one.row == at), None)
                if before is None:
                    known.append(Owner(at, doubt, exact, rank))
                elif before.doubt is Doubt.NONE:
                    known[known.index(before)] = before._replace(doubt=doubt)
    problems = [
        problem for text, known in owners.items() for problem in _clash(text, known, ranked)
    ]
    phrases = {fold(phrase).text for row, _ in ranked for phrase in row.exclude} - owners.keys()
    # Taken out one by one: to drop so many at once would hold the interpreter for long.
    names = [Name(text, _of_highest_rank(owners.pop(text))) for text in list(owners)]
    names += [Name(phrase, ()) for phrase in sorted(phrases)]
    return names, problems


def _doubt(row: Row, name: str, text: str, exact: str) -> Doubt:
    if name in row.also_name:
        return Doubt.NAME
    is_word = text in COMMON_WORDS and not exact  # which its capitals tell from the word
    return Doubt.WORD if is_word or name in row.also_word else Doubt.NONE


def _of_highest_rank(known: list[Owner]) -> tuple[Owner, ...]:
    if len(known) == 1:
        return (known[0],)
    highest = max(one.rank for one in known)
    return tuple(one for one in known if one.rank == highest)


def _clash(text: str, known: list[Owner], ranked: Sequence[tuple[Row, int]]) -> Iterator[Problem]:
    """Find names that are said to be sure of two companies."""
    if len(known) == 1:
        return
    top = _of_highest_rank(known)
    sure = [one for one in top if one.doubt is Doubt.NONE]
    if len(top) > 1 and sure:
        row, other = ranked[sure[-1].row][0], ranked[next(o for o in top if o != sure[-1]).row][0]
        remedy = f"{other.where} has the same name; put it into also_name of both, or leave one out"
        yield Problem(row.where, "name or aliases", text, remedy)


def _shards(texts: Sequence[str]) -> list[tuple[int, AhoCorasick]]:
    """Build automata of so many names each that the event loop has its turns in between."""
    shards = []
    for base in range(0, len(texts), SHARD_NAMES):
        shards.append((base, AhoCorasick(texts[base : base + SHARD_NAMES], store_patterns=False)))
        time.sleep(0)
    return shards
