"""File, environment and flags become one set of checked settings."""

from pathlib import Path
from typing import Any

import pytest

from inference.work import OverloadPolicy
from schemas.errors import ConfigurationError
from schemas.events import Modality
from streams.settings import Models, as_flags, load_settings


def test_defaults_leave_models_and_modalities_open() -> None:
    """With nothing said, whatever ships is served."""
    settings = load_settings(environment={})
    assert settings.modalities is None
    assert [settings.budgets.of(each) for each in Modality] == [150, 200, 100]
    assert settings.models == Models()


@pytest.mark.parametrize(
    ("text", "models"),
    [
        ("./mine", Models(every="./mine")),
        ("news=a, camera=none", Models(news="a", camera="none")),
        ("news=a,./mine", Models(news="a", every="./mine")),
        ("./runs/a=1,b=2", Models(every="./runs/a=1,b=2")),
        ("transcript=./runs/a=1", Models(transcript="./runs/a=1")),
    ],
)
def test_models_are_named_by_modality_or_for_all(text: str, models: Models, tmp_path: Path) -> None:
    """The same text in a file and in the environment."""
    assert load_settings(environment={"HEADRACE_MODELS": text}).models == models
    config = tmp_path / "headrace.toml"
    config.write_text(f"models = '{text}'\n")
    assert load_settings(config=config, environment={}).models == models


@pytest.mark.parametrize("text", ["news=a,news=b", "news=a,b,c", "news="])
def test_models_that_contradict_each_other_are_refused(text: str) -> None:
    """Which of the two was meant cannot be told."""
    with pytest.raises(ConfigurationError, match="MODALITY=PATH once"):
        load_settings(environment={"HEADRACE_MODELS": text})


def test_an_empty_variable_is_not_set() -> None:
    """As a compose file passes on what nobody has set."""
    empty = dict.fromkeys(("HEADRACE_MODALITIES", "HEADRACE_MODELS", "HEADRACE_WORKERS"), "")
    assert load_settings(environment=empty) == load_settings(environment={})


def test_models_of_tables_and_texts_are_merged(tmp_path: Path) -> None:
    """The nearer to the call, the stronger; one for all is for all named farther away, too."""
    config = tmp_path / "headrace.toml"
    config.write_text('[models]\nnews = "file"\ncamera = "file"\n')
    near = {"HEADRACE_MODELS": "transcript=near", "HEADRACE_MODELS__NEWS": "near"}
    merged = load_settings(config=config, environment=near)
    assert merged.models == Models(news="near", transcript="near", camera="file")
    over = load_settings(config=config, environment=near, flags={"models": {"every": "flag"}})
    assert over.models == Models(every="flag")


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


def test_settings_survive_the_way_to_a_worker_process() -> None:
    """What the supervisor hands on is what the worker reads."""
    settings = load_settings(
        environment={"HEADRACE_MODELS": "news=none,./mine"},
        flags={"workers": 2, "scheduler": {"max_batch_tokens": 77}},
    )
    assert load_settings(environment={}, flags=as_flags(settings)) == settings
