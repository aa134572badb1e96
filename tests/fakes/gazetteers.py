"""Small lists of companies, and what finds them."""

from collections.abc import Sequence

from streams.entities.gazetteer import Gazetteer
from streams.entities.linker import Linker
from streams.entities.rows import Row
from streams.entities.settings import Entities

HARBOUR = Row(name="Harbour Lines", aliases=("Harbour",), ticker="HBR", exchange="NYSE")
GAP = Row(
    name="Gap", ticker="GAP", exchange="NYSE", also_word=("Gap",), context=("apparel",),
    exclude=("gap year",), sector="Retail",
)  # fmt: skip
ZURI = Row(
    name="Zuri Coffee AG", aliases=("Zuri",), ticker="ZURI.SW", exchange="SIX",
    listings=("NYSE:ZRI",), suppliers=("HBR",),
)  # fmt: skip
BEANLY = Row(name="Beanly", parent="ZURI.SW")
SMALL = (HARBOUR, GAP, ZURI, BEANLY)
"""A carrier, a shop that is also a word, a maker that the carrier supplies, and a part of that."""


def linker_of(*rows: Row, settings: Entities | None = None) -> Linker:
    """Return what finds these companies, or else the small list's."""
    lists: Sequence[Sequence[Row]] = [rows or SMALL]
    return Linker(Gazetteer(lists, "0123456789ab"), settings or Entities())
