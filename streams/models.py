"""Which model answers which topic: what the settings say, and what ships with headrace."""

import time
from collections.abc import Callable, Iterator
from importlib.resources import files

import structlog

from inference.engine import Engine
from schemas.errors import ConfigurationError
from schemas.events import Modality
from streams.settings import ENVIRONMENT_PREFIX, NO_MODEL, Settings
from streams.topics import event_topic

log = structlog.get_logger(__name__)

SHIPPED = {
    Modality.NEWS: "news-sentiment",
    Modality.TRANSCRIPT: "transcript-intent",
    Modality.CAMERA: "camera-steel-defects",
}
"""Checkpoint of each modality where no setting names one, if it is part of the package."""

LoadEngine = Callable[[str], Engine]
"""A path or name to a loaded model; raises ``ConfigurationError`` or ``EngineError``."""


def default_model(modality: Modality) -> str | None:
    """Return the name of the checkpoint that ships for a modality, if one does."""
    name = SHIPPED[modality]
    directory = files("inference").joinpath("checkpoints", name)
    return name if directory.joinpath("config.json").is_file() else None


def load_models(settings: Settings, load: LoadEngine) -> dict[Modality, Engine]:
    """Load the models of the modalities to serve, each once, and no others.

    Where the settings name no modalities, all are served that have a model.

    Args:
        settings: Name models and modalities.
        load: Loads a model.

    Raises:
        ConfigurationError: A modality that is asked for has no model, or one that cannot read it;
            or there is no modality to serve.
        EngineError: A model is damaged.
    """
    engines: dict[str, Engine] = {}
    served: dict[Modality, Engine] = {}
    for modality, path in _chosen(settings):
        if path not in engines:
            engines[path] = _load(path, load)
        engine = engines[path]
        if modality in engine.modalities:
            served[modality] = engine
            log.info("model_serves", topic=event_topic(modality), model=engine.model.name)
        elif settings.modalities or settings.models.named(modality):
            reads = ", ".join(sorted(engine.modalities))
            raise ConfigurationError(
                f"models.{modality}: {path} classifies {reads}, not {modality}, and cannot answer "
                f"topic {event_topic(modality)}; choose a model that was made for it"
            )
    if not served:
        raise ConfigurationError(
            "models: there is no modality to serve, as none has a model that reads it; give "
            "--model PATH"
        )
    return served


def _chosen(settings: Settings) -> Iterator[tuple[Modality, str]]:
    """Yield the modalities that have a model, with it.

    Raises:
        ConfigurationError: One that is asked for has none.
    """
    models = settings.models
    for modality in settings.modalities or Modality:
        path = models.named(modality) or models.every or default_model(modality)
        if path is not None and path != NO_MODEL:
            yield modality, path
        elif settings.modalities:
            raise ConfigurationError(
                f"models.{modality}: no model is set to answer topic {event_topic(modality)}; give "
                f"--model {modality}=PATH, or set {ENVIRONMENT_PREFIX}MODELS__{modality.upper()}"
            )


def _load(path: str, load: LoadEngine) -> Engine:
    started = time.perf_counter()
    engine = load(path)
    log.info(
        "model_loaded",
        path=path,
        model=engine.model.name,
        version=engine.model.version,
        digest=engine.model.digest[:19],
        seconds=round(time.perf_counter() - started, 2),
    )
    return engine
