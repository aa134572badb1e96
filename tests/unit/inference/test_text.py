"""From text to token ids."""

from pathlib import Path

import pytest

from inference.text import MOST_CHARACTERS, SPECIAL_TOKENS, TextEncoder, beginning
from tests.fakes.small_model import PIECES, small_tokenizer

PAD, UNK, CLS, SEP, MASK = range(len(SPECIAL_TOKENS))


@pytest.fixture
def encoder() -> TextEncoder:
    """Return an encoder of at most eight tokens."""
    return TextEncoder(small_tokenizer(), 8)


def _ids(*pieces: str) -> list[int]:
    return [PIECES.index(piece) for piece in pieces]


def test_a_text_stands_between_its_special_tokens(encoder: TextEncoder):
    """Whole words, word pieces, and what is unknown."""
    assert encoder.encode(["Profit RISES, sharply"]) == [
        [CLS, *_ids("profit", "rises"), UNK, *_ids("sharply"), SEP]
    ]
    assert encoder.encode(["deals"]) == [[CLS, *_ids("deal", "##s"), SEP]]


@pytest.mark.parametrize("words", [5, 6, 7, 500])
def test_a_long_text_is_cut_and_still_ends(encoder: TextEncoder, words: int):
    """At the most tokens there may be, special ones included."""
    (ids,) = encoder.encode(["profit " * words])
    assert len(ids) == min(words + 2, 8)
    assert (ids[0], ids[-1]) == (CLS, SEP)
    assert set(ids[1:-1]) == set(_ids("profit"))


@pytest.mark.parametrize(
    "text",
    [
        "profit loss " * 20_000,
        "profit" + " " * 100 + "loss rises falls " * 9_000,
        "loss " * 5 + "x" * 200 + " rises" * 9_000,
        "rises\n" + "[" * 150_000,
        "x" * 150_000,
        "ba\u0301nk, " * 20_000,
    ],
)
def test_of_a_long_text_the_beginning_is_enough(encoder: TextEncoder, text: str):
    """It is read as the whole is, and at once."""
    whole = encoder._tokenizer.encode(text).ids
    seen: list[int] = []
    of_all = encoder._ids

    def note(texts: list[str]) -> list[list[int]]:
        seen.extend(map(len, texts))
        return of_all(texts)

    encoder._ids = note  # type: ignore[method-assign]
    assert encoder.encode(["deal", text]) == [[CLS, *_ids("deal"), SEP], whole]
    assert sum(seen) < 2 * MOST_CHARACTERS * encoder.max_tokens


def test_a_beginning_ends_between_words():
    """Unless a word is very long; what is short stays as it is."""
    assert beginning("deal loss", 9) == "deal loss"
    assert beginning("deal loss rises", 9) == "deal loss"
    assert beginning("deal loss rises", 13) == "deal loss"
    assert beginning("deal losses", 10) == "deal losse"
    assert beginning("x" * 20, 10) == "x" * 10
    assert beginning(" " * 20, 10) == " " * 10


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\0", "\u200b", "\ufeff"])
def test_nothing_to_read_is_two_tokens(encoder: TextEncoder, text: str):
    """Never none: a batch has no room for an event without tokens."""
    assert encoder.encode([text]) == [[CLS, SEP]]


@pytest.mark.parametrize("text", ["[SEP]", "[PAD]", "[CLS]", "[MASK]"])
def test_a_text_that_spells_a_special_token_is_text(encoder: TextEncoder, text: str):
    """A headline cannot end itself, nor mask what follows."""
    (ids,) = encoder.encode([f"a {text} b"])
    assert (ids[0], ids[-1]) == (CLS, SEP)
    assert not {PAD, CLS, SEP, MASK} & set(ids[1:-1])
    assert _ids("[")[0] in ids


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Bänk", ["bank"]),
        ("ba\u0301nk", ["bank"]),
        ("BANK\u00a0deal", ["bank", "deal"]),
        ("\u202ebank", ["bank"]),
        ("😀", ["[UNK]"]),
        ("鋼鐵", ["[UNK]", "[UNK]"]),
        ("\U0010ffff", ["[UNK]"]),
        ("e" * 200, ["[UNK]"]),
    ],
)
def test_odd_characters_are_read_or_unknown(encoder: TextEncoder, text: str, pieces: list[str]):
    """Accents, control characters, other scripts, code points that nobody has assigned."""
    assert encoder.encode([text]) == [[CLS, *_ids(*pieces), SEP]]


def test_texts_keep_their_order_and_do_not_pad_each_other(encoder: TextEncoder):
    """A batch is as many lists as there are texts, each of its own length."""
    texts = ["steel", "a strike at the port", "", "weak outlook"]
    assert encoder.encode(texts) == [encoder.encode([text])[0] for text in texts]
    assert [len(ids) for ids in encoder.encode(texts)] == [3, 7, 2, 4]
    assert encoder.encode([]) == []


def test_what_was_saved_reads_the_same(encoder: TextEncoder, tmp_path: Path):
    """Also texts that are cut and texts that spell special tokens."""
    encoder.save(tmp_path)
    loaded = TextEncoder.load(tmp_path, 8)
    texts = ["profit " * 20, "[SEP] deal", "", "Bänk"]
    assert loaded.encode(texts) == encoder.encode(texts)
    assert loaded.vocabulary_size == encoder.vocabulary_size == len(PIECES)


def test_a_loaded_encoder_cuts_where_it_is_told(encoder: TextEncoder, tmp_path: Path):
    """Whatever length was saved with it."""
    encoder.save(tmp_path)
    loaded = TextEncoder.load(tmp_path, 5)
    assert loaded.max_tokens == 5
    assert len(loaded.encode(["profit " * 20])[0]) == 5
