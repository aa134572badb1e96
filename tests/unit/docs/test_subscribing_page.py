"""The pages on subscribing and sending name the arguments and defaults that there are."""

import ast
import inspect
import re
from pathlib import Path

import msgspec
import orjson
import pytest

from streams.gateway.ingest.settings import IngestSettings
from streams.gateway.settings import GatewaySettings
from streams.subscription import subscribe

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "subscribing.md").read_text()
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_every_argument_is_in_the_table() -> None:
    """And none that is gone."""
    table = PAGE[PAGE.index("| argument |") :].split("\n\n")[0]
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", table, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"\w+", row)}
    assert named == set(inspect.signature(subscribe).parameters) - {"topics"}


def test_examples_call_what_there_is() -> None:
    """Arguments of every call of ``subscribe`` bind."""
    calls = [
        node
        for block in PYTHON
        for node in ast.walk(ast.parse(block, feature_version=(3, 11)))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "subscribe"
    ]
    assert len(calls) == 2
    for call in calls:
        names = {keyword.arg for keyword in call.keywords}
        assert names <= set(inspect.signature(subscribe).parameters)


@pytest.mark.parametrize(
    ("page", "settings"), [("subscribing.md", GatewaySettings), ("sending.md", IngestSettings)]
)
def test_every_setting_is_in_its_table(page: str, settings: type[msgspec.Struct]) -> None:
    """With its default, where that is a number or a choice."""
    text = (DOCS / page).read_text()
    table = text[text.index("| setting, of") :].split("\n\n")[0]
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", table, re.MULTILINE)
    named = {
        name: default
        for names, defaults in rows
        for name, default in zip(re.findall(r"\w+", names), defaults.split(", "), strict=False)
    }
    fields = {field.name: field.default for field in msgspec.structs.fields(settings)}
    assert set(named) == set(fields)
    for name, default in fields.items():
        if isinstance(default, int | float):
            assert orjson.loads(named[name]) == default, name
