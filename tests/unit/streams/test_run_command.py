"""``headrace run``: from flags to settings."""

from typing import Any

import pytest

from schemas.events import Modality
from streams.commands import run as run_command
from streams.settings import Settings


def settings_of(monkeypatch: pytest.MonkeyPatch, *flags: str) -> Settings:
    """Return what a worker would be started with."""
    started: list[Settings] = []

    async def start(settings: Settings) -> int:
        started.append(settings)
        return 0

    def set_up(*_: Any) -> None:
        """Leave the test's logs as they are."""

    monkeypatch.setattr(run_command, "_alone", start)
    monkeypatch.setattr(run_command, "configure", set_up)
    with pytest.raises(SystemExit) as ended:
        run_command.command.main(list(flags), standalone_mode=False)
    assert ended.value.code == 0
    return started[0]


def test_a_budget_is_that_of_every_modality(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other settings stay as they were."""
    settings = settings_of(monkeypatch, "--budget-ms", "60")
    assert {settings.budgets.of(each) for each in Modality} == {60.0}
    assert settings.models == Settings().models


def test_flags_come_before_the_defaults_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not given is as without the command line."""
    settings = settings_of(monkeypatch, "--modality", "news", "--model", "news=./mine")
    assert settings.modalities == (Modality.NEWS,)
    assert settings.models.news == "./mine"
    assert settings.budgets == Settings().budgets
