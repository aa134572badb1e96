"""A smaller vocabulary: what the training texts use, then the commonest of what remains.

Pieces that are dropped cost nothing in coverage: WordPiece spells such words with shorter pieces,
down to single characters, which are all kept for Latin script.
"""

from collections.abc import Iterable

import orjson
from tokenizers import Tokenizer

from inference.text import SPECIAL_TOKENS

LATIN_END = 0x250
"""Characters below are Latin letters, digits and punctuation."""
SYMBOLS = range(0x2000, 0x2200)
"""Dashes, quotes, currency signs."""


def prune(tokenizer: Tokenizer, texts: Iterable[str], size: int) -> tuple[Tokenizer, list[int]]:
    """Cut a WordPiece vocabulary down to about ``size`` pieces.

    Args:
        tokenizer: Its vocabulary must be ordered by how common pieces are, as BERT's is.
        texts: Texts whose pieces are all kept, even beyond ``size``.
        size: Pieces wanted.

    Returns:
        The smaller tokenizer, and for each of its pieces the number it had before.
    """
    whole = tokenizer.get_vocab()
    used = {number for text in tokenizer.encode_batch(list(texts)) for number in text.ids}
    keep = {
        number
        for piece, number in whole.items()
        if number in used or piece in SPECIAL_TOKENS or _is_letter(piece)
    }
    for piece, number in sorted(whole.items(), key=lambda item: item[1]):
        if len(keep) >= size:
            break
        if not piece.startswith("[unused") and _is_latin(piece):
            keep.add(number)
    kept = sorted(keep)
    state = orjson.loads(tokenizer.to_str())
    renumbered = {number: place for place, number in enumerate(kept)}
    state["model"]["vocab"] = {
        piece: renumbered[number] for piece, number in whole.items() if number in renumbered
    }
    for token in state["added_tokens"]:
        token["id"] = renumbered[token["id"]]
    for special in state["post_processor"]["special_tokens"].values():
        special["ids"] = [renumbered[number] for number in special["ids"]]
    smaller = Tokenizer.from_str(orjson.dumps(state).decode())
    smaller.encode_special_tokens = tokenizer.encode_special_tokens  # the one setting not written
    return smaller, kept


def _is_letter(piece: str) -> bool:
    """Tell whether a piece is a single Latin character or symbol, alone or within a word."""
    return len(piece.removeprefix("##")) == 1 and _is_latin(piece)


def _is_latin(piece: str) -> bool:
    return all(ord(char) < LATIN_END or ord(char) in SYMBOLS for char in piece)
