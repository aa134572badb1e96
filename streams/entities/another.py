"""Whether a name is the beginning or the end of another one: ``Apple Hospitality REIT``."""

import re
from collections.abc import Sequence

from streams.entities.capitals import whole_in_sentence_case
from streams.entities.rows import Row

_ALWAYS = (
    "Foundation|Valley|Hospitality|University|Institute|Museum|Airport|Stadium|Hospitals?|Church"
    "|County|Islands?|Heights|Township|Orchards?|Industries|Industrial|Properties|Realty|Infra"
    "|Infrastructure|Infraprojects|Infratech|Projects|Constructions?|Textiles?|Cements?|Housing"
    "|Chemicals?|Fertili[sz]ers|Sugars?|Papers?|Pharma|Pharmaceuticals?|Therapeutics|Biosciences"
    "|Bancorp|Bancshares|Savings|REIT|Midstream|Minerals|Metals|Petrochem|Petrochemicals"
    "|Electricals?|Electronics|Forge|Castings|Bearings|Tyres?|Paints|Ceramics|Plastics|Polymers"
    "|Spinning|Mills?|Shipping|Shipyard|Aerospace|Airways|Airlines|Hotels|Resorts|Healthineers"
    "|Infosystems|Infotech|Communications|Telecom|Capital(?! [Mm]arkets?)|Insurance|Life|Mutual"
    "|Logistics|Ports?|Renewables?|Solar|Green|Wilmar|Transmission|Heavy|Gamesa"
    "|High School|National Park|Acquisition Corp"
)
_IN_SENTENCES = (
    "Power|Energy|Steel|Finance|Financial|Holdings?|Bank|Trust|Foods|Motors?|Mining|Resources"
    "|Oil|Gas|Engineering|Enterprises|International|Global|Consumer|Auto|Partners|Ventures|Media"
    "|Entertainment|Health|Healthcare|Labs|Laboratories|Sciences|Systems|Software|Technologies"
    "|Solutions|Networks?|Semiconductors?|Park|River|Street|Lake|Hills?|Beach|School|Award"
)
_BEFORE = "South|North|East|West|Southern|Northern|Eastern|Western|Central|Reserve|Federal|State"


def _compiled(words: str) -> re.Pattern[str]:
    return re.compile(rf"[ -]({words}|{words.upper()})(?![\w-])")


_always_behind = _compiled(_ALWAYS).match
_in_sentences_behind = _compiled(_IN_SENTENCES).match
_before = re.compile(rf"(?<!\w)({_BEFORE}) $").search
_BEFORE_CHARS = 12


def makes_another(text: str, start: int, end: int, rows: Sequence[Row]) -> str | None:
    """Return the word next to a name that makes another one of both; ``None`` where none does.

    Words of the companies' own names, contexts and sectors do not.

    Args:
        text: As it came.
        start: Of the name in it.
        end: Behind that.
        rows: Whose name it is.
    """
    if behind := _always_behind(text, end):
        return _of_another(behind[1], rows)
    if (behind := _in_sentences_behind(text, end)) and whole_in_sentence_case(text):
        return _of_another(behind[1], rows)
    if before := _before(text, max(0, start - _BEFORE_CHARS), start):
        return before[1]
    return None


def _of_another(word: str, rows: Sequence[Row]) -> str | None:
    stem = _stem(word)
    for row in rows:
        for own in (*row.names, *row.context, row.sector or ""):
            if any(_stem(part) == stem for part in own.split()):
                return None
    return word


def _stem(word: str) -> str:
    return word.lower().removesuffix("s")
