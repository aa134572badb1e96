"""The command line is a contract: help, options, exit codes, one clear line for each mistake."""

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from streams.broker import available, open_broker
from streams.cli import COMMANDS, cli
from tests.integration.command import headrace

NOWHERE = "127.0.0.1:1"
PATHS = [*((name,) for name in COMMANDS), ("topics", "create"), ("topics", "list")]
PATHS += [("dlq", name) for name in ("list", "show", "redrive")]
PATHS += [("entities", name) for name in ("check", "link")]


@pytest.fixture
async def fresh() -> AsyncIterator[str]:
    """Yield the address of an embedded broker of the test's own, with no topics yet."""
    if reason := available("embedded"):
        pytest.skip(reason)
    async with open_broker("embedded") as broker:
        yield broker.bootstrap_servers


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_command_shows_an_example(path: tuple[str, ...]) -> None:
    """Help goes to stdout, exits with 0, and shows how the command is typed."""
    done = CliRunner().invoke(cli, [*path, "--help"], prog_name="headrace")
    assert done.exit_code == 0
    assert done.stderr == ""
    usage, _, examples = done.stdout.partition("Example")
    assert usage.startswith(f"Usage: headrace {' '.join(path)} ")
    assert f"  headrace {path[0]}" in examples


async def test_the_command_alone_lists_its_commands() -> None:
    """Each with a line on what it does."""
    done = await headrace("-h")
    assert done.status == 0
    listed = [line.split() for line in done.stdout.partition("Commands:")[2].splitlines() if line]
    assert [words[0] for words in listed] == list(COMMANDS)
    assert all(len(words) > 1 for words in listed)


async def test_the_version_is_an_option_too() -> None:
    """As people expect."""
    done = await headrace("--version")
    assert done.status == 0
    assert done.stdout.startswith("headrace, version ")


async def test_version_names_what_headrace_stands_on() -> None:
    """One line each: name and version."""
    done = await headrace("version")
    assert done.status == 0
    named = dict(line.split() for line in done.stdout.splitlines())
    assert set(named) == {"headrace", "torch", "transformers", "aiokafka"}
    assert all(version[0].isdigit() for version in named.values())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("nonsense",), "nonsense"),
        (("replay", "LOG"), "--to"),
        (("replay", "LOG", "--to", "events.news", "--nonsense"), "--nonsense"),
        (("replay", "LOG", "--to", "events.news", "--speed", "fast"), "--speed"),
        (("replay", "LOG", "--to", "events.news", "--speed", "0"), "--speed"),
        (("replay", "LOG", "--to", "events.news", "--rate", "0"), "--rate"),
        (("replay", "LOG", "--to", "events.news", "--map", "text"), "THEIRS=OURS"),
        (("replay", "LOG", "--to", "events.news", "--map", "text=colour"), "colour"),
        (("replay", "LOG", "--to", "orders"), "--modality"),
        (("replay", "LOG", "--to", "results.news"), "--modality"),
        (("replay", "no-such-log", "--to", "events.news"), "no-such-log"),
        (("tail", "results.news", "--where", "label"), "label=negative"),
        (("tail", "results.news", "--limit", "0"), "--limit"),
        (("run", "--workers", "0"), "workers"),
        (("run", "--budget-ms", "-5"), "budgets.news"),
        (("run", "--on-overload", "panic"), "degrade"),
        (("run", "--config", "no-such.toml"), "no-such.toml"),
        (("plan",), "give a log, or a rate"),
        (("plan", "LOG", "--rate", "5"), "not both"),
        (("plan", "--rate", "5,none"), "'none'"),
        (("plan", "LOG", "--most-missed", "200%"), "--most-missed"),
        (("plan", "LOG"), "say no time"),
        (("topics", "create", "--partitions", "0"), "--partitions"),
        (("topics", "create", "--modality", "smell"), "camera"),
        (("demo", "--workers", "2", "--provider", "embedded"), "--workers"),
        (("demo", "--log", "no-such-log"), "no-such-log"),
        (("demo", "--seconds", "0"), "--seconds"),
        (("broker", "--provider", "cloud"), "embedded"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_a_wrong_option_is_told_in_one_line(
    arguments: tuple[str, ...], named: str, tmp_path: Path
) -> None:
    """Exit code 2, nothing on stdout, and the line names what was wrong or may stand there."""
    log = tmp_path / "log.jsonl"
    log.write_text('{"headline": "Mill reopens"}\n', "utf-8")
    done = await headrace(*(str(log) if each == "LOG" else each for each in arguments))
    assert done.status == 2
    assert done.stdout == ""
    assert named in done.complaint


async def test_a_wrong_variable_is_told_like_a_wrong_option() -> None:
    """It names the setting, and that it came from the environment."""
    done = await headrace("run", HEADRACE_DRAIN_MS="soon")
    assert done.status == 2
    assert "environment" in done.complaint
    assert "drain_ms" in done.complaint


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "-", "--to", "events.news"),
        ("tail", "results.news"),
        ("topics", "list"),
        ("topics", "create"),
    ],
    ids=" ".join,
)
async def test_without_a_broker_the_remedy_is_named(arguments: tuple[str, ...]) -> None:
    """Exit code 2, and the address that was tried."""
    done = await headrace(*arguments, "--bootstrap-servers", NOWHERE)
    assert done.status == 2
    assert NOWHERE in done.complaint
    assert "headrace broker" in done.complaint


async def test_topics_are_created_once_and_listed(fresh: str) -> None:
    """Those that exist stay as they are, with the partitions that they have."""
    names = ["events.camera", "results.camera", "events.camera.dlq"]
    options = ("--bootstrap-servers", fresh, "--modality", "camera")
    assert (await headrace("topics", "list", *options)).stdout == ""
    done = await headrace("topics", "create", *options, "--partitions", "3")
    assert done.status == 0
    assert done.stdout.splitlines() == [f"{name}: created with 3 partitions" for name in names]
    done = await headrace("topics", "create", *options, "--partitions", "5")
    assert done.status == 0
    assert done.stdout.splitlines() == [f"{name}: exists already" for name in names]
    done = await headrace("topics", "list", "--json", HEADRACE_BOOTSTRAP_SERVERS=fresh)
    listed = orjson.loads(done.stdout)
    assert [topic["topic"] for topic in listed] == names
    assert [topic["kind"] for topic in listed] == ["events", "results", "dead letters"]
    assert {(topic["partitions"], topic["messages"]) for topic in listed} == {(3, 0)}


async def test_messages_are_counted_for_people(fresh: str) -> None:
    """A replay creates the topic that it writes to, and the list shows what it holds."""
    lines = b"".join(b'{"headline": "Mill number %d reopens"}\n' % number for number in range(7))
    options = ("--bootstrap-servers", fresh)
    sent = await headrace("replay", "-", "--to", "events.news", *options, given=lines)
    assert sent.status == 0
    assert "created the topic events.news" in sent.stderr
    done = await headrace("topics", "list", *options)
    assert done.status == 0
    assert done.stdout.splitlines()[1].split() == ["events.news", "events", "8", "7"]


async def test_a_topic_that_is_not_there_cannot_be_followed(fresh: str) -> None:
    """The line names the topic and how to see those that exist."""
    done = await headrace("tail", "results.mews", "--bootstrap-servers", fresh)
    assert done.status == 2
    assert "results.mews" in done.complaint
    assert "headrace topics list" in done.complaint
