"""Enough of PromQL's grammar to find the names in an expression."""

import re

_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`")
_VARIABLE = re.compile(r"\$(?:\w+|\{\w+\})")
_RANGE = re.compile(r"\[[^\]]*\]")
_OFFSET = re.compile(r"\boffset\s+-?\w+")
_NUMBER = re.compile(r"(?<![\w:])\d[\w.]*")
_MATCHERS = re.compile(r"\{([^}]*)\}")
_GROUPING = re.compile(
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)", re.IGNORECASE
)
_FUNCTION = re.compile(r"[A-Za-z_]\w*\s*(?=\()")
_NAME = re.compile(r"[A-Za-z_:][\w:]*")
# What binds two expressions, and what may stand before a clause instead of before "(".
_WORDS = {"and", "or", "unless", "bool", "sum", "avg", "min", "max", "count"}


def metrics_in(expression: str) -> set[str]:
    """Return the names of the series that an expression reads."""
    bare = _VARIABLE.sub("1", _STRING.sub('""', expression))
    for pattern in (_GROUPING, _MATCHERS, _RANGE, _OFFSET, _NUMBER):
        bare = pattern.sub(" ", bare)
    # An aggregation's function stands before its clause, which is gone by now: "sum  (x)".
    return set(_NAME.findall(_FUNCTION.sub(" ", bare))) - _WORDS


def labels_in(expression: str) -> set[str]:
    """Return the labels that an expression matches or groups by."""
    bare = _STRING.sub('""', expression)
    grouped = [
        name.strip() for clause in _GROUPING.findall(bare) for name in clause.split(",") if name
    ]
    matched = [
        re.split(r"[=!]", matcher, maxsplit=1)[0].strip()
        for clause in _MATCHERS.findall(bare)
        for matcher in clause.split(",")
        if matcher.strip()
    ]
    return {*grouped, *matched}
