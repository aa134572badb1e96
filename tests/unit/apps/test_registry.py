"""Apps are found by name and made from their own table of the settings."""

import pytest

from schemas.errors import ConfigurationError
from streams.apps.entities import JoinKey
from streams.apps.registry import APPS
from streams.apps.settings import AppsSettings, EntitySettings, FusionAppSettings
from streams.settings import load_settings


def test_every_app_is_named_as_it_is_started() -> None:
    """Its consumer group and topics carry the name that it was asked for by."""
    settings = AppsSettings(fusion=FusionAppSettings(key=JoinKey.TICKER))
    assert {name: make(settings).name for name, make in APPS.items()} == {
        name: name for name in APPS
    }


def test_fusion_by_entities_needs_some() -> None:
    """It would pass all results over."""
    with pytest.raises(ConfigurationError, match=r"apps\.fusion\.entities: is empty"):
        APPS["fusion"](AppsSettings())
    harbour = EntitySettings(name="harbour", tickers=("HBR",))
    app = APPS["fusion"](AppsSettings(fusion=FusionAppSettings(entities=(harbour,))))
    assert app.inputs == ("results.news", "results.camera")


def test_topics_come_from_the_settings() -> None:
    """Several inputs may be named, in the environment separated by commas."""
    settings = load_settings(
        environment={
            "HEADRACE_APPS__SIGNALS__INPUTS": "results.news,results.filings",
            "HEADRACE_APPS__SIGNALS__OUTPUT": "signals.all",
        }
    )
    app = APPS["signals"](settings.apps)
    assert (app.inputs, app.output) == (("results.news", "results.filings"), "signals.all")


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("SIGNALS__WINDOW_S", "0", "window_s"),
        ("SIGNALS__HISTORY_S", "60", "history_s"),
        ("SIGNALS__INPUTS", " , ", "inputs"),
        ("ALERTS__RAISE_AT", "0.01", "raise_at"),
        ("CONVERSATIONS__CLEAR_AT", "2", "clear_at"),
        ("CONVERSATIONS__OUTPUT", "no/topic", "output"),
        ("SESSIONS__MOST_SEGMENTS", "0", "most_segments"),
        ("FUSION__STREAMS", "news", "streams"),
        ("FUSION__STREAMS", "news,news", "streams"),
        ("FUSION__STREAMS", "news,radio", "streams"),
        ("FUSION__REQUIRED", "transcript", "required"),
        ("FUSION__KEY", "site", "key"),
        ("FORGET_S", "86399", "forget_s: value is 86399, less than signals.history_s"),
        ("DELIVERY", "twice", "delivery"),
        ("NO_SUCH_APP__OUTPUT", "topic", "no_such_app"),
    ],
)
def test_mistakes_are_told_with_the_field(variable: str, value: str, named: str) -> None:
    """Values out of their limits, thresholds that do not fit each other, unknown tables."""
    with pytest.raises(ConfigurationError, match=named):
        load_settings(environment={f"HEADRACE_APPS__{variable}": value})
