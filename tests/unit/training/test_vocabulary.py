"""A smaller vocabulary reads the training texts exactly as the whole one does."""

from pathlib import Path

import orjson
import pytest
from tokenizers import Tokenizer

from inference.text import SPECIAL_TOKENS, TextEncoder
from inference.training.teacher import load_tokenizer, teacher_directory
from inference.training.vocabulary import prune
from schemas.errors import ConfigurationError
from tests.fakes.small_model import PIECES, small_tokenizer

TEXTS = ["Steel deals rising sharply", "a strike at the port: weak outlook", "Bänk [SEP] profit"]


def _with(*more: str) -> Tokenizer:
    """Return the small tokenizer with further pieces, the rarest last."""
    state = orjson.loads(small_tokenizer().to_str())
    for piece in more:
        state["model"]["vocab"][piece] = len(state["model"]["vocab"])
    return Tokenizer.from_str(orjson.dumps(state).decode())


@pytest.mark.parametrize("size", [1, 50, 1_000])
def test_texts_that_were_learned_from_are_read_as_before(size: int):
    """Piece by piece, whatever size was asked for; their numbers lead back to the old ones."""
    whole = small_tokenizer()
    smaller, kept = prune(whole, TEXTS, size)
    for text in TEXTS:
        before, after = whole.encode(text), smaller.encode(text)
        assert after.tokens == before.tokens
        assert [kept[number] for number in after.ids] == before.ids


def test_only_the_commonest_of_the_other_pieces_are_kept():
    """As many as there is room for; single letters and special tokens in any case."""
    whole = small_tokenizer()
    least, _ = prune(whole, [], 1)
    letters = {piece for piece in PIECES if len(piece.removeprefix("##")) == 1}
    assert set(least.get_vocab()) == {*SPECIAL_TOKENS, *letters}
    more, kept = prune(whole, [], len(least.get_vocab()) + 3)
    assert set(more.get_vocab()) - set(least.get_vocab()) == {"profit", "loss", "rises"}
    assert kept == sorted(kept)
    assert sorted(more.get_vocab().values()) == list(range(len(kept)))


def test_pieces_that_no_headline_has_make_room():
    """Placeholders, and scripts that the model does not read; signs of currency are kept."""
    whole = _with("[unused7]", "鋼", "##кий", "€", "naïve", "umbrella")
    smaller, _ = prune(whole, [], 1_000)
    dropped = set(whole.get_vocab()) - set(smaller.get_vocab())
    assert dropped == {"[unused7]", "鋼", "##кий"}


def test_a_script_that_was_learned_from_is_kept():
    """What the texts use goes before any rule."""
    smaller, _ = prune(_with("鋼", "鐵"), ["鋼 deal"], 1)
    assert {"鋼", "deal"} <= set(smaller.get_vocab())
    assert "鐵" not in smaller.get_vocab()


def test_a_word_that_was_dropped_is_spelled():
    """With shorter pieces, rather than as unknown."""
    smaller, _ = prune(_with("##a", "##e", "##k", "##l", "##n", "##t", "##w"), [], 1)
    assert smaller.encode("weak").tokens == ["[CLS]", "w", "##e", "##a", "##k", "[SEP]"]


def test_special_tokens_stay_special():
    """With their new numbers, around every text."""
    smaller, _ = prune(_with("umbrella"), ["umbrella"], 1)
    encoder = TextEncoder(smaller, 8)
    (ids,) = encoder.encode(["umbrella"])
    assert [smaller.id_to_token(number) for number in ids] == ["[CLS]", "umbrella", "[SEP]"]
    assert smaller.token_to_id("[PAD]") == 0


@pytest.fixture(scope="module")
def teacher() -> Path:
    """Return where the real teacher lies."""
    try:
        return teacher_directory()
    except ConfigurationError as error:
        pytest.skip(str(error))


def test_the_teachers_own_vocabulary_is_cut_without_loss(teacher: Path):
    """Also beyond the length that its tokenizer would cut texts at by itself."""
    whole = load_tokenizer(teacher)
    long = "profit " * 300 + "kaleidoscopic harbourmasters"
    texts = [
        "Harbour operator's Q3 EBITDA up 12.5%; Moody's keeps Baa2",
        "[MASK] it: “so” £5 and more of that",
        long,
    ]
    smaller, kept = prune(whole, texts, 3_000)
    assert len(kept) == len(smaller.get_vocab()) == 3_000
    for text in texts:
        before, after = whole.encode(text), smaller.encode(text)
        assert after.tokens == before.tokens
        assert [kept[number] for number in after.ids] == before.ids
