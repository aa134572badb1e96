"""Schemas that both documents refer to."""

import copy
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import msgspec
import orjson

from schemas.events import EVENT_TYPES, Modality
from schemas.generate import documents, field_docs
from streams.gateway.messages import Ping, Subscribe, Unsubscribe

VERSION = version("headrace")
EXTENSIONS: Mapping[str, tuple[Any, str]] = {
    "budgetms": ("number", "Milliseconds from the event's entry to its result."),
    "priority": (["string", "integer"], "0 to 9, 9 the most urgent; or low, normal, high."),
    "onoverload": ("string", "What to do if it cannot be on time: degrade, shed or late."),
    "partitionkey": ("string", "Key of the record: events of one key stay in order."),
    "traceparent": ("string", "W3C trace context, which is passed on."),
}
"""Attributes of CloudEvents that mean something here, beside those of the standard."""

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """Refer to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas() -> dict[str, Schema]:
    """Return all schemas by name."""
    found: dict[str, Schema] = {}
    for document in documents().values():
        found |= _flat(document)
    found |= _messages()
    found["CloudEvent"] = _cloud_event()
    found["Error"] = _error()
    found["EventErrors"] = _event_errors()
    found["Acknowledged"] = _acknowledged()
    found["AcknowledgedEvents"] = {
        "type": "object",
        "description": "Where each event is, in the order of the request.",
        "properties": {"events": {"type": "array", "items": ref("Acknowledged")}},
        "required": ["events"],
    }
    # As JSON has it: tuples are lists.
    plain: dict[str, Schema] = orjson.loads(orjson.dumps(dict(sorted(found.items()))))
    return plain


def event_schemas() -> dict[Modality, Schema]:
    """Refer to the schema of each modality's events."""
    return {modality: ref(kind.__name__) for modality, kind in EVENT_TYPES.items()}


def _flat(document: Schema) -> dict[str, Schema]:
    """Take a schema apart into those inside it and itself, by name."""
    own = copy.deepcopy(document)
    inner = own.pop("$defs", {})
    name = own.pop("title")
    for key in ("$schema", "$id"):
        own.pop(key)
    found = {name: own, **inner}
    _redirect(found)
    return found


def _redirect(schema: Any) -> None:
    if isinstance(schema, dict):
        if isinstance(target := schema.get("$ref"), str):
            schema["$ref"] = target.replace("#/$defs/", "#/components/schemas/")
        for inner in schema.values():
            _redirect(inner)
    elif isinstance(schema, list):
        for inner in schema:
            _redirect(inner)


def _messages() -> dict[str, Schema]:
    kinds = (Subscribe, Unsubscribe, Ping)
    _, found = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    for kind in kinds:
        component = found[kind.__name__]
        component.pop("title", None)
        for field, text in field_docs(kind).items():
            component["properties"][field]["description"] = text
    return found


def _cloud_event() -> Schema:
    extensions = {
        name: {"type": kind, "description": about} for name, (kind, about) in EXTENSIONS.items()
    }
    return {
        "type": "object",
        "description": "A CloudEvent in structured mode; `data` is the event, or `data_base64` a "
        "camera's image.",
        "properties": {
            "specversion": {"type": "string", "const": "1.0"},
            "id": {"type": "string"},
            "source": {"type": "string"},
            "type": {
                "type": "string",
                "description": ", ".join(f"headrace.{one.value}.v1" for one in Modality)
                + ", or one of the sender's own.",
            },
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"type": "string"},
            "data": {"anyOf": list(event_schemas().values())},
            "data_base64": {"type": "string", "contentEncoding": "base64"},
            **extensions,
        },
        "required": ["specversion"],
    }


def _error() -> Schema:
    return _object(
        "What is wrong.",
        {
            "error": ("string", "Names the field, the value and the remedy."),
            "field": (["string", "null"], "Of an event that is not accepted: which field."),
        },
        required=["error"],
    )


def _event_errors() -> Schema:
    each = _object(
        "One that is not accepted.",
        {
            "index": ("integer", "Its place in the request, from 0."),
            "field": (["string", "null"], "What of it."),
            "error": ("string", "Names the field, the value and the remedy."),
        },
        required=["index", "error"],
    )
    return {
        "type": "object",
        "description": "Which events of a request are not accepted; none was sent.",
        "properties": {"error": {"type": "string"}, "errors": {"type": "array", "items": each}},
        "required": ["error"],
    }


def _acknowledged() -> Schema:
    return _object(
        "Where the brokers have an event, or why they may not have it.",
        {
            "id": ("string", "Of the event."),
            "topic": ("string", "It is in."),
            "partition": ("integer", "Of the topic."),
            "offset": ("integer", "In the partition."),
            "error": ("string", "In place of the other three: send it again."),
        },
        required=["id"],
    )


def _object(
    about: str, properties: Mapping[str, tuple[Any, str]], *, required: list[str]
) -> Schema:
    return {
        "type": "object",
        "description": about,
        "properties": {
            name: {"type": kind, "description": text} for name, (kind, text) in properties.items()
        },
        "required": required,
    }
