"""How companies are found in news."""

from typing import Annotated

import msgspec


class Entities(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether companies are looked for in news, in which list, and how sure it must be."""

    enabled: bool = True
    """Look for companies in headlines and add their tickers to those that the event came with."""
    file: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """A list of companies of your own, ``.csv`` or ``.jsonl``; read again when it changes."""
    extend_default: bool = True
    """Add ``file`` to the list that ships; false puts it in its place."""
    skip_bad_rows: bool = False
    """Leave out rows of ``file`` that cannot be used, and log them; false refuses the file."""
    min_evidence: Annotated[int, msgspec.Meta(ge=0, le=4)] = 1
    """How many signs a name that is also a word, or somebody else's, needs beside it; 0 takes it
    wherever it has a capital."""
    accept_unknown: bool = True
    """Link cashtags and tickers with an exchange that no row has as well, as they are written."""
    body_chars: Annotated[int, msgspec.Meta(ge=0, le=20_000)] = 0
    """Characters of the article's text that are looked through; 0 looks at headlines alone."""
    reload_interval_ms: Annotated[float, msgspec.Meta(ge=100, le=3_600_000)] = 1_000.0
    """How often ``file`` is looked at. A changed one is read when it stands still for so long."""
