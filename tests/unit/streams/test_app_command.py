"""``headrace app`` complains in one line, before it reaches for a broker."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from streams import cli


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that fails with exit code 2; return what it said last."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["app", *arguments])
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_without_faust_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra is named."""
    found = importlib.util.find_spec

    def without_faust(name: str, *rest: Any) -> Any:
        return None if name == "faust" else found(name, *rest)

    monkeypatch.delitem(sys.modules, "faust", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", without_faust)
    assert "pip install 'headrace[apps]'" in complaint(capsys, "signals")


def test_an_unknown_app_is_told_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """By name."""
    said = complaint(capsys, "horoscopes")
    assert "horoscopes" in said
    assert "signals" in said


def test_a_setting_that_is_wrong_names_the_table(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """And the field in it."""
    path = tmp_path / "headrace.toml"
    path.write_text("[apps.alerts]\nraise_at = 1.5\n", "utf-8")
    said = complaint(capsys, "alerts", "--config", str(path))
    assert "apps.alerts.raise_at" in said
