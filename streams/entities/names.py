"""How the names of companies are written in news: every form of a name that is looked for."""

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from streams.entities.folding import fold, keep_case

SHORT_CHARS = 5
"""Names of no more characters need capitals: all of them where the list has them, else one."""
_FORMS = (
    "incorporated|inc|corporation|corp|company|co|limited|ltd|llc|llp|lp|plc|ag|se|sa|s\\.a|nv|n\\.v"
    "|bv|spa|s\\.p\\.a|gmbh|kgaa|ab|asa|a/s|oyj|oy|kk|k\\.k|pty|bhd|tbk|pjsc"
)
_LEGAL = re.compile(rf"[,]?\s(?:(?:&|and)\s)?(?:{_FORMS})\b\.?$", re.IGNORECASE)
legal_form = re.compile(
    r",?\s(?:& )?(?:Inc(?:orporated)?|INC|Corp(?:oration)?|CORP|Company|COMPANY|C[oO]|Limited"
    r"|L[tT][dD]|LL[CP]|LP|plc|P[lL][cC]|AG|SE|S\.?A|N\.?V|BV|S\.?[pP]\.?A|GmbH|KGaA|AB|ASA|A/S|Oyj|K\.?K|Pty"
    r"|Bhd|Tbk|PJSC)(?:\.(?=[\s,;:)]|$)|(?![\w.&/-]))"
).match
"""Match a legal form that follows a name."""
COMMON_WORDS = frozenset(
    Path(__file__).with_name("common_words.txt").read_text(encoding="utf-8").split()
)
"""Words that stand in news for themselves more often than for a company."""


class Doubt(StrEnum):
    """Why a name in a text may mean something else."""

    NONE = ""
    WORD = "word"
    """It is a common word as well."""
    NAME = "name"
    """Others have the name as well."""
    LONGER = "longer"
    """It is part of another name, which is not in the list."""
    SYMBOL = "symbol"
    """It is a ticker that stands for itself."""
    SHORT = "short"
    """So it is, and what it abbreviates as a rule is something else."""


NEEDS_NAME = (Doubt.LONGER, Doubt.SHORT)
"""Doubts that only another name or ticker of the company settles."""


def written_forms(name: str) -> Iterator[str]:
    """Yield a name as it may be written, folded: with and without legal form, hyphens, ``&``."""
    whole = _trimmed(fold(name).text)
    core = whole
    while shorter := _LEGAL.search(core):
        core = _trimmed(core[: shorter.start()])
    bases = [whole, core] if core and core != whole else [whole]
    for base in dict.fromkeys(bases):
        yield from dict.fromkeys(_spellings(base))


def _spellings(name: str) -> Iterator[str]:
    yield name
    if " & " in name:
        yield name.replace(" & ", " and ")
        yield name.replace(" & ", "&")
        yield name.replace(" & ", " &amp; ")  # as feeds of web pages have it
    if " and " in name:
        yield name.replace(" and ", " & ")
    if "-" in name:
        yield name.replace("-", " ")
    if "'" in name:
        yield name.replace("'", "")


def _trimmed(name: str) -> str:
    """Take away what does not begin or end a word."""
    first = next((at for at, char in enumerate(name) if char.isalnum()), 0)
    last = next((at for at in range(len(name) - 1, -1, -1) if name[at].isalnum()), len(name) - 1)
    return name[first : last + 1]


def exact_case(name: str) -> str:
    """Return a name that is found in its own capitals alone; of others, nothing."""
    if name != name.upper():
        return ""
    kept = _trimmed(keep_case(name))
    is_short = len(kept) <= SHORT_CHARS
    return kept if is_short and kept == kept.upper() != kept.lower() else ""


def runs_on(char: str) -> bool:
    """Say whether words of this character's script stand without spaces between them."""
    return "\u2e80" <= char <= "\u9fff" or "\uf900" <= char <= "\ufaff" or char >= "\U00020000"
