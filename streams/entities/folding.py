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


def fold(text: str) -> Folded:
    """Fold a text; what is not folded by the piece keeps its positions."""
    if text.isprintable() and "  " not in text:
        if text.isascii():
            return Folded(text.lower())
        if unicodedata.is_normalized("NFKC", text):
            folded = text.translate(_ALIKE).lower()
            if len(folded) == len(text):  # some letters have no single lower one
                return Folded(folded)
    return _by_piece(text, str.lower)


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
    return unicodedata.normalize("NFKC", piece).translate(_ALIKE)


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
