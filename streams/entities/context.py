"""Whether a name that may mean something else means the company here: an explicit rule.

A doubtful name is taken at once where the text says it: a legal form follows, the text or the feed
holds the company's ticker, or another name of it that only it has. Otherwise signs are counted:

1. a word or phrase of the row's ``context`` is in the text;
2. the text surely mentions its parent, a supplier or a customer;
3. a word of companies' affairs is next to it: ``Visa shares``, ``stake in Orange``, ``Gap CEO``;
4. what follows is what companies do: ``Shell says``, ``Target to buy``;
5. it stands in a list with a company that is taken: ``Apple, Microsoft and Tesla``;
6. it has a capital inside a sentence, where other words have none, or it has several words and each
   has one. Only for common words: other people's names have capitals, too;
7. it does not begin the sentence, and a word of finance is within five words of it.

The last two do not count next to another word with a capital among small ones, as in ``Southern
Europe``: that is a longer name. For tickers that stand alone the first five count, and that it is
next to what prices do or traders say: ``SNOW falls``, ``buy ITC``.

As many as the setting ``min_evidence`` asks for make it a mention.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from streams.entities.capitals import is_in_sentence_case
from streams.entities.folding import Folded
from streams.entities.gazetteer import Gazetteer, Owner
from streams.entities.mentions import How, Mention
from streams.entities.names import NEEDS_NAME, Doubt
from streams.entities.rows import Row
from streams.entities.wording import (
    affairs_after,
    affairs_before,
    doings_after,
    finance,
    list_gap,
    moves_after,
    trade_before,
)

NEAR_WORDS = 5
MOST_DOUBTFUL = 32
"""Doubtful names of one text that are decided on; more are not taken."""
_BEFORE_CHARS = 24
"""How far before a name its neighbours are looked for."""
_capital_behind = re.compile(r" [A-Z][a-z]+(?!\w)").match
_capital_before = re.compile(r"(?<!\w)([A-Z][a-z]+) $").search
_OPENERS = frozenset(
    Path(__file__).with_name("openers.txt").read_text(encoding="utf-8").title().split()
)
"""Words that begin a sentence with a capital, and no name."""
_SENTENCE_ENDS = ".!?:;|\u2014"
_OPENING = " \t\n\"'([{#@*\u201c\u2018\u00ab-\u2013"


def _holds(text: str, word: str) -> bool:
    """Say whether a text has a word, or several, as whole ones."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        starts = at == 0 or not (text[at - 1].isalnum() or text[at - 1] == "_")
        if starts and (end == len(text) or not (text[end].isalnum() or text[end] == "_")):
            return True
        at = text.find(word, at + 1)
    return False


