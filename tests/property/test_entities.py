"""Whatever the text: places are inside it, mentions do not overlap, and the answer is the same."""

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import NewsEvent
from streams.entities.folding import fold
from streams.entities.linker import Linker
from streams.entities.loading import load_gazetteer
from streams.entities.rows import Row
from streams.entities.settings import Entities
from tests.fakes.gazetteers import linker_of

SHIPPED = Linker(load_gazetteer(Entities()), Entities(body_chars=500))
_PIECES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["Apple", "Orange", "GE", "$AAPL", "(NYSE: GE)", "Delta variant", " & ", "Inc"]
    ),
    st.sampled_from(["  ", "\u0301", "…", "ﬁ", "İ", "\u2019s", "\u00a0", "トヨタ自動車", "½"]),
)
TEXTS = st.lists(_PIECES, max_size=12).map("".join)
WORDS = st.lists(st.sampled_from(["ib", "cd", "ef", "gh"]), min_size=1, max_size=4).map(" ".join)


@given(TEXTS)
def test_places_lie_inside_the_text_and_apart(text: str) -> None:
    """Each mention holds something, in order."""
    end = 0
    for one in SHIPPED.explain(text):
        assert end <= one.start < one.end <= len(text)
        end = one.end


@given(TEXTS)
def test_every_part_of_a_folded_text_leads_into_the_original(text: str) -> None:
    """From the first character to the last."""
    folded = fold(text)
    before = 0
    for at in range(len(folded.text)):
        start, end = folded.span(at, at + 1)
        assert 0 <= start <= end <= len(text)
        assert start >= before
        before = start
    assert fold(text) == folded


@given(TEXTS, TEXTS, st.lists(st.sampled_from(["AAPL", "GE", "X"]), max_size=3))
def test_linking_is_deterministic_and_keeps_the_feeds_tickers(
    headline: str, body: str, tickers: list[str]
) -> None:
    """First, in their order, and all tickers once."""
    event = NewsEvent(id="n-1", headline=headline, body=body, tickers=tuple(tickers))
    linked = SHIPPED.link(event)
    assert linked == SHIPPED.link(event)
    own = tuple(dict.fromkeys(tickers))
    assert linked.tickers[: len(own)] == own
    assert len(set(linked.tickers)) == len(linked.tickers)


@settings(max_examples=50)
@given(st.sets(WORDS, min_size=1, max_size=8), st.lists(WORDS, max_size=5).map(" ".join))
def test_of_overlapping_names_the_leftmost_longest_is_found(names: set[str], text: str) -> None:
    """As a plain search, word by word, finds it."""
    rows = [Row(name=name.title(), ticker=f"T{at}") for at, name in enumerate(sorted(names))]
    shown = text.title()
    found = [shown[one.start : one.end].lower() for one in linker_of(*rows).explain(shown)]
    assert found == _plainly(text.split(), names)


def _plainly(words: list[str], names: set[str]) -> list[str]:
    found, at = [], 0
    while at < len(words):
        ends = [end for end in range(len(words), at, -1) if " ".join(words[at:end]) in names]
        if ends:
            found.append(" ".join(words[at : ends[0]]))
        at = ends[0] if ends else at + 1
    return found
