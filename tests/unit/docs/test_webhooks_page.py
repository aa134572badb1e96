"""docs/webhooks.md names the settings that there are, and its examples work."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from streams.cli import cli
from streams.settings import load_settings
from streams.webhooks.circuit import THRESHOLD
from streams.webhooks.picking import Picker
from streams.webhooks.retrying import OF_THE_ENDPOINT
from streams.webhooks.service import BOUNDS
from streams.webhooks.settings import Format, Webhook
from streams.webhooks.signing import Signer

PAGE = (Path(__file__).parents[3] / "docs/webhooks.md").read_text()


def blocks(kind: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


COMMAND_LINES = [
    line for block in blocks("sh") for line in block.splitlines() if line.startswith("headrace ")
]


def test_every_setting_has_its_row_and_default() -> None:
    """And none that is gone."""
    rows = dict(re.findall(r"^\| `(\w+)` \| ?([^|]*) \|", PAGE, re.MULTILINE))
    fields = {field.name: field.default for field in msgspec.structs.fields(Webhook)}
    assert list(rows) == list(fields)
    for name, default in fields.items():
        shown = rows[name].strip().strip("`")
        if default is msgspec.NODEFAULT:
            assert shown in {"", "none"}
        elif isinstance(default, float | int) and not isinstance(default, bool):
            assert float(shown) == default, name
        elif default is not None:
            assert shown == str(default).lower(), name


def test_examples_of_settings_can_be_used() -> None:
    """Their filters and formats fit their topics."""
    found = [load_settings(environment={}, flags=tomllib.loads(one)) for one in blocks("toml")]
    webhooks = [webhook for settings in found for webhook in settings.webhooks]
    assert len(webhooks) == 2
    assert all(Picker(webhook) for webhook in webhooks)


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_commands_take_the_options_that_are_shown(line: str, tmp_path: Path) -> None:
    """What is shown parses as it is typed."""
    (tmp_path / "headrace.toml").write_text("")
    words = shlex.split(line.replace("headrace.toml", str(tmp_path / "headrace.toml")))[1:]
    command: click.Command = cli
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        assert found
        command, words = found, words[1:]
    assert command.make_context("headrace", words).params


def test_the_ten_lines_tell_signed_requests_from_others() -> None:
    """The code on the page checks what the command signs."""
    (code,) = blocks("python")
    known: dict[str, Any] = {}
    exec(compile(code, "docs/webhooks.md", "exec"), known)  # noqa: S102 - the page's own
    secret = "whsec_" + "c" * 40
    headers = Signer([b"s\xc7\x1c" * 10]).headers("n-1", int(known["time"].time()), b"{}")
    assert known["is_signed"](headers, b"{}", "whsec_" + "c8cc" * 10)
    assert not known["is_signed"](headers, b"{ }", "whsec_" + "c8cc" * 10)
    assert not known["is_signed"](headers, b"{}", secret)
    old = Signer([b"s\xc7\x1c" * 10]).headers("n-1", 1_600_000_000, b"{}")
    assert not known["is_signed"](old, b"{}", "whsec_" + "c8cc" * 10)


def test_figures_and_choices_are_those_in_force() -> None:
    """Statuses, the circuit's threshold, what is in hand, and the formats."""
    row = next(line for line in PAGE.splitlines() if line.startswith("| 401, "))
    assert {int(one) for one in re.findall(r"\b4\d\d\b", row)} == OF_THE_ENDPOINT
    assert THRESHOLD == 5
    assert "Five failures in a row" in PAGE
    assert f"Up to {BOUNDS.events} records" in PAGE
    assert all(f"**{one}**" in PAGE for one in Format)
