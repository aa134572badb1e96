"""What a request asks for, from its path, query and headers."""

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any

from multidict import MultiMapping

from schemas.errors import ConfigurationError
from streams.subscription import Choosing, Start, subscribed_kind
from streams.subscription.positions import from_token

LAST_EVENT_ID = "Last-Event-ID"
_NONE = re.compile(r"q\s*=\s*0(\.0*)?")


def asked(
    topic: str, query: MultiMapping[str], *, beside: Collection[str] = ("start",)
) -> Choosing[Any]:
    """Read the filters of a request; several values of one are alternatives.

    Args:
        topic: What is asked of depends on what it holds.
        query: Names and values.
        beside: Parameters that are no filters.

    Raises:
        ConfigurationError: A parameter is unknown, or its value.
    """
    wanted = subscribed_kind(topic).wanted
    for name in query:
        if name not in {*wanted.FILTERS, *beside}:
            known = ", ".join(sorted({*wanted.FILTERS, *beside}))
            raise ConfigurationError(f"{name[:100]}: is no parameter; there are {known}")
    given = {
        one.field: one.read(query.getall(name))
        for name, one in wanted.FILTERS.items()
        if name in query
    }
    return wanted(**given)


def start_of(topic: str, query: MultiMapping[str]) -> Start:
    """Return where a client wants to begin.

    Raises:
        ConfigurationError: It is none of what is possible.
    """
    given = query.get("start", "end")
    if given in {"end", "beginning"}:
        return given
    if "=" in given:
        return resumed(topic, given, field="start")
    try:
        return datetime.fromisoformat(given)
    except ValueError:
        raise ConfigurationError(
            f"start: {given[:100]!r} is none; give end, beginning, a time such as "
            "2026-03-02T08:00:00Z, or the id of an event"
        ) from None


def resumed(topic: str, token: str, *, field: str) -> str:
    """Return the token of the last event that a client has.

    Raises:
        ConfigurationError: It is none of the topic.
    """
    from_token(token, [topic], field=field)
    return token


def takes_gzip(accept_encoding: str) -> bool:
    """Say whether a client takes compressed answers; see RFC 9110, section 12.5.3."""
    for part in accept_encoding.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in {"gzip", "x-gzip"}:
            return not _NONE.fullmatch(weight.strip())
    return False
