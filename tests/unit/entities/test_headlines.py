"""Headlines with what they name, as the list that ships has it."""

from pathlib import Path

import msgspec
import pytest

from schemas.events import NewsEvent
from streams.entities.linker import Linker
from streams.entities.loading import load_gazetteer
from streams.entities.settings import Entities


class Labelled(msgspec.Struct):
    """A headline, and the tickers that it should be linked to, in order."""

    text: str
    tickers: list[str]


LINES = Path(__file__).with_name("headlines.jsonl").read_bytes().splitlines()
HEADLINES = [msgspec.json.decode(line, type=Labelled) for line in LINES]


@pytest.fixture(scope="module")
def linker() -> Linker:
    """Return what workers have without settings."""
    return Linker(load_gazetteer(Entities()), Entities())


def test_there_are_enough_of_both_kinds() -> None:
    """Those that name companies, and those that only seem to."""
    assert sum(bool(one.tickers) for one in HEADLINES) > 140
    assert sum(not one.tickers for one in HEADLINES) > 95


@pytest.mark.parametrize("headline", HEADLINES, ids=lambda one: one.text)
def test_a_headline_is_linked_to_what_it_names(linker: Linker, headline: Labelled) -> None:
    """And to nothing else."""
    event = NewsEvent(id="n-1", headline=headline.text)
    assert list(linker.link(event).tickers) == headline.tickers
