"""What a client says over a WebSocket, and what it is answered."""

import re
from typing import Annotated

import msgspec
import orjson
from multidict import MultiDict

from schemas.errors import ConfigurationError, shown

MOST_BYTES = 65_536
"""Of one message of a client."""
SubscriptionId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Value = str | int | float | list[str]


class Subscribe(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag="subscribe",
    tag_field="op",
):
    """Begins a subscription."""

    id: SubscriptionId
    """What it is called in all messages about it; the client's choice."""
    topic: Annotated[str, msgspec.Meta(min_length=1, max_length=249)]
    """What to follow."""
    filters: dict[str, Value] = {}
    """What to ask of it: the parameters of the topic's stream, a list for alternatives."""
    start: str | None = None
    """``end``, ``beginning``, or a time; the end if nothing is said."""
    after: str | None = None
    """The token of the last event that the client has; in place of ``start``."""


class Unsubscribe(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag="unsubscribe",
    tag_field="op",
):
    """Ends a subscription."""

    id: SubscriptionId
    """Which one."""


class Ping(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag="ping",
    tag_field="op",
):
    """Asks for a sign of life."""


Said = Subscribe | Unsubscribe | Ping

_DECODER = msgspec.json.Decoder(Said)
_WHERE = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_FIELD = re.compile(r"field `(?P<field>\w+)`")
_EXAMPLE = '{"op": "subscribe", "id": "a", "topic": "results.news"}'


def read(text: str | bytes) -> Said:
    """Read a message.

    Raises:
        ConfigurationError: It is none; names the field.
    """
    try:
        return _DECODER.decode(text)
    except msgspec.ValidationError as error:
        told = _WHERE.fullmatch(str(error))
        what = told["what"] if told else str(error)
        named = _FIELD.search(what)
        field = (told and told["path"]) or (named["field"] if named else "message")
        raise ConfigurationError(f"{field}: {what}; send such as {_EXAMPLE}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigurationError(
            f"message: {shown(text)} is not JSON; send such as {_EXAMPLE}"
        ) from None


def id_of(text: str | bytes) -> str | None:
    """Return whose message it is, if that can be read in spite of what is wrong."""
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    found = said.get("id") if isinstance(said, dict) else None
    return found[:64] if isinstance(found, str) else None


def query_of(filters: dict[str, Value]) -> MultiDict[str]:
    """Return filters as the query of a stream has them."""
    query: MultiDict[str] = MultiDict()
    for name, value in filters.items():
        for one in value if isinstance(value, list) else [value]:
            query.add(name, str(one))
    return query


def start_of(said: Subscribe) -> MultiDict[str]:
    """Return where to begin, as the query of a stream has it.

    Raises:
        ConfigurationError: It is said twice.
    """
    if said.start is not None and said.after is not None:
        raise ConfigurationError(
            f"after: {said.after[:100]!r} goes without start; leave one of them out"
        )
    return MultiDict() if said.start is None else MultiDict(start=said.start)


def about(name: str, subscription: str | None, **fields: str | int) -> bytes:
    """Write a message that is no event of a topic."""
    named = {} if subscription is None else {"id": subscription}
    return orjson.dumps({**named, "event": name, **fields})


def beginning_of(subscription: str) -> bytes:
    """Return how all events of a subscription begin; see :func:`streams.gateway.told.message`."""
    return b'{"id":%b,' % orjson.dumps(subscription)
