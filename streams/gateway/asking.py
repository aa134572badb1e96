"""What a request asks for, from its path, query and headers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from multidict import MultiMapping

from schemas.errors import ConfigurationError
from streams.subscription import Choosing, Start, subscribed_kind
from streams.subscription.positions import from_token

LAST_EVENT_ID = "Last-Event-ID"


def asked(topic: str, query: MultiMapping[str]) -> Choosing[Any]:
    """Read the filters of a request; several values of one are alternatives.

    Raises:
        ConfigurationError: A parameter is unknown, or its value.
    """
    wanted = subscribed_kind(topic).wanted
    for name in query:
        if name not in {*wanted.FILTERS, "start"}:
            known = ", ".join(sorted({*wanted.FILTERS, "start"}))
            raise ConfigurationError(f"{name[:100]}: is no parameter; there are {known}")
    given = {
        one.field: one.read(query.getall(name))
        for name, one in wanted.FILTERS.items()
        if name in query
    }
    return wanted(**given)


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
