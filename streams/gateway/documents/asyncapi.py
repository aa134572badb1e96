"""Topics, streams and the messages of WebSockets, as AsyncAPI 3."""

from typing import Any

from schemas.cloudevents import event_type
from schemas.events import EVENT_TYPES, Modality
from schemas.payload import JSON
from streams.gateway.documents.components import VERSION, Schema, ref, schemas
from streams.gateway.messages import Ping, Subscribe, Unsubscribe
from streams.subscription import KINDS, Kind
from streams.topics import event_topic

HEARD = (Subscribe, Unsubscribe, Ping)
SAID = {
    "subscribed": ("Begins the events of a subscription.", ("id", "token")),
    "missed": (
        "So many records between the token and what follows are no longer kept by the topic.",
        ("id", "offsets"),
    ),
    "position": ("After a silence: the token has moved on.", ("id", "token")),
    "unsubscribed": ("Ends the events of a subscription, as asked.", ("id",)),
    "ended": ("A subscription cannot be read on: resume with the last token.", ("id", "error")),
    "error": ("A message is wrong: names the field, the value and the remedy.", ("error",)),
    "pong": ("A sign of life, as asked.", ()),
}
"""Messages over a WebSocket that are no events, and what they always have."""


def build() -> dict[str, Any]:
    """Return the document."""
    channels = {
        **{f"events_{modality.value}": _events(modality) for modality in Modality},
        **{f"kafka_{kind.event}": _topic(kind) for kind in KINDS.values()},
        **{f"stream_{kind.event}": _stream(kind) for kind in KINDS.values()},
        "socket": _socket(),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "headrace",
            "version": VERSION,
            "description": "Topics of Kafka, and the gateway's streams and WebSockets over them.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON,
        "servers": {
            "kafka": {"host": "localhost:9092", "protocol": "kafka"},
            "gateway": {"host": "localhost:8080", "protocol": "http"},
            "sockets": {"host": "localhost:8080", "protocol": "ws"},
        },
        "channels": channels,
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": schemas()},
    }


def _events(modality: Modality) -> Schema:
    name = f"event_{modality.value}"
    return {
        "address": event_topic(modality),
        "description": f"Where events of {modality.value} come in.",
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {name: _message(name)},
    }


def _topic(kind: Kind) -> Schema:
    return _channel(kind, "{topic}", "kafka", f"Topics named {kind.named}.")


def _stream(kind: Kind) -> Schema:
    about = f"Server-sent events of topics named {kind.named}; the id of each is a token."
    return _channel(kind, "/v1/stream/{topic}", "gateway", about)


def _channel(kind: Kind, address: str, server: str, about: str) -> Schema:
    return {
        "address": address,
        "description": about,
        "parameters": {"topic": {"description": f"Named {kind.named}."}},
        "servers": [{"$ref": f"#/servers/{server}"}],
        "messages": {kind.event: _message(kind.event)},
    }


def _socket() -> Schema:
    names = [_heard_name(kind) for kind in HEARD]
    names += [f"said_{name}" for name in SAID]
    names += [f"told_{kind.event}" for kind in KINDS.values()]
    return {
        "address": "/v1/ws",
        "description": "Many subscriptions over one connection.",
        "servers": [{"$ref": "#/servers/sockets"}],
        "messages": {name: _message(name) for name in names},
        "bindings": {"ws": {"method": "GET"}},
    }


def _operations() -> dict[str, Schema]:
    """Return what headrace does."""
    found = {
        f"take_{modality.value}": _operation("receive", f"events_{modality.value}")
        for modality in Modality
    }
    for kind in KINDS.values():
        found[f"publish_{kind.event}"] = _operation("send", f"kafka_{kind.event}")
        found[f"stream_{kind.event}"] = _operation("send", f"stream_{kind.event}")
    found["hear"] = _operation("receive", "socket", [_heard_name(kind) for kind in HEARD])
    told = [f"said_{name}" for name in SAID] + [f"told_{kind.event}" for kind in KINDS.values()]
    found["tell"] = _operation("send", "socket", told)
    return found


def _operation(action: str, channel: str, messages: list[str] | None = None) -> Schema:
    operation: Schema = {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}
    if messages is not None:
        operation["messages"] = [
            {"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages
        ]
    return operation


def _messages() -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    for modality, kind in EVENT_TYPES.items():
        found[f"event_{modality.value}"] = {
            "name": event_type(modality),
            "title": f"An event of {modality.value}",
            "payload": ref(kind.__name__),
        }
    for one in KINDS.values():
        found[one.event] = {
            "name": one.event,
            "title": one.value.__name__,
            "payload": ref(one.value.__name__),
        }
        found[f"told_{one.event}"] = {
            "name": one.event,
            "title": f"{one.value.__name__} of a subscription",
            "payload": _said(one.event, ("id", "token"), data=ref(one.value.__name__)),
        }
    for heard in HEARD:
        name = _heard_name(heard)
        found[name] = {"name": name, "title": heard.__name__, "payload": ref(heard.__name__)}
    for name, (about, fields) in SAID.items():
        found[f"said_{name}"] = {
            "name": name,
            "title": name.capitalize(),
            "summary": about,
            "payload": _said(name, fields),
        }
    return found


def _said(name: str, fields: tuple[str, ...], **more: Schema) -> Schema:
    optional = ["id"] if name == "error" else []
    properties: dict[str, Schema] = {"event": {"type": "string", "const": name}}
    properties |= {
        field: {"type": "integer" if field == "offsets" else "string"}
        for field in [*fields, *optional]
    }
    properties |= more
    return {
        "type": "object",
        "properties": properties,
        "required": ["event", *fields, *more],
    }


def _heard_name(kind: type) -> str:
    return f"heard_{kind.__name__.lower()}"


def _message(name: str) -> Schema:
    return {"$ref": f"#/components/messages/{name}"}
