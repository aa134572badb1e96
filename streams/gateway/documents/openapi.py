"""The gateway's requests, as OpenAPI 3.1."""

from typing import Any

from schemas.cloudevents import STRUCTURED
from schemas.payload import IMAGES, JSON
from streams.gateway.asking import LAST_EVENT_ID
from streams.gateway.documents.components import (
    EXTENSIONS,
    VERSION,
    Schema,
    event_schemas,
    ref,
    schemas,
)
from streams.gateway.guard import COOKIE
from streams.gateway.ingest.reading import BATCHED, NDJSON
from streams.subscription import KINDS

EVENT_STREAM = "text/event-stream"
START = "Where to begin: end, beginning, a time such as 2026-03-02T08:00:00Z, or a token."
_REASONS = {
    400: "Something in the request is wrong.",
    401: "No token, or none that is known.",
    403: "The token may not do this, or a page of another origin asks.",
    404: "The topic is none that is served.",
    408: "The request did not arrive in time.",
    413: "Too large.",
    415: "The content type is none that is accepted.",
    426: "Only a WebSocket can be opened here.",
    429: "Too much at once; come again after Retry-After.",
    503: "The brokers are away, or did not acknowledge in time; come again after Retry-After.",
}
_OFTEN = (401, 403)


def build() -> dict[str, Any]:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "headrace gateway",
            "version": VERSION,
            "description": "Results, signals and alerts over HTTP; events in over HTTP. "
            "docs/subscribing.md and docs/sending.md have the whole story.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://localhost:8080"}],
        "security": [{"token": []}, {"session": []}],
        "tags": [
            {"name": "subscribing", "description": "What comes out."},
            {"name": "sending", "description": "Events in."},
            {"name": "access", "description": "Sessions of browsers."},
            {"name": "operation", "description": "Of the gateway itself."},
        ],
        "paths": {
            "/v1/stream/{topic}": {"get": _stream()},
            "/v1/ws": {"get": _socket()},
            "/v1/live": {"get": _live()},
            "/v1/live/result": {"get": _result()},
            "/v1/events/{topic}": {"post": _send_one()},
            "/v1/events/{topic}:batch": {"post": _send_many()},
            "/v1/session": _session(),
            "/v1/openapi.json": {"get": _document("getOpenApi", "This document.")},
            "/v1/asyncapi.json": {
                "get": _document("getAsyncApi", "Messages and topics, as AsyncAPI.")
            },
            "/metrics": {"get": _text("getMetrics", "Metrics, for Prometheus.")},
            "/healthz": {"get": _probe("getHealth", "Whether the process is well.")},
            "/readyz": {"get": _probe("getReadiness", "Whether it serves.")},
        },
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
    }


def _stream() -> Schema:
    told = "; ".join(
        f"`event: {kind.event}` of topics named {kind.named}: a {kind.value.__name__}"
        for kind in KINDS.values()
    )
    return {
        "operationId": "followTopic",
        "tags": ["subscribing"],
        "summary": "Follow a topic.",
        "description": f"Server-sent events. {told}. The id of each is a token to resume with.",
        "parameters": [_topic("What to follow."), *_filters(), _start(), _last_event_id()],
        "responses": {
            "200": {
                "description": "The stream, for as long as it is wanted.",
                "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
            },
            **_refusals(400, 404, 429, 503),
        },
    }


def _filters() -> list[Schema]:
    """Return every kind's parameters; one of the same name means the like everywhere."""
    about: dict[str, list[str]] = {}
    found: dict[str, Schema] = {}
    for kind in KINDS.values():
        for name, one in kind.wanted.FILTERS.items():
            about.setdefault(name, []).append(f"Of {kind.named}: {one.about}")
            known = found.setdefault(name, one.schema())
            if known != one.schema():
                found[name] = {"type": "array", "items": {"type": "string"}}
    return [
        {
            "name": name,
            "in": "query",
            "description": " ".join(about[name]),
            "schema": schema,
        }
        for name, schema in found.items()
    ]


def _start() -> Schema:
    return {
        "name": "start",
        "in": "query",
        "description": START,
        "schema": {"type": "string", "default": "end"},
    }


def _last_event_id() -> Schema:
    return {
        "name": LAST_EVENT_ID,
        "in": "header",
        "description": "The id of the last event that the client has; it comes before `start`.",
        "schema": {"type": "string"},
    }


def _topic(about: str) -> Schema:
    return {
        "name": "topic",
        "in": "path",
        "required": True,
        "description": about,
        "schema": {"type": "string", "pattern": "^[a-zA-Z0-9._-]{1,249}$"},
    }


def _socket() -> Schema:
    return {
        "operationId": "openSocket",
        "tags": ["subscribing"],
        "summary": "Open a WebSocket for many subscriptions.",
        "description": "Its messages are in the AsyncAPI document.",
        "responses": {
            "101": {"description": "The WebSocket is open."},
            **_refusals(426, 429),
        },
    }


def _live() -> Schema:
    return {
        "operationId": "watchPage",
        "tags": ["operation"],
        "summary": "What the live page draws; its form changes with the page.",
        "responses": {
            "200": {
                "description": "Server-sent events, for as long as the page is open.",
                "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
            },
            **_refusals(400, 429),
        },
    }


