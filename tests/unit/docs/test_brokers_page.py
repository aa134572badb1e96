"""docs/brokers.md says of brokers what the code and the conformance suite do."""

import re
import shlex
from importlib.metadata import version
from pathlib import Path

import pytest

from streams.broker import PROVIDERS
from streams.broker.docker import IMAGE
from streams.broker.embedded import INSTALL, PACKAGE
from streams.broker.java import MINIMUM_JAVA
from streams.broker.kafka_cache import KAFKA_VERSION
from streams.broker.kafka_properties import Ports, node_properties
from streams.commands.broker import command
from tests.integration.broker.differences import CAPABILITIES, DIFFERENCES
from tests.integration.broker.table import known, rows

PAGE = (Path(__file__).parents[3] / "docs/brokers.md").read_text()
SUITE = Path(__file__).parents[2] / "integration/broker"
COMMAND_LINES = [line for line in PAGE.splitlines() if line.startswith("headrace broker ")]
OURS = node_properties(Ports(1, 2, 3), log_dirs="/", bind="127.0.0.1", advertise="127.0.0.1")


def test_the_table_is_what_the_suite_finds() -> None:
    """Every capability has its line, every known difference its reason."""
    table = rows({name: known(name) for name in ("maven", "embedded")})
    assert "\n".join(table) in PAGE


def test_every_capability_is_tried() -> None:
    """A name without a test would stand in the table for nothing; so would a difference."""
    source = "".join(path.read_text() for path in SUITE.glob("test_*.py"))
    assert {name for name in CAPABILITIES if f'"{name}"' not in source} == set()
    assert {name for _, name in DIFFERENCES} <= set(CAPABILITIES)
    assert {provider for provider, _ in DIFFERENCES} <= set(PROVIDERS)


def test_versions_are_those_in_use() -> None:
    """A new version wants the table measured again."""
    assert f"Apache Kafka {KAFKA_VERSION}" in PAGE
    assert f"`{IMAGE}`" in PAGE
    assert f"`{INSTALL}`" in PAGE
    assert f"Java {MINIMUM_JAVA} or newer" in PAGE
    assert f"{PACKAGE} {version(PACKAGE)}" in PAGE
    assert f"aiokafka\n{version('aiokafka')}" in PAGE
    assert f"kafka-{KAFKA_VERSION}-" in PAGE


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_commands_take_the_options_that_are_shown(line: str) -> None:
    """What is shown parses as it is typed."""
    words = shlex.split(line, comments=True)[2:]
    assert command.make_context("broker", words).params


def test_all_options_are_shown() -> None:
    """One that is missing on the page would be found by accident only."""
    assert len(COMMAND_LINES) >= 3
    assert all(option.opts[0] in PAGE for option in command.params)


def test_settings_are_ours() -> None:
    """Names and values are those that a broker is started with."""
    shown = re.findall(r"^\| `([a-z.]+)`[^|]*\| `?(\w+)`? \|", PAGE, re.MULTILINE)
    ours = [(name, value) for name, value in shown if name not in PROVIDERS]
    assert len(ours) >= 5
    for name, value in ours:
        assert OURS[name] == value
