"""What a request asks for, from its path, query and headers."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from multidict import MultiMapping

from schemas.errors import ConfigurationError
from streams.gateway.hub import Choosing
from streams.subscription import Start, WantedLetters, WantedResults
from streams.subscription.positions import from_token
from streams.topics import TopicKind, kind_of

LAST_EVENT_ID = "Last-Event-ID"

_LISTS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "label": ("labels", str),
    "verdict": ("verdicts", str),
    "source_topic": ("source_topics", str),
    "key": ("keys", str.encode),
}
_LETTER_LISTS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "error": ("errors", str),
    "source_topic": ("source_topics", str),
}


def asked(topic: str, query: MultiMapping[str]) -> Choosing:
    """Read the filters of a request; several values of one are alternatives.

    Raises:
        ConfigurationError: A parameter is unknown, or its value.
    """
    is_letters = kind_of(topic) is TopicKind.DEAD_LETTERS
    lists = _LETTER_LISTS if is_letters else _LISTS
    singles = () if is_letters else ("min_confidence", "answers")
    for name in query:
        if name not in {*lists, *singles, "start"}:
            known = ", ".join(sorted({*lists, *singles, "start"}))
            raise ConfigurationError(f"{name[:100]}: is no parameter; there are {known}")
    given: dict[str, Any] = {
        field: [read(value) for value in query.getall(name)]
        for name, (field, read) in lists.items()
        if name in query
    }
    if is_letters:
        return WantedLetters(**given)
    if "answers" in query:
        given["answers"] = query["answers"]
    if "min_confidence" in query:
        given["min_confidence"] = _number("min_confidence", query["min_confidence"])
    return WantedResults(**given)


def start_of(topic: str, query: MultiMapping[str], headers: Mapping[str, str]) -> Start:
    """Return where a client wants to begin; the id of the last event that it has comes first.

    Raises:
        ConfigurationError: It is none of what is possible.
    """
    if token := headers.get(LAST_EVENT_ID):
        from_token(token, [topic], field=LAST_EVENT_ID)
        return token
    given = query.get("start", "end")
    if given in {"end", "beginning"}:
        return given
    if "=" in given:
        from_token(given, [topic])
        return given
    try:
        return datetime.fromisoformat(given)
    except ValueError:
        raise ConfigurationError(
            f"start: {given[:100]!r} is none; give end, beginning, a time such as "
            "2026-03-02T08:00:00Z, or the id of an event"
        ) from None


def _number(field: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"{field}: {text[:100]!r} is no number; give 0 to 1") from None
