"""A webhook that cannot work, or would give something away, ends the start."""

from pathlib import Path
from typing import Any

import pytest

from schemas.errors import ConfigurationError
from streams.settings import load_settings
from streams.webhooks.picking import Picker
from streams.webhooks.settings import Format, Webhook


def webhook(**fields: Any) -> Webhook:
    """Describe one."""
    return Webhook(
        **{"name": "desk", "url": "https://desk.example/x", "topics": ("results.news",)} | fields
    )


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"url": "ftp://desk.example"}, "webhooks.desk.url: .*give https://HOST/PATH"),
        ({"url": "desk.example/hook"}, "webhooks.desk.url: .*give https://HOST/PATH"),
        ({"url": "https://desk.example:port/"}, "webhooks.desk.url: cannot be read"),
        (
            {"url": "http://desk.example/x"},
            "in plain; give an https URL, or set allow_http",
        ),
        ({"url": "https://desk.example/#a"}, "fragment"),
        ({"max_backoff_ms": 1.0}, "webhooks.desk.max_backoff_ms: 1 is less than backoff_ms"),
    ],
)
def test_a_url_or_wait_that_cannot_be_used_is_named(fields: dict[str, Any], told: str) -> None:
    """By webhook and field, with the remedy."""
    with pytest.raises(ConfigurationError, match=told):
        webhook(**fields)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    """It would be shown with the settings."""
    with pytest.raises(ConfigurationError, match="token_file") as refused:
        webhook(url="https://user:sesame@desk.example")
    assert "sesame" not in str(refused.value)


def test_plain_http_is_for_this_machine_or_whoever_allows_it() -> None:
    """Loopback by name and by address."""
    for url in ("http://localhost:80/x", "http://127.0.0.1/x", "http://[::1]/x"):
        assert webhook(url=url).url == url
    assert webhook(url="http://desk.example", allow_http=True)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"topics": ("events.news",)}, "topics: 'events.news' holds nothing that can be posted"),
        ({"topics": ("results.news", "alerts.camera")}, "of several kinds"),
        ({"format": Format.ALERTMANAGER}, "alertmanager is for alerts, and results.news"),
        ({"filters": {"label": ("x",)}}, "filters.label: is no filter of results.*labels"),
        ({"filters": {"labels": "x"}}, "filters.labels: value is 'x'; give a list"),
        ({"filters": {"min_confidence": (0.5,)}}, "filters.min_confidence: .*give one value"),
        ({"filters": {"min_confidence": 2.0}}, "webhooks.desk.filters.min_confidence: 2.0"),
        ({"filters": {"verdicts": ("soon",)}}, "webhooks.desk.filters.verdicts: 'soon'"),
        (
            {"topics": ("alerts.camera",), "filters": {"labels": ("x",)}},
            "filters.labels: is no filter of alerts.*rules",
        ),
    ],
)
def test_topics_filters_and_formats_must_fit(fields: dict[str, Any], told: str) -> None:
    """What would match nothing, without a word, is refused."""
    with pytest.raises(ConfigurationError, match=told):
        Picker(webhook(**fields))


def test_tables_of_the_file_become_webhooks(tmp_path: Path) -> None:
    """Filters are a table of their own; two of one name would share a group, and are refused."""
    table = '[[webhooks]]\nname = "desk"\nurl = "https://desk.example"\ntopics = ["results.news"]\n'
    file = tmp_path / "headrace.toml"
    file.write_text(table + 'filters.labels = ["negative"]\nfilters.min_confidence = 0.8\n')
    (found,) = load_settings(config=file, environment={}).webhooks
    assert found.filters == {"labels": ("negative",), "min_confidence": 0.8}
    assert found.dead_letters == "webhooks.desk.dlq"
    file.write_text(table + table)
    with pytest.raises(ConfigurationError, match="webhooks: 'desk' is there twice"):
        load_settings(config=file, environment={})


def test_the_address_of_alertmanagers_api_is_made_from_its_own() -> None:
    """Whether or not it ends in a slash, and below a path."""
    for url in ("https://alerts.example/am", "https://alerts.example/am/"):
        found = webhook(url=url, topics=("alerts.camera",), format=Format.ALERTMANAGER)
        assert found.target == "https://alerts.example/am/api/v2/alerts"
    assert webhook().target == "https://desk.example/x"
