"""How a text uses capitals: whether they tell a name, or a ticker, from a word."""

import re
from collections.abc import Collection
from functools import lru_cache

_WORD = re.compile(r"(?<![\w/.@])[^\W\d_][\w'\u2019-]*")
_LONG_CHARS = 3
"""Shorter words are small in titles, too."""


def words_of(text: str, apart: Collection[tuple[int, int]] = ()) -> list[str]:
    """Return the longer words of a text, those in given places and in links apart."""
    return [
        found[0]
        for found in _WORD.finditer(text)
        if len(found[0]) > _LONG_CHARS
        and not any(start <= found.start() < end for start, end in apart)
        and "://" not in text[found.end() : found.end() + 3]
    ]


def is_in_capitals(text: str, apart: Collection[tuple[int, int]] = ()) -> bool:
    """Say whether most longer words have no small letter, as in ``SHARES OF TESLA DOWN``.

    Of a text whose words all are short, or apart, whether it has no small letter at all.
    """
    words = words_of(text, apart)
    if not words:
        return text == text.upper()
    return 2 * sum(word == word.upper() for word in words) > len(words)


def is_in_sentence_case(text: str, apart: Collection[tuple[int, int]] = ()) -> bool:
    """Say whether most longer words, the first apart, begin with small letters."""
    words = words_of(text, [*apart, (0, 1)])
    return bool(words) and 2 * sum(word[0].islower() for word in words) >= len(words)


@lru_cache(maxsize=2)
def whole_in_capitals(text: str) -> bool:
    """Say it of a text with nothing apart; asked for each name of one text after another."""
    return is_in_capitals(text)


@lru_cache(maxsize=2)
def whole_in_sentence_case(text: str) -> bool:
    """Say it of a text with nothing apart; asked for each name of one text after another."""
    return is_in_sentence_case(text)
