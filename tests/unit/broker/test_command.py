"""``headrace broker``: what it asks for, before anything is started."""

from typing import Any

import pytest
from click.testing import CliRunner

from schemas.errors import BrokerError
from streams.commands import broker


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the command will have asked for; no broker comes up."""
    seen: dict[str, Any] = {}

    def open_broker(provider: str, **options: Any) -> None:
        seen.update(options, provider=provider)
        raise BrokerError("not today")

    monkeypatch.setattr(broker, "open_broker", open_broker)
    return seen


def run(*arguments: str) -> int:
    """Run the command to its end; return its exit code."""
    result = CliRunner().invoke(broker.command, arguments)
    assert result.exception is None or isinstance(result.exception, BrokerError | SystemExit)
    return result.exit_code


def test_settings_are_split_at_their_first_equals_sign(asked: dict[str, Any]) -> None:
    """Values may hold more of them, or be empty; a setting that is repeated has its last value."""
    settings = ("a.b=1", "c=x=y", "d=", "a.b=2")
    run("--provider", "maven", *(word for one in settings for word in ("--property", one)))
    assert asked["properties"] == {"a.b": "2", "c": "x=y", "d": ""}


@pytest.mark.parametrize("given", ["retention", "=1", ""])
def test_a_setting_without_name_or_value_is_a_mistake(asked: dict[str, Any], given: str) -> None:
    """Nothing is started."""
    assert run("--provider", "maven", "--property", given) == 2
    assert asked == {}


def test_auto_is_resolved_without_asking_for_a_given_address(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    """Whoever runs this wants a broker of his own, whatever his environment says."""
    monkeypatch.setenv("HEADRACE_BOOTSTRAP_SERVERS", "kafka.example:9092")
    monkeypatch.setattr(broker, "choose", lambda: "embedded")
    run("--port", "19092")
    assert asked == {"provider": "embedded", "port": 19092, "data_dir": None, "properties": {}}
