"""Whether a name that may mean something else means the company here: an explicit rule.

A doubtful name is taken at once where the text says it: a legal form follows, the text or the feed
holds the company's ticker, or another name of it that only it has. Otherwise signs are counted:

1. a word or phrase of the row's ``context`` is in the text;
2. the text surely mentions its parent, a supplier or a customer;
3. a word of companies' affairs is next to it: ``Visa shares``, ``stake in Orange``, ``Gap CEO``;
4. what follows is what companies do: ``Shell says``, ``Target to buy``;
5. it stands in a list with a company that is taken: ``Apple, Microsoft and Tesla``;
6. it has a capital inside a sentence, where other words have none. Only for common words: other
   people's names have capitals, too;
7. it does not begin the sentence, and a word of finance is within five words of it.

As many as the setting ``min_evidence`` asks for make it a mention.
"""

import re
from collections.abc import Collection, Iterator

from streams.entities.capitals import is_in_sentence_case
from streams.entities.folding import Folded
from streams.entities.gazetteer import Gazetteer, Owner
from streams.entities.mentions import How, Mention
from streams.entities.names import NEEDS_NAME, Doubt
from streams.entities.rows import Row

NEAR_WORDS = 5
MOST_DOUBTFUL = 32
"""Doubtful names of one text that are decided on; more are not taken."""
_BEFORE_CHARS = 24
"""How far before a name its neighbours are looked for."""
_AFFAIRS = (
    "shares?|stocks?|stockholders?|shareholders?|investors?|earnings|profits?|revenues?|sales"
    "|results|dividend|guidance|outlook|forecast|ceo|cfo|chief executive|chairman|boss|board"
    "|employees|workers|staff|bonds?|buyback|ipo|deliveries|margins?|quarterly|q[1-4]|fy\\d\\d"
    "|first-quarter|second-quarter|third-quarter|fourth-quarter|market cap|price target"
    "|stores?|subsidiary|unit|executives?|subscribers|merger|takeover|acquisition"
)
_DOINGS = (
    "says|said|reports|reported|posts|posted|unveils|unveiled|launches|launched|acquires|acquired"
    "|announces|announced|warns|warned|sues|sued|hires|hired|names|recalls|recalled|beats"
    "|declares|declared|appoints|appointed|buys|bought|sells|sold|invests|bids|partners"
    "|(?:plans|aims|seeks|agrees|intends|expects|wants|refuses) to"
    "|(?:to|will) (?:\\w+ )?(?:buy|acquire|sell|cut|lay|invest"
    "|launch|open|close|pay|hire|build|list|report|raise|spend|merge|split|spin|appeal|face|expand)"
)
_MOVES = (
    "(?:is |are |was )?(?:up|down)|rises?|rose|gains?|gained|rall(?:y|ies|ied)|surges?|surged"
    "|jumps?|jumped|soars?|soared|climbs?|climbed|advances?|zooms?|zoomed|spikes?|pops?|rebounds?"
    "|recovers?|falls?|fell|slips?|slipped|slides?|slid|drops?|dropped|declines?|tumbles?|tumbled|plunges?"
    "|plunged|sinks?|sank|slumps?|slumped|dips?|dipped|crash(?:es|ed)?|tanks?|tanked|sheds|loses"
    "|hits?|trades?|opens?|closes?|ends?|stock|calls|puts|earnings|pares|extends|outperforms"
)
_TRADES = (
    "buy|sell|hold|short|long|accumulate|bought|sold|exit|upgrades?|downgrades?|initiates|reiterates"
    "|bullish on|bearish on|positive on|negative on|overweight on|underweight on|calls on|puts on"
    "|target (?:on|for|of)|coverage (?:on|of)|shares of|stake in|position in"
)
_FINANCE = re.compile(
    rf"\b(?:{_AFFAIRS}|rally|rallies|surges?|jumps?|soars?|slumps?|plunges?|tumbles?|upgrades?d?"
    r"|downgrades?d?|analysts?|buy rating|overweight|underweight|outperform|target price|bullish"
    r"|bearish|valuation|nasdaq|dow|s&p|ftse|nifty|sensex|eps|stake|antitrust|trading)\b"
)
_affairs_after = re.compile(
    rf"(?:'s?(?: [\w-]+){{0,2}}| net| gross| operating| annual)? (?:{_AFFAIRS})\b"
).match
_affairs_before = re.compile(
    r"\b(?:shares?|stake|stock|holding|investors?|bonds?|ceo|chairman|boss|suitor|bid|offer|deal)"
    r" (?:of|in|for|by|with|at) $"
).search
_doings_after = re.compile(rf",? (?:{_DOINGS})\b").match
_LIST_GAP = re.compile(r"(?:'s)?(?:,| and| &|,? or|/|,? and| vs\.?| versus) ?").fullmatch
_moves_after = re.compile(rf"(?:'s)?(?: stock| shares?)? (?:{_MOVES})\b").match
_trade_before = re.compile(rf"\b(?:{_TRADES}) $").search
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
                signs = (*signs, "capital inside a sentence")
            found[owner.row] = signs
        return found

    def _around(self, mention: Mention) -> Iterator[str]:
        start, end = mention.folded
        text = self._folded
        after = _affairs_after(text, end)
        before = _affairs_before(text, max(0, start - _BEFORE_CHARS), start)
        if after:
            yield f"before {after[0].strip()!r}"
        elif before:
            yield f"behind {before[0].strip()!r}"
        if doing := _doings_after(text, end):
            yield f"before {doing[0].strip()!r}"
        if mention.is_symbol:
            if not after and (move := _moves_after(text, end)):
                yield f"before {move[0].strip()!r}"
            if not before and (trade := _trade_before(text, max(0, start - _BEFORE_CHARS), start)):
                yield f"behind {trade[0].strip()!r}"
        elif not self._begins_sentence(mention) and (word := self._finance_near(start, end)):
            yield f"near {word!r}"

    def _context_word(self, row: Row, mention: Mention) -> str | None:
        start, end = mention.folded
        rest = f"{self._folded[:start]} . {self._folded[end:]}"
        return next((word for word in row.context if _holds(rest, word.lower())), None)

    def _finance_near(self, start: int, end: int) -> str | None:
        before = self._folded[:start].split()[-NEAR_WORDS:]
        after = self._folded[end:].split()[:NEAR_WORDS]
        found = _FINANCE.search(" ".join(before)) or _FINANCE.search(" ".join(after))
        return None if found is None else found[0]

    def _begins_sentence(self, mention: Mention) -> bool:
        first = max(0, mention.start - _BEFORE_CHARS)
        before = self._text[first : mention.start].rstrip(_OPENING)
        return before[-1] in _SENTENCE_ENDS if before else first == 0

    def _has_telling_capital(self, mention: Mention) -> bool:
        if self._begins_sentence(mention) or self._text[mention.start : mention.end].isupper():
            return False
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
        return _LIST_GAP(self._text, first.end, second.start) is not None
