"""What is said of companies in news: patterns of the folded text next to a name."""

import re

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
    "|(?:trades?|opens?|closes?|ends?) (?:up|down|higher|lower|flat|at)"
    "|hits? (?:a |an )?(?:record|new|all-time|\\d+)|stock|calls|puts|earnings|pares|extends"
    "|outperforms"
)
_TRADES = (
    "buy|sell|hold|short|long|accumulate|bought|sold|exit|upgrades?|downgrades?|initiates|reiterates"
    "|bullish on|bearish on|positive on|negative on|overweight on|underweight on|calls on|puts on"
    "|target (?:on|for|of)|coverage (?:on|of)|shares of|stake in|position in"
)
finance = re.compile(
    rf"\b(?:{_AFFAIRS}|rally|rallies|surges?|jumps?|soars?|slumps?|plunges?|tumbles?|upgrades?d?"
    r"|downgrades?d?|analysts?|buy rating|overweight|underweight|outperform|target price|bullish"
    r"|bearish|valuation|nasdaq|dow|s&p|ftse|nifty|sensex|eps|stake|antitrust|trading)\b"
).search
affairs_after = re.compile(
    rf"(?:'s?(?: [\w-]+){{0,2}}| net| gross| operating| annual)? (?:{_AFFAIRS})\b"
).match
affairs_before = re.compile(
    r"\b(?:shares?|stake|stock|holding|investors?|bonds?|ceo|chairman|boss|suitor|bid|offer|deal)"
    r" (?:of|in|for|by|with|at) $"
).search
doings_after = re.compile(rf",? (?:{_DOINGS})\b").match
list_gap = re.compile(r"(?:'s)?(?:,| and| &|,? or|/|,? and| vs\.?| versus) ?").fullmatch
moves_after = re.compile(rf"(?:'s)?(?: stock| shares?)? (?:{_MOVES})\b").match
trade_before = re.compile(rf"\b(?:{_TRADES}) $").search
