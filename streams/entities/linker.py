"""From a news event to the tickers that its result carries."""

from collections.abc import Iterable
from typing import NamedTuple

from schemas.events import NewsEvent
from schemas.limits import DEFAULT_LIMITS, Limits
from schemas.results import Entity, Related, RelatedAs, Relation, TextField
from streams import metrics
from streams.entities.context import Context
from streams.entities.gazetteer import Gazetteer
from streams.entities.mentions import How, Mention, mentions_in
from streams.entities.settings import Entities

MOST_RELATED = 16
"""Relations of one company that a result carries."""


class Linked(NamedTuple):
    """What is known of an event's companies.

    Attributes:
        tickers: The feed's own, then those found, in the order of the text; none twice.
        entities: The companies found, each once, where it is named first.
    """

    tickers: tuple[str, ...]
    entities: tuple[Entity, ...]


class Linker:
    """Finds companies in news.

    Args:
        gazetteer: The companies; another one may take its place at any time.
        settings: How sure it must be.
        limits: How many tickers an event may have.
    """

    def __init__(
        self, gazetteer: Gazetteer, settings: Entities, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.gazetteer = gazetteer
        self._settings = settings
        self._most = limits.tickers
        self._counters = {how: metrics.ENTITIES.labels(how.value) for how in How}

    def link(self, event: NewsEvent) -> Linked:
        """Return an event's tickers and what was found of companies in its text."""
        gazetteer = self.gazetteer  # one and the same, whatever is loaded meanwhile
        given = dict.fromkeys(event.tickers)
        found: list[Entity] = []
        mentions = self._mentions(event.headline, gazetteer, given)
        parts = [(TextField.HEADLINE, mentions)] if mentions else []
        if self._settings.body_chars and event.body:
            body = event.body[: self._settings.body_chars]
            about = [*given, *(one.ticker for one in mentions if one.taken)]
            parts.append((TextField.BODY, self._mentions(body, gazetteer, about)))
        if not parts:
            return Linked(tuple(given), ())
        rows = _rows_of(given, gazetteer)
        tickers, seen = dict(given), set()
        for field, part in parts:
            for one in part:
                key = one.ticker if one.row is None else one.row
                if not one.taken or key in seen or len(found) >= self._most:
                    continue
                seen.add(key)
                found.append(_entity(one, field, gazetteer))
                self._counters[one.how].inc()
                if gazetteer.row_of_ticker(one.ticker) not in rows and len(tickers) < self._most:
                    tickers[one.ticker] = None
        return Linked(tuple(tickers), tuple(found))

    def explain(self, text: str, given: tuple[str, ...] = ()) -> list[Mention]:
        """Return all that may be a mention in a text, and why it is taken or not."""
        return self._mentions(text, self.gazetteer, given)

    def _mentions(
        self,
        text: str,
        gazetteer: Gazetteer,
        given: Iterable[str],
    ) -> list[Mention]:
        settings = self._settings
        folded, mentions = mentions_in(text, gazetteer, accept_unknown=settings.accept_unknown)
        if any(not one.taken for one in mentions):
            rows = _rows_of(given, gazetteer)
            Context(text, folded, mentions, gazetteer, rows).decide(settings.min_evidence)
        return mentions


def _rows_of(tickers: Iterable[str], gazetteer: Gazetteer) -> set[int]:
    found = {gazetteer.row_of_ticker(ticker) for ticker in tickers}
    return {row for row in found if row is not None}


def _entity(mention: Mention, field: TextField, gazetteer: Gazetteer) -> Entity:
    start, end = mention.start, mention.end
    if mention.row is None:
        return Entity(ticker=mention.ticker, field=field, start=start, end=end)
    row = gazetteer.rows[mention.row]
    is_part = not row.ticker
    related = [(row.parent, RelatedAs.PARENT)] if row.parent and not is_part else []
    related += [(ticker, RelatedAs.SUPPLIER) for ticker in row.suppliers]
    customers = gazetteer.customers.get(row.ticker, ()) if row.ticker else ()
    related += [(ticker, RelatedAs.CUSTOMER) for ticker in customers]
    return Entity(
        ticker=mention.ticker,
        name=row.name,
        relation=Relation.SUBSIDIARY if is_part else Relation.MENTIONED,
        sector=row.sector,
        related=tuple(Related(ticker=one, relation=kind) for one, kind in related[:MOST_RELATED]),
        field=field,
        start=start,
        end=end,
    )
