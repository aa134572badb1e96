"""File, environment and flags become one set of checked settings."""

from pathlib import Path
from typing import Any

import pytest

from inference.work import OverloadPolicy
from schemas.errors import ConfigurationError
from schemas.events import Modality
from streams.settings import Settings, as_flags, load_settings


def test_defaults_serve_news_within_150_ms() -> None:
    """With nothing said, one worker classifies headlines."""
    settings = load_settings(environment={})
    assert settings.modalities == (Modality.NEWS,)
    assert settings.budgets.of(Modality.NEWS) == 150
    assert settings.models.of(Modality.NEWS) == "news-sentiment"


def test_flags_outweigh_the_environment_and_that_the_file(tmp_path: Path) -> None:
    """The nearer to the call, the stronger."""
    config = tmp_path / "headrace.toml"
    config.write_text('group = "file"\nworkers = 3\n[scheduler]\nmax_batch_events = 7\n')
    settings = load_settings(
        config=config,
        environment={
            "HEADRACE_GROUP": "environment",
            "HEADRACE_SCHEDULER__MAX_BATCH_TOKENS": "99",
            "HEADRACE_MODALITIES": "news, transcript",
            "HEADRACE_CREATE_TOPICS": "false",
            "UNRELATED": "x",
        },
        flags={"group": "flag", "on_overload": "shed", "workers": None},
    )
    assert settings.group == "flag"
    assert settings.workers == 3
    assert settings.scheduler.max_batch_events == 7
    assert settings.scheduler.max_batch_tokens == 99
    assert settings.modalities == (Modality.NEWS, Modality.TRANSCRIPT)
    assert settings.create_topics is False
    assert settings.on_overload is OverloadPolicy.SHED


@pytest.mark.parametrize(
    ("environment", "flags", "named"),
    [
        ({"HEADRACE_WORKRES": "2"}, {}, "workres"),
        ({"HEADRACE_WORKERS": "two"}, {}, "workers"),
        ({}, {"workers": 0}, "workers"),
        ({}, {"budgets": {"news": -1}}, "budgets.news"),
        ({}, {"metrics_port": 70_000}, "metrics_port"),
        ({}, {"on_overload": "panic"}, "on_overload"),
        ({"HEADRACE_SCHEDULER__MAX_BATCH_EVENTS": "0"}, {}, "max_batch_events"),
        ({}, {"modalities": ["smell"]}, "modalities"),
    ],
)
def test_a_wrong_setting_is_named(
    environment: dict[str, str], flags: dict[str, Any], named: str
) -> None:
    """A misspelt name or a value out of its limits ends the start, and is named."""
    with pytest.raises(ConfigurationError, match=named):
        load_settings(environment=environment, flags=flags)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    """A missing file and a file that is not TOML are told apart."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_settings(config=tmp_path / "none.toml", environment={})
    broken = tmp_path / "broken.toml"
    broken.write_text("group = ")
    with pytest.raises(ConfigurationError, match="is not TOML"):
        load_settings(config=broken, environment={})


def test_a_modality_without_a_model_says_how_to_give_one() -> None:
    """The remedy stands in the message."""
    with pytest.raises(ConfigurationError, match="--model PATH"):
        Settings().models.of(Modality.CAMERA)


def test_settings_survive_the_way_to_a_worker_process() -> None:
    """What the supervisor hands on is what the worker reads."""
    settings = load_settings(
        environment={}, flags={"workers": 2, "scheduler": {"max_batch_tokens": 77}}
    )
    assert load_settings(environment={}, flags=as_flags(settings)) == settings
