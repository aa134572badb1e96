"""Whether a segment of speech asks something, as its punctuation has it.

The words are not looked at, so that it holds for every language that marks its questions. A
recogniser that does not punctuate leaves the answer open.
"""

import re

_ASKED = re.compile("\\?(?!\\w)|[\uff1f\u061f\u203d\u2047\u2048\u2049\u1367\u2e2e\u055e\u037e]")
"""Question marks of all scripts; that of ``https://a.example/?q=1`` is none."""
_ENDED = re.compile(
    "[.!](?=[\\s\"'\u201d\u2019\u00bb)\\]]|$)|[\u3002\uff01\u06d4\u0964\u2026\u0589\u1362]"
)
"""What ends other sentences; the points of ``3.5`` and ``a.example`` end none."""


def asks(text: str) -> bool | None:
    """Return whether a text holds a question.

    Returns:
        ``None`` where no sentence of it is marked as ended, which is how recognisers that do not
        punctuate write.
    """
    if _ASKED.search(text):
        return True
    return False if _ENDED.search(text) else None
