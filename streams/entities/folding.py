"""Texts as names are compared: NFKC, lower case, plain quotes and hyphens, single spaces.

Whatever that changes in length, positions in the folded text lead back to the original's.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

# A space or more; a run of ASCII that no combining mark follows; what is left, marks included.
_PIECE = re.compile(r"\s+|[!-\x7f]+(?![^\x00-\x7f])|[!-\x7f]?[^\x00-\x7f\s]+|.", re.DOTALL)
_HYPHENS = "\u2010\u2011\u2012\u2013\u2014\u2212"
_QUOTES = "\u2018\u2019\u02bc\u2032"
_SPACES = "\t\n\r\v\f\x1c\x1d\x1e\x1f\x85\u00a0\u2002\u2003\u2009\u200a\u2028\u2029\u202f\u3000"
_RUN = re.compile("  +")
_VOICED = "\uff9e\uff9f"
"""Marks of half-width kana, which NFKC joins to the letter before."""
_LATIN = [*range(0xC0, 0x250), *range(0x1E00, 0x1F00)]


def _without_accent(code: int) -> str | None:
    """Return the plain letter of an accented one of the Latin script."""
    plain = unicodedata.normalize("NFD", chr(code))[0]
    return plain if plain.isascii() and plain != chr(code) else None


_ALIKE = {
    **{code: plain for code in _LATIN if (plain := _without_accent(code)) is not None},
    **dict.fromkeys(map(ord, _HYPHENS), "-"),
    **dict.fromkeys(map(ord, _QUOTES), "'"),
    **dict.fromkeys(map(ord, _SPACES), " "),
    ord("\u2026"): ".",
}


class Folded(NamedTuple):
    """A text as names are compared.

    Attributes:
        text: The folded one.
        starts: Where pieces of it begin; empty where each position is the original's.
        origins: Where the same pieces begin in the original, and where that ends.
        exact: Whether positions inside a piece can be counted on.
    """

    text: str
    starts: tuple[int, ...] = ()
    origins: tuple[int, ...] = ()
    exact: tuple[bool, ...] = ()

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where in the original a part of the folded text, not an empty one, lies."""
        if not self.starts:
            return start, end
        first = bisect_right(self.starts, start) - 1
        last = bisect_right(self.starts, end - 1) - 1
        begin, finish = self.origins[first], self.origins[last + 1]
        if self.exact[first]:
            begin += start - self.starts[first]
        if self.exact[last]:
            finish = self.origins[last] + end - self.starts[last]
        return begin, finish

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Return where in the folded text a part lies whose length folding leaves."""
        if not self.starts:
            return start, end
        first = bisect_right(self.origins, start) - 1
        last = min(bisect_right(self.origins, end - 1) - 1, len(self.starts) - 1)
        begin = self.starts[first] + start - self.origins[first]
        return begin, self.starts[last] + end - self.origins[last]


def fold(text: str) -> Folded:
    """Fold a text; most keep their positions, and need no table to lead back."""
    if text.isascii():
        same = text if text.isprintable() else text.translate(_ALIKE)
    else:
        same = text.translate(_ALIKE)
        if not unicodedata.is_normalized("NFKC", same):
            return _by_piece(text, str.lower)
    folded = same.lower()
    if len(folded) != len(text):  # some letters have no single lower one
        return _by_piece(text, str.lower)
    return _with_single_spaces(folded) if "  " in folded else Folded(folded)


def _with_single_spaces(text: str) -> Folded:
    starts, origins, parts = [0], [0], []
    at = end = 0
    for run in _RUN.finditer(text):
        parts.append(text[end : run.start() + 1])
        at += len(parts[-1])
        end = run.end()
        starts.append(at)
        origins.append(end)
    parts.append(text[end:])
    return Folded("".join(parts), tuple(starts), (*origins, len(text)), (True,) * len(starts))


def keep_case(text: str) -> str:
    """Return a text as :func:`fold` does, with its capitals."""
    return _by_piece(text, str).text


def _by_piece(text: str, case: Callable[[str], str]) -> Folded:
    folded: list[str] = []
    starts, origins, exact = [], [], []
    at = 0
    for start, piece in _pieces(text):
        new = " " if piece.isspace() else case(_plain(piece))
        if not new:
            continue
        starts.append(at)
        origins.append(start)
        exact.append(len(new) == len(piece) and unicodedata.is_normalized("NFKC", piece))
        folded.append(new)
        at += len(new)
    return Folded("".join(folded), tuple(starts), (*origins, len(text)), tuple(exact))


def _plain(piece: str) -> str:
    return unicodedata.normalize("NFKC", piece.translate(_ALIKE)).translate(_ALIKE)


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Yield parts of a text, none of which changes its neighbours' folding, and where they begin.

    What is not in its normal form comes as single letters with their marks.
    """
    for found in _PIECE.finditer(text):
        piece = found[0]
        if unicodedata.is_normalized("NFKC", piece) or piece.isspace():
            yield found.start(), piece
            continue
        start = 0
        for at in range(1, len(piece) + 1):
            if at == len(piece) or not _joins(piece[at]):
                yield found.start() + start, piece[start:at]
                start = at


def _joins(char: str) -> bool:
    """Say whether a character may become one with that before it: a mark, or part of Hangul."""
    return unicodedata.combining(char) > 0 or "\u1160" <= char <= "\u11ff" or char in _VOICED