def _result() -> Schema:
    number = {"type": "integer", "minimum": 0}
    about = {
        "topic": ("Of results.", {"type": "string"}),
        "partition": ("Of the topic.", number),
        "offset": ("Of the record.", number),
    }
    return {
        "operationId": "getResult",
        "tags": ["operation"],
        "summary": "One result, with its record: where it is, its key and its trace.",
        "parameters": [
            {"name": name, "in": "query", "required": True, "description": text, "schema": kind}
            for name, (text, kind) in about.items()
        ],
        "responses": {
            "200": _json(
                "The result.",
                {
                    "type": "object",
                    "properties": {
                        **{name: kind for name, (_, kind) in about.items()},
                        "at_ms": {"type": ["integer", "null"]},
                        "key": {"type": ["string", "null"]},
                        "traceparent": {"type": ["string", "null"]},
                        "result": ref("Classification"),
                    },
                    "required": [*about, "result"],
                },
            ),
            **_refusals(400, 404, 429, 503),
        },
    }


def _send_one() -> Schema:
    events: dict[str, Any] = {
        JSON: {"schema": {"anyOf": list(event_schemas().values())}},
        STRUCTURED: {"schema": ref("CloudEvent")},
        BATCHED: {"schema": {"type": "array", "items": ref("CloudEvent")}},
        **{media: {} for media in IMAGES},
    }
    attributes = [
        {
            "name": f"ce-{name}",
            "in": "header",
            "description": about,
            "schema": {"type": kind},
        }
        for name, (kind, about) in {
            "id": ("string", "Of the event, in binary mode."),
            "source": ("string", "Who sends it."),
            **{name: found for name, found in EXTENSIONS.items() if name != "traceparent"},
            "cameraid": ("string", "Of which camera an image is."),
        }.items()
    ]
    trace = {
        "name": "traceparent",
        "in": "header",
        "description": EXTENSIONS["traceparent"][1],
        "schema": {"type": "string"},
    }
    return {
        "operationId": "sendEvent",
        "tags": ["sending"],
        "summary": "Send one event.",
        "description": "Answered once the brokers have it. Plain JSON, or a CloudEvent in "
        "structured or binary mode; images as they are.",
        "security": [{"token": []}],
        "parameters": [_topic("Where it goes."), _key(), trace, *attributes],
        "requestBody": {"required": True, "content": events},
        "responses": {
            "202": _json("The brokers have it.", ref("Acknowledged")),
            **_refusals(400, 404, 408, 413, 415, 429, 503),
        },
    }


def _send_many() -> Schema:
    item = {"anyOf": [*event_schemas().values(), ref("CloudEvent")]}
    return {
        "operationId": "sendEvents",
        "tags": ["sending"],
        "summary": "Send many events, which are accepted together or not at all.",
        "security": [{"token": []}],
        "parameters": [_topic("Where they go."), _key()],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"type": "array", "items": item, "minItems": 1}},
                BATCHED: {"schema": {"type": "array", "items": ref("CloudEvent"), "minItems": 1}},
                NDJSON: {"schema": {"type": "string"}},
            },
        },
        "responses": {
            "202": _json("The brokers have them.", ref("AcknowledgedEvents")),
            **_refusals(404, 408, 415, 429),
            "400": _json(_REASONS[400], {"anyOf": [ref("EventErrors"), ref("Error")]}),
            "413": _json(_REASONS[413], {"anyOf": [ref("AcknowledgedEvents"), ref("Error")]}),
            "503": _json(_REASONS[503], {"anyOf": [ref("AcknowledgedEvents"), ref("Error")]}),
        },
    }


def _key() -> Schema:
    return {
        "name": "key",
        "in": "query",
        "description": "Of the record, or of all; events of one key stay in order.",
        "schema": {"type": "string", "maxLength": 1024},
    }


def _session() -> Schema:
    empty = {"description": "Done; nothing more to say."}
    return {
        "get": {
            "operationId": "getSession",
            "tags": ["access"],
            "summary": "Say whether who asks is let in.",
            "security": [{}],
            "responses": {"204": empty, **_refusals(but=(403,))},
        },
        "post": {
            "operationId": "beginSession",
            "tags": ["access"],
            "summary": "Give a token for a cookie.",
            "security": [{"token": []}],
            "responses": {"204": empty, **_refusals()},
        },
        "delete": {
            "operationId": "endSession",
            "tags": ["access"],
            "summary": "Give the cookie back.",
            "security": [{}],
            "responses": {"204": empty, **_refusals(but=(401,))},
        },
    }


def _document(name: str, about: str) -> Schema:
    return {
        "operationId": name,
        "tags": ["operation"],
        "summary": about,
        "responses": {"200": _json(about, {"type": "object"}), **_refusals()},
    }


def _text(name: str, about: str) -> Schema:
    plain = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "operationId": name,
        "tags": ["operation"],
        "summary": about,
        "responses": {"200": {"description": about, "content": plain}, **_refusals()},
    }


def _probe(name: str, about: str) -> Schema:
    return {
        "operationId": name,
        "tags": ["operation"],
        "summary": about,
        "security": [{}],
        "responses": {
            "200": _json("Yes.", {"type": "object"}),
            "503": _json("No, and why.", {"type": "object"}),
        },
    }


def _refusals(*statuses: int, but: tuple[int, ...] = ()) -> dict[str, Schema]:
    found = sorted({*_OFTEN, *statuses} - {*but})
    return {str(status): _json(_REASONS[status], ref("Error")) for status in found}


def _json(about: str, schema: Schema) -> Schema:
    return {"description": about, "content": {JSON: {"schema": schema}}}
