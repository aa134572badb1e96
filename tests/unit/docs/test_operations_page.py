"""docs/operations.md names settings, flags, endpoints and metrics that exist."""

import re
import shlex
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from inference.settings import SchedulerSettings
from schemas.errors import ConfigurationError
from streams.cli import COMMANDS, cli
from streams.settings import Settings, Topic, load_settings
from tests.unit.deploy.test_observability import registry

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/operations.md").read_text()
PAGES = sorted((ROOT / "docs").glob("*.md"))
SHELL = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
COMMAND_LINES = [
    line for block in SHELL for line in block.splitlines() if line.startswith("headrace ")
]


def default_of(path: str) -> Any:
    """Return a setting's default; raises where there is none of the name."""
    found: Any = Settings()
    for name in path.split("."):
        found = getattr(found, name)
    return found


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """Walk down the groups; return the command and what is left of the words."""
    command: click.Command = cli
    while isinstance(command, click.Group):
        context = click.Context(command)
        found = command.get_command(context, words[0])
        assert found, words
        command, words = found, words[1:]
    return command, words


def test_command_lines_were_found() -> None:
    """The page shows how to start and how to look."""
    assert {line.split()[1] for line in COMMAND_LINES} >= {"run", "tail", "replay"}
    assert {line.split()[1] for line in COMMAND_LINES} <= set(COMMANDS)


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_commands_take_the_options_that_are_shown(line: str) -> None:
    """What is shown parses as it is typed."""
    command, words = command_of(shlex.split(line)[1:])
    context = command.make_context("headrace", words, resilient_parsing=False)
    assert context.params


def test_every_variable_named_is_a_setting() -> None:
    """A misspelt variable would end the start of whoever copies it."""
    named = set(re.findall(r"HEADRACE_[A-Z_]*[A-Z]", PAGE))
    assert named
    for variable in named:
        path = variable.removeprefix("HEADRACE_").lower().replace("__", ".")
        default_of(path)
    with pytest.raises(ConfigurationError):
        load_settings(environment={"HEADRACE_NO_SUCH_SETTING": "1"})


def test_the_tuning_table_has_the_defaults_in_force() -> None:
    """Names and figures are those of the settings."""
    rows = re.findall(r"^\| `([a-z_.]+)`[^|]*\| `?([\w.]+)`?(?: ms)? \| .* \|$", PAGE, re.MULTILINE)
    shown = {name: value for name, value in rows if hasattr(Settings(), name.split(".")[0])}
    assert len(shown) >= 8
    for name, value in shown.items():
        default = default_of(name)
        assert value in {str(default), str(default).lower()} or float(value) == default, name


def test_settings_in_running_text_exist() -> None:
    """A setting that was renamed is renamed on the page too."""
    fields = {field.name for kind in (Settings, Topic) for field in msgspec.structs.fields(kind)}
    for name in re.findall(r"`scheduler\.(\w+)`", PAGE):
        assert name in SchedulerSettings.__dataclass_fields__
    for name in re.findall(r"`(\w+_ms)`", PAGE):
        assert name in fields or name == "ce_budgetms"


def test_metrics_in_running_text_exist() -> None:
    """Every page speaks of series that are exposed."""
    known = {series for each in registry().values() for series in (*each.series,)}
    known |= set(registry())
    for page in PAGES:
        named = set(
            re.findall(
                r"`(headrace_\w+_(?:total|seconds|partitions|events|tokens))`", page.read_text()
            )
        )
        assert named <= known, page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Linked files exist, and so do the headings that links point at."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings}
            assert anchor in slugs, target
