"""Loads the models of what a worker serves."""

import time
from collections.abc import Callable, Iterable

import structlog

from inference.engine import Engine
from schemas.errors import ConfigurationError
from streams.routes import Route

log = structlog.get_logger(__name__)

LoadEngine = Callable[[str], Engine]
"""A path or name to a loaded model; raises ``ConfigurationError`` or ``EngineError``."""


def load_models(routes: Iterable[Route], load: LoadEngine) -> list[tuple[Route, Engine]]:
    """Load the models of what is to be served, each once.

    Args:
        routes: Name the models; what nobody asked for is left out if its model cannot read it.
        load: Loads a model.

    Raises:
        ConfigurationError: A topic's model cannot read it; or there is nothing to serve.
        EngineError: A model is damaged.
    """
    engines: dict[str, Engine] = {}
    served: list[tuple[Route, Engine]] = []
    for route in routes:
        engine = engines.get(route.model)
        if engine is None:
            engine = engines[route.model] = _load(route.model, load)
        if route.modality in engine.modalities:
            served.append((route, engine))
            log.info("model_serves", topic=route.topic, model=engine.model.name)
        elif route.required:
            reads = ", ".join(sorted(engine.modalities))
            raise ConfigurationError(
                f"{route.field}: {route.model} classifies {reads}, not {route.modality}, and "
                f"cannot answer topic {route.topic}; choose a model that was made for it"
            )
    if not served:
        raise ConfigurationError(
            "models: there is no modality to serve, as none has a model that reads it; give "
            "--model PATH"
        )
    return served


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
