"""Write the JSON Schemas of the contracts: ``python -m schemas.generate [--check]``.

They come from the types, the docstrings under their fields and the limits, so that what is printed
is what the decoder does. ``--check`` writes nothing and fails when a file is not up to date.
"""

import argparse
import ast
import inspect
import itertools
import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from schemas.contract import RULES
from schemas.derived import Alert, Signal
from schemas.events import EVENT_TYPES
from schemas.fused import Fused
from schemas.limits import DEFAULT_LIMITS, Limits
from schemas.results import Classification, DeadLetter
from schemas.session_state import SessionState

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = Path(__file__).with_name("json")

_RESULT_NOTE = "The value of a record on a result topic."
_SIGNAL_NOTE = "The value of a record on signals.news."
_ALERT_NOTE = "The value of a record on alerts.camera or alerts.transcripts."
_SESSION_NOTE = "The value of a record on sessions.transcripts."
_FUSED_NOTE = "The value of a record on fused.events."
_LETTER_NOTE = (
    "In Kafka each field is a header, headrace_<field>; those of source are headrace_source_topic, "
    "_partition and _offset. The value is the original's."
)
_INPUT_NOTE = (
    "Fields that are not listed are ignored. "
    "Times lie at most 24 hours ahead of the reader's clock."
)


def documents(limits: Limits = DEFAULT_LIMITS) -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every contract by its name."""
    made: dict[str, dict[str, Any]] = {}
    for modality, event_type in EVENT_TYPES.items():
        name = f"{modality.value}_event"
        made[name] = schema = _schema(name, event_type, _INPUT_NOTE)
        for field, rule in RULES[modality].items():
            _constrain(schema["properties"][field], rule.schema(limits))
            if field not in schema["required"]:
                schema["properties"][field] = _or_null(schema["properties"][field])
    made["classification"] = _schema("classification", Classification, _RESULT_NOTE)
    made["signal"] = _schema("signal", Signal, _SIGNAL_NOTE)
    made["alert"] = _schema("alert", Alert, _ALERT_NOTE)
    made["session_state"] = _schema("session_state", SessionState, _SESSION_NOTE)
    made["fused"] = _schema("fused", Fused, _FUSED_NOTE)
    made["dead_letter"] = _schema("dead_letter", DeadLetter, _LETTER_NOTE)
    return made


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Write the files, or check them; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m schemas.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when a file is not up to date")
    check: bool = parser.parse_args(arguments).check
    wanted = {f"{name}.json": _printed(schema) for name, schema in documents().items()}
    found = {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.json"))}
    stale = [name for name in sorted(wanted | found) if wanted.get(name) != found.get(name)]
    if check:
        for name in stale:
            sys.stderr.write(f"{folder / name} is not up to date; run python -m schemas.generate\n")
        return 1 if stale else 0
    folder.mkdir(exist_ok=True)
    for name in stale:
        if name in wanted:
            (folder / name).write_text(wanted[name], "utf-8")
        else:
            (folder / name).unlink()
        sys.stdout.write(f"{folder / name}\n")
    return 0


def _printed(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=True) + "\n"


def _schema(name: str, kind: type, note: str) -> dict[str, Any]:
    (_,), components = msgspec.json.schema_components([kind])
    described = {each.__name__: each for each in _structs(kind)}
    for title, component in components.items():
        component.pop("title", None)
        # msgspec 0.23 takes the indentation out of docstrings, earlier ones leave it in.
        if "description" in component:
            component["description"] = _plain(component["description"])
        if title in described:
            _describe(component, described[title])
    top = components.pop(kind.__name__)
    summary = _plain(inspect.getdoc(kind) or "")
    schema: dict[str, Any] = {
        "$schema": DIALECT,
        "$id": f"urn:headrace:{name}:v1",
        "title": kind.__name__,
        **top,
        "description": f"{summary} {note}",
    }
    if components:
        schema["$defs"] = {title: components[title] for title in sorted(components)}
    return schema


def _structs(kind: Any) -> list[type]:
    """List a struct and those inside it."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return [struct for inner in get_args(kind) for struct in _structs(inner)]
    inner = [struct for hint in get_type_hints(kind).values() for struct in _structs(hint)]
    return [kind, *inner]


def _describe(component: dict[str, Any], kind: type) -> None:
    hints = get_type_hints(kind)
    for field, text in field_docs(kind).items():
        schema = component["properties"][field]
        if "datetime" in str(hints[field]):
            _constrain(schema, {"format": "date-time"})
        schema["description"] = text


def field_docs(kind: type) -> dict[str, str]:
    """Read the docstrings under a class's fields."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    statements = definition.body if isinstance(definition, ast.ClassDef) else []
    docs: dict[str, str] = {}
    for field, below in itertools.pairwise(statements):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            docs[field.target.id] = _plain(inspect.cleandoc(str(below.value.value)))
    return docs


def _plain(text: str) -> str:
    return " ".join(text.replace("``", "").split())


def _constrain(schema: dict[str, Any], keywords: Mapping[str, Any]) -> None:
    """Add keywords to a field's schema; where it may be null, to the branch that is not."""
    for branch in schema.get("anyOf", [schema]):
        if branch.get("type") != "null":
            branch.update(keywords)


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Let null say the same as leaving the field out, as the decoder does."""
    if "anyOf" in schema:
        return schema
    outside: dict[str, Any] = {
        name: schema[name] for name in ("default", "description") if name in schema
    }
    branch = {name: value for name, value in schema.items() if name not in outside}
    return {"anyOf": [branch, {"type": "null"}], **outside}


if __name__ == "__main__":
    raise SystemExit(main())
