"""Failures in the middle of a command are told in one line."""

from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from streams import cli
from streams.commands import demo as demo_command
from streams.commands import tail as tail_command
from streams.demo import run as demo_run


def _fail(*_: Any, **__: Any) -> Any:
    raise KafkaConnectionError("the broker is gone")


@pytest.fixture(autouse=True)
def _loud(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the logs of the client as they are for the tests that come after."""
    for command in (demo_command, tail_command):
        monkeypatch.setattr(command, "silence_client_logs", lambda: None)


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that fails with exit code 2; return what it said last."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_a_broker_that_goes_while_a_topic_is_followed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names the topic and what the client said."""
    monkeypatch.setattr(tail_command, "_until_stopped", _fail)
    said = complaint(capsys, "tail", "results.news")
    assert said.startswith("headrace: TOPIC: 'results.news'")
    assert "the broker is gone" in said


def test_a_broker_that_goes_during_a_demo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The demo has no account to give then."""
    monkeypatch.setattr(demo_run, "open_broker", _fail)
    said = complaint(capsys, "demo", "--json")
    assert said.startswith("headrace: the broker failed in the middle of the demo")
