"""docs/apps.md names the settings and defaults that there are, and the contracts their fields."""

import re
from pathlib import Path

import msgspec
import pytest

from schemas import Alert, Fused, SessionState, Signal
from streams.apps.entities import JoinKey
from streams.apps.fusion import RESULTS
from streams.apps.registry import APPS
from streams.apps.settings import (
    AlertsSettings,
    AppsSettings,
    ConversationsSettings,
    FusionAppSettings,
    SessionsSettings,
    SignalsSettings,
)
from streams.settings import load_settings

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "apps.md").read_text()


def rows_of(heading: str, text: str = PAGE) -> list[list[str]]:
    """Return the cells of a table's rows, found by what its first line begins with."""
    table = text[text.index(heading) :].split("\n\n", maxsplit=1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


def defaults_of(heading: str, column: int) -> dict[str, str]:
    """Return the default that a table's column shows for each setting."""
    shown = {}
    for cells in rows_of(heading):
        names = re.findall(r"`(\w+)`", cells[0])
        values = [value.strip().strip("`") for value in cells[column].split(",")]
        shown |= dict(zip(names, values, strict=False))
    return shown


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        ({"`apps.signals`": 1}, SignalsSettings),
        ({"`apps.alerts`": 1}, AlertsSettings),
        ({"`apps.alerts`": 2, "`apps.conversations` alone": 1}, ConversationsSettings),
        ({"`apps.sessions`": 1}, SessionsSettings),
        ({"`apps.fusion`": 1}, FusionAppSettings),
    ],
)
def test_every_setting_is_in_the_table_with_its_default(
    columns: dict[str, int], kind: type[msgspec.Struct]
) -> None:
    """Lists and tables are told in words."""
    shown: dict[str, str] = {}
    names: set[str] = set()
    for table, column in columns.items():
        heading = f"| setting, of {table}"
        shown |= defaults_of(heading, column)
        names |= {name for cells in rows_of(heading) for name in re.findall(r"`(\w+)`", cells[0])}
    fields = {field.name: field.default for field in msgspec.structs.fields(kind)}
    assert names == set(fields)
    for name, default in fields.items():
        if isinstance(default, int | float):
            assert float(shown[name]) == default, name
        elif isinstance(default, str):
            assert shown[name] == default


def test_the_settings_of_all_apps_are_in_their_table() -> None:
    """All but the tables of the apps themselves."""
    shown = defaults_of("| setting, of `apps` |", 1)
    assert shown["prefix"] == AppsSettings().prefix
    assert float(shown["stall_ms"]) == AppsSettings().stall_ms
    assert float(shown["forget_s"]) == AppsSettings().forget_s
    assert shown["delivery"] == AppsSettings().delivery


def test_the_example_of_settings_is_accepted(tmp_path: Path) -> None:
    """As a file that somebody copies it to."""
    example = "\n".join(re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
    path = tmp_path / "headrace.toml"
    path.write_text(example, "utf-8")
    settings = load_settings(config=path, environment={})
    assert settings.apps.signals.inputs == ("results.news", "results.filings")
    assert settings.apps.alerts.raise_at == 0.1
    assert APPS["fusion"](settings.apps).inputs == tuple(RESULTS.values())


def test_topics_in_the_table_are_those_of_the_apps() -> None:
    """What an app reads and writes unless it is told otherwise."""
    settings = AppsSettings(fusion=FusionAppSettings(key=JoinKey.TICKER))
    rows = rows_of("| app | reads")
    assert {name.strip("`") for name, *_ in rows} == set(APPS)
    for name, reads, writes, *_ in rows:
        app = APPS[name.strip("`")](settings)
        shown = tuple(re.findall(r"[a-z.]+", reads))
        assert (app.inputs, app.output) == (shown, writes.strip("`"))


@pytest.mark.parametrize(
    ("kind", "before"),
    [
        (Signal, "A signal is"),
        (Alert, "An alert is"),
        (SessionState, "## Session states"),
        (Fused, "## Fused events"),
    ],
)
def test_the_contracts_have_every_field(kind: type[msgspec.Struct], before: str) -> None:
    """And none that is gone."""
    page = (DOCS / "contracts.md").read_text()
    rows = rows_of("| field | meaning |", page[page.index(before) :])
    named = [name for cells in rows for name in re.findall(r"`(\w+)`", cells[0])]
    assert named == [field.name for field in msgspec.structs.fields(kind)]
