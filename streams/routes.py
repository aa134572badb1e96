"""What a worker serves: input topics, each with its model, budget, tenant and where answers go.

Without ``[[topics]]`` in the settings there is one topic for each modality that has a model. With
it, those and no others.
"""

import dataclasses
from collections.abc import Iterator

from inference import shares
from inference.work import OverloadPolicy
from schemas.errors import ConfigurationError
from schemas.events import Modality
from streams.lane.sources import Sources
from streams.models import chosen_model
from streams.settings import ENVIRONMENT_PREFIX, NO_MODEL, Settings, Topic
from streams.topics import dead_letter_topic, event_topic, result_topic_of


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """One input topic and how its events are treated.

    Attributes:
        topic: Where events come in.
        results: Where answers go; several topics may share it.
        dead_letters: Where events go that cannot be classified.
        model: Path or name.
        required: It was asked for, so a model that cannot read it is an error.
        field: Which setting named the model, for errors.
        share: What it may have of the device beside the other topics.
    """

    topic: str
    modality: Modality
    results: str
    dead_letters: str
    model: str
    required: bool
    field: str
    budget_ms: float
    on_overload: OverloadPolicy
    sources: Sources
    share: shares.Share

    @property
    def topics(self) -> tuple[str, str, str]:
        """Its input, result and dead-letter topics."""
        return self.topic, self.results, self.dead_letters


def routes_of(settings: Settings) -> list[Route]:
    """Return what the settings ask a worker to serve.

    Raises:
        ConfigurationError: A topic is named twice, is input and output, belongs to an unknown
            tenant, or has no model; or nothing is left to serve.
    """
    routes = list(_listed(settings) if settings.topics else _by_modality(settings))
    if settings.topics and not routes:
        asked = ", ".join(settings.modalities or ())
        raise ConfigurationError(
            f"topics: none is of the modalities to serve, {asked}; name others, or list a topic"
        )
    _check_names(routes)
    return routes


def _by_modality(settings: Settings) -> Iterator[Route]:
    common = shares.Tenant()
    for modality in settings.modalities or Modality:
        topic = Topic(name=event_topic(modality), modality=modality)
        model = chosen_model(settings, modality)
        if model is not None:
            required = bool(settings.modalities or settings.models.named(modality))
            yield _route(settings, topic, model, shares.Share(common), required=required)
        elif settings.modalities:
            raise _no_model(topic)


def _listed(settings: Settings) -> Iterator[Route]:
    tenants = _tenants(settings)
    for topic in settings.topics:
        if settings.modalities and topic.modality not in settings.modalities:
            continue
        model = topic.model or chosen_model(settings, topic.modality)
        if model is None or model == NO_MODEL:
            raise _no_model(topic)
        tenant = tenants.get(topic.tenant or "")
        if tenant is None:
            known = ", ".join(sorted(settings.tenants)) or "none"
            raise ConfigurationError(
                f"topics.{topic.name}.tenant: {topic.tenant!r} has no table under tenants, where "
                f"there are: {known}; add [tenants.{topic.tenant}], or name one of them"
            )
        quota = _quota(topic.quota_tokens_per_s, f"topic {topic.name}")
        share = shares.Share(tenant, topic.weight, quota)
        yield _route(settings, topic, model, share, required=True)


def _tenants(settings: Settings) -> dict[str, shares.Tenant]:
    found = {"": shares.Tenant()}
    for name, tenant in settings.tenants.items():
        quota = _quota(tenant.quota_tokens_per_s, f"tenant {name}")
        found[name] = shares.Tenant(name, tenant.weight, quota)
    return found


def _quota(tokens_per_s: float | None, owner: str) -> shares.Quota | None:
    return None if tokens_per_s is None else shares.Quota(tokens_per_s, owner)


def _route(
    settings: Settings, topic: Topic, model: str, share: shares.Share, *, required: bool
) -> Route:
    return Route(
        topic=topic.name,
        modality=topic.modality,
        results=topic.results or result_topic_of(topic.name),
        dead_letters=topic.dead_letters or dead_letter_topic(topic.name),
        model=model,
        required=required,
        field=f"topics.{topic.name}.model" if topic.model else f"models.{topic.modality}",
        budget_ms=topic.budget_ms or settings.budgets.of(topic.modality),
        on_overload=topic.on_overload or settings.on_overload,
        sources=Sources(
            transcripts=topic.transcripts or settings.transcripts,
            cameras=topic.cameras or settings.cameras,
        ),
        share=share,
    )


def _no_model(topic: Topic) -> ConfigurationError:
    modality = topic.modality
    return ConfigurationError(
        f"models.{modality}: no model is set to answer topic {topic.name}; give "
        f"--model {modality}=PATH, or set {ENVIRONMENT_PREFIX}MODELS__{modality.upper()}"
    )


def _check_names(routes: list[Route]) -> None:
    """Refuse topics that would be read twice, or read what they write.

    Raises:
        ConfigurationError: There is one.
    """
    inputs: set[str] = set()
    for route in routes:
        if route.topic in inputs:
            raise ConfigurationError(f"topics: {route.topic} is listed twice; list it once")
        inputs.add(route.topic)
    for route in routes:
        for field, output in (("results", route.results), ("dead_letters", route.dead_letters)):
            if output in inputs:
                raise ConfigurationError(
                    f"topics.{route.topic}.{field}: {output} is read as an input topic too, so "
                    "what is written there would come in again; name another topic"
                )
        if route.results == route.dead_letters:
            raise ConfigurationError(
                f"topics.{route.topic}.dead_letters: {route.results} takes its results already; "
                "name another topic"
            )