class Context:
    """A text, and what it says beside its doubtful names.

    Args:
        text: As it came.
        folded: The same, as names are compared.
        mentions: What may be a mention, in the order of the text; decided ones count.
        given: Companies whose tickers the feed gave.
    """

    def __init__(
        self,
        text: str,
        folded: Folded,
        mentions: list[Mention],
        gazetteer: Gazetteer,
        given: Collection[int],
    ) -> None:
        self._text = text
        self._folded = folded.text
        self._mentions = mentions
        self._gazetteer = gazetteer
        self._given = given
        self._in_sentence_case: bool | None = None

    def decide(self, min_evidence: int) -> None:
        """Take those doubtful mentions that enough speaks for."""
        open_ones = [one for one in self._mentions if not one.taken][:MOST_DOUBTFUL]
        signs = {id(one): self._signs(one) for one in open_ones}
        while open_ones:
            taken = [one for one in open_ones if self._judge(one, signs[id(one)], min_evidence)]
            if not taken:
                return
            # What is taken now may speak for its neighbours.
            open_ones = [one for one in open_ones if not one.taken]

    def _judge(
        self, mention: Mention, signs: dict[int, tuple[str, ...]], min_evidence: int
    ) -> bool:
        best: list[tuple[int, Owner, tuple[str, ...]]] = []
        for owner in mention.owners:
            sure = self._sure(mention, owner.row)
            why = (*signs[owner.row], *self._by_others(mention, owner))
            if owner.doubt in NEEDS_NAME and not sure:
                return False
            best.append((99 if sure else len(why), owner, sure or why))
        best.sort(key=lambda one: -one[0])
        count, owner, why = best[0]
        if mention.how is How.TICKER:
            min_evidence = max(1, min_evidence)
        if count < min_evidence or (len(best) > 1 and best[1][0] == count):
            mention.why = why
            return False
        mention.taken, mention.why = True, why
        mention.row, mention.ticker = owner.row, self._gazetteer.rows[owner.row].linked_to
        return True

    def _sure(self, mention: Mention, row: int) -> tuple[str, ...]:
        """Say what leaves no doubt that the text is about a company."""
        if row in self._given:
            return ("the feed gives its ticker",)
        for other in self._mentions:
            if other.taken and other.row == row and not other.owners:
                return (f"also {self._text[other.start : other.end]!r}",)
        if mention.how is How.NAME and self._in_brackets(row):
            return ("its ticker in brackets",)
        return ()

    def _in_brackets(self, row: int) -> bool:
        ticker = self._gazetteer.rows[row].ticker
        return bool(ticker) and f"({ticker.partition('.')[0]})" in self._text

    def _signs(self, mention: Mention) -> dict[int, tuple[str, ...]]:
        """Return what the words around a mention say for each company that it may mean."""
        shared = tuple(self._around(mention))
        found = {}
        for owner in mention.owners:
            row = self._gazetteer.rows[owner.row]
            signs = shared
            if word := self._context_word(row, mention):
                signs = (f"context {word!r}", *signs)
            if owner.doubt in (Doubt.NONE, Doubt.WORD) and self._has_telling_capital(mention):
                signs = (*signs, "its capitals")
            found[owner.row] = signs
        return found

    def _around(self, mention: Mention) -> Iterator[str]:
        start, end = mention.folded
        text = self._folded
        after = affairs_after(text, end)
        before = affairs_before(text, max(0, start - _BEFORE_CHARS), start)
        if after:
            yield f"before {after[0].strip()!r}"
        elif before:
            yield f"behind {before[0].strip()!r}"
        if doing := doings_after(text, end):
            yield f"before {doing[0].strip()!r}"
        if mention.is_symbol:
            if not after and (move := moves_after(text, end)):
                yield f"before {move[0].strip()!r}"
            if not before and (trade := trade_before(text, max(0, start - _BEFORE_CHARS), start)):
                yield f"behind {trade[0].strip()!r}"
        elif self._may_be_near(mention) and (word := self._finance_near(start, end)):
            yield f"near {word!r}"

    def _may_be_near(self, mention: Mention) -> bool:
        """Say whether words further away can speak for a name: not where it is part of a longer."""
        return not self._begins_sentence(mention) and not self._runs_on(mention)

    def _runs_on(self, mention: Mention) -> bool:
        """Say whether, among small words, a capital stands right before or behind a name."""
        if not self._is_in_sentence_case():
            return False
        if _capital_behind(self._text, mention.end):
            return True
        before = _capital_before(self._text, max(0, mention.start - _BEFORE_CHARS), mention.start)
        return before is not None and before[1] not in _OPENERS

    def _context_word(self, row: Row, mention: Mention) -> str | None:
        start, end = mention.folded
        rest = f"{self._folded[:start]} . {self._folded[end:]}"
        return next((word for word in row.context if _holds(rest, word.lower())), None)

    def _finance_near(self, start: int, end: int) -> str | None:
        before = self._folded[:start].split()[-NEAR_WORDS:]
        after = self._folded[end:].split()[:NEAR_WORDS]
        found = finance(" ".join(before)) or finance(" ".join(after))
        return None if found is None else found[0]

    def _begins_sentence(self, mention: Mention) -> bool:
        first = max(0, mention.start - _BEFORE_CHARS)
        before = self._text[first : mention.start].rstrip(_OPENING)
        return before[-1] in _SENTENCE_ENDS if before else first == 0

    def _has_telling_capital(self, mention: Mention) -> bool:
        written = self._text[mention.start : mention.end]
        if written.isupper():
            return False
        if " " in written and all(word[0].isupper() for word in written.split() if len(word) > 3):  # noqa: PLR2004 - small words are small in names, too
            return True
        return (
            not self._begins_sentence(mention)
            and self._is_in_sentence_case()
            and not self._runs_on(mention)
        )

    def _is_in_sentence_case(self) -> bool:
        if self._in_sentence_case is None:
            places = [(one.start, one.end) for one in self._mentions]
            self._in_sentence_case = is_in_sentence_case(self._text, places)
        return self._in_sentence_case

    def _by_others(self, mention: Mention, owner: Owner) -> Iterator[str]:
        """Yield what companies that are taken say for one that is not."""
        row = self._gazetteer.rows[owner.row]
        relatives = self._gazetteer.relatives(row)
        for other in self._mentions:
            if other.taken and other is not mention and other.ticker in relatives:
                yield f"beside {self._text[other.start : other.end]!r}, of its relations"
                break
        at = self._mentions.index(mention)
        for other in self._mentions[max(0, at - 1) : at + 2]:
            if other is not mention and other.taken and self._is_next_in_list(mention, other):
                yield f"in a list with {self._text[other.start : other.end]!r}"
                break

    def _is_next_in_list(self, one: Mention, other: Mention) -> bool:
        first, second = (one, other) if one.start < other.start else (other, one)
        return list_gap(self._text, first.end, second.start) is not None
