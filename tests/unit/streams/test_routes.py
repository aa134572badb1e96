"""What a worker serves: topics, their tenants, and what they may have."""

from typing import Any

import pytest

from inference.work import OverloadPolicy
from schemas.errors import ConfigurationError
from schemas.events import Modality
from streams.lane.sources import Keep
from streams.routes import Route, routes_of
from streams.settings import load_settings
from streams.worker.loading import load_models
from tests.fakes.engine import FakeEngine

DESK = {"name": "events.desk.news", "modality": "news"}
TENANTS = {"tenants": {"desk": {"weight": 2}}}


def routes(*topics: dict[str, Any], **flags: Any) -> list[Route]:
    """Return what settings with these topics ask for."""
    return routes_of(load_settings(environment={}, flags={"topics": list(topics), **flags}))


def test_without_a_list_each_modality_has_its_topic() -> None:
    """Under the names that DESIGN and documentation use."""
    (news, transcripts, camera) = routes_of(load_settings(environment={}))
    assert news.topics == ("events.news", "results.news", "events.news.dlq")
    assert transcripts.topic == "events.transcripts"
    assert camera.modality is Modality.CAMERA
    assert news.share.tenant is transcripts.share.tenant is camera.share.tenant


def test_a_listed_topic_needs_a_name_and_a_modality_alone() -> None:
    """The rest is as for all others."""
    (route,) = routes(DESK, on_overload="shed", budgets={"news": 80.0})
    assert route.topics == ("events.desk.news", "results.desk.news", "events.desk.news.dlq")
    assert (route.model, route.budget_ms) == ("news-sentiment", 80.0)
    assert route.on_overload is OverloadPolicy.SHED
    assert route.required


def test_a_listed_topic_may_differ_in_everything() -> None:
    """One worker serves topics of other budgets, models and policies."""
    (route,) = routes(
        {
            "name": "line-7",
            "modality": "camera",
            "model": "./scratches",
            "results": "line-7.found",
            "dead_letters": "line-7.broken",
            "budget_ms": 60,
            "on_overload": "late",
            "cameras": {"keep": "latest"},
        }
    )
    assert route.topics == ("line-7", "line-7.found", "line-7.broken")
    assert (route.model, route.budget_ms) == ("./scratches", 60.0)
    assert route.on_overload is OverloadPolicy.LATE
    assert route.sources.cameras.keep is Keep.LATEST
    assert route.field == "topics.line-7.model"


def test_results_of_other_names_get_a_prefix() -> None:
    """So that they cannot come in again."""
    (route,) = routes({"name": "orders", "modality": "news"})
    assert route.results == "results.orders"


def test_topics_of_a_tenant_have_one_claim() -> None:
    """Its weight and quota bind all of them together; their own bind each."""
    first, second, other = routes(
        {**DESK, "tenant": "desk", "weight": 3, "quota_tokens_per_s": 500},
        {"name": "events.desk.calls", "modality": "transcript", "tenant": "desk"},
        {"name": "events.news", "modality": "news"},
        tenants={"desk": {"weight": 4, "quota_tokens_per_s": 9_000}},
    )
    assert first.share.tenant is second.share.tenant
    assert first.share.tenant is not other.share.tenant
    assert (first.share.tenant.weight, first.share.weight, second.share.weight) == (4.0, 3.0, 1.0)
    assert [str(quota) for quota in first.share.quotas] == [
        "topic events.desk.news's quota of 500 tokens/s",
        "tenant desk's quota of 9000 tokens/s",
    ]
    assert len(second.share.quotas) == 1
    assert not other.share.quotas


def test_modalities_choose_among_listed_topics() -> None:
    """One file serves several deployments."""
    calls = {"name": "events.desk.calls", "modality": "transcript"}
    assert [one.topic for one in routes(DESK, calls, modalities=["transcript"])] == [calls["name"]]


@pytest.mark.parametrize(
    ("topics", "flags", "message"),
    [
        ([DESK, DESK], {}, "topics: events.desk.news is listed twice"),
        (
            [{**DESK, "tenant": "desc"}],
            {"tenants": {"desk": {"weight": 2}}},
            "'desc'.*there are: desk",
        ),
        ([{**DESK, "tenant": "desk"}], {}, "there are: none"),
        ([{**DESK, "results": "events.desk.news"}], {}, r"results: events\.desk\.news is read"),
        ([{**DESK, "dead_letters": "results.desk.news"}], {}, "takes its results already"),
        ([DESK], {"modalities": ["camera"]}, "none is of the modalities to serve, camera"),
        ([DESK], {"models": {"news": "none"}}, "no model is set to answer topic events.desk.news"),
        ([{**DESK, "name": "a b"}], {}, r"topics\[0\].name"),
        ([{**DESK, "weight": 0}], {}, r"topics\[0\].weight"),
        ([{"name": "x"}], {}, "modality"),
    ],
)
def test_what_cannot_be_is_refused(
    topics: list[dict[str, Any]], flags: dict[str, Any], message: str
) -> None:
    """The error names the topic and what to do."""
    with pytest.raises(ConfigurationError, match=message):
        routes(*topics, **flags)


def test_topics_of_one_model_share_it() -> None:
    """Its weights lie in memory once, whoever's topics they answer."""
    loaded: list[str] = []

    def load(path: str) -> FakeEngine:
        loaded.append(path)
        return FakeEngine(modalities=(Modality.NEWS,))

    other = {**DESK, "name": "events.fund.news"}
    (_, first), (_, second) = load_models(routes(DESK, other), load)  # type: ignore[arg-type]
    assert first is second
    assert loaded == ["news-sentiment"]


def test_a_listed_topic_whose_model_cannot_read_it_is_refused() -> None:
    """The error names the setting that named the model."""

    def load(_: str) -> FakeEngine:
        return FakeEngine(modalities=(Modality.CAMERA,))

    with pytest.raises(ConfigurationError, match=r"topics\.events\.desk\.news\.model: \./x"):
        load_models(routes({**DESK, "model": "./x"}), load)  # type: ignore[arg-type]
