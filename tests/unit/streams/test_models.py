"""Which model answers which topic."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from schemas.errors import ConfigurationError
from schemas.events import Modality
from streams import models
from streams.models import default_model
from streams.routes import routes_of
from streams.settings import load_settings
from streams.worker.loading import load_models
from tests.fakes.engine import FakeEngine

NEWS, TRANSCRIPT, CAMERA = Modality
READS = {
    "news-sentiment": (NEWS, TRANSCRIPT),
    "transcript-intent": (NEWS, TRANSCRIPT),
    "camera-steel-defects": (CAMERA,),
    "./text": (NEWS, TRANSCRIPT),
    "./image": (CAMERA,),
}


class Shelf:
    """Stands in for the checkpoints: engines that read what their names say.

    Attributes:
        loaded: Names, in order.
    """

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def load(self, path: str) -> FakeEngine:
        """Load one."""
        self.loaded.append(path)
        return FakeEngine(modalities=READS[path])


@pytest.fixture
def shelf() -> Shelf:
    """Return one that nothing was taken from."""
    return Shelf()


@pytest.fixture
def shipping(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let checkpoints ship for some modalities alone."""

    def ship(*modalities: Modality) -> None:
        names = {each: models.SHIPPED[each] for each in modalities}
        monkeypatch.setattr(models, "default_model", names.get)

    ship(*Modality)
    return ship


def serve(shelf: Shelf, **flags: Any) -> dict[Modality, FakeEngine]:
    """Load what a worker with these flags serves."""
    settings = load_settings(environment={}, flags=flags)
    loaded = load_models(routes_of(settings), shelf.load)
    return {route.modality: engine for route, engine in loaded}  # type: ignore[misc]


@pytest.mark.usefixtures("shipping")
def test_by_default_each_modality_has_the_model_that_ships(shelf: Shelf) -> None:
    """One worker classifies all three."""
    assert set(serve(shelf)) == set(Modality)
    assert shelf.loaded == ["news-sentiment", "transcript-intent", "camera-steel-defects"]


def test_what_does_not_ship_is_not_served(shelf: Shelf, shipping: Callable[..., None]) -> None:
    """Its topic is left alone, for others to read."""
    shipping(NEWS)
    assert set(serve(shelf)) == {NEWS}


@pytest.mark.usefixtures("shipping")
def test_only_what_is_asked_for_is_loaded(shelf: Shelf) -> None:
    """A model costs memory."""
    assert set(serve(shelf, modalities=["camera"])) == {CAMERA}
    assert shelf.loaded == ["camera-steel-defects"]


@pytest.mark.usefixtures("shipping")
def test_one_model_serves_every_modality_that_it_reads(shelf: Shelf) -> None:
    """And no other is loaded beside it; its weights lie in memory once."""
    served = serve(shelf, models={"every": "./text"})
    assert set(served) == {NEWS, TRANSCRIPT}
    assert served[NEWS] is served[TRANSCRIPT]
    assert shelf.loaded == ["./text"]


@pytest.mark.usefixtures("shipping")
def test_a_named_model_leaves_the_others_as_they_are(shelf: Shelf) -> None:
    """And ``none`` takes one away."""
    served = serve(shelf, models={"news": "./text", "camera": "none"})
    assert set(served) == {NEWS, TRANSCRIPT}
    assert shelf.loaded == ["./text", "transcript-intent"]


@pytest.mark.usefixtures("shipping")
def test_a_named_model_goes_before_the_one_for_all(shelf: Shelf) -> None:
    """The one for all answers what is left, if it can."""
    served = serve(shelf, models={"every": "./text", "camera": "./image"})
    assert set(served) == set(Modality)
    assert shelf.loaded == ["./text", "./image"]


@pytest.mark.parametrize(
    "flags",
    [
        {"modalities": ["camera"], "models": {"every": "./text"}},
        {"models": {"camera": "./text"}},
    ],
)
@pytest.mark.usefixtures("shipping")
def test_a_topic_whose_model_cannot_read_it_is_refused(flags: dict[str, Any], shelf: Shelf) -> None:
    """The line names both; serving it all the same would bury every event."""
    expected = r"models\.camera: \./text classifies news, transcript, not camera.*events\.camera"
    with pytest.raises(ConfigurationError, match=expected):
        serve(shelf, **flags)


@pytest.mark.parametrize("chosen", [{}, {"camera": "none"}])
def test_a_modality_that_is_asked_for_needs_a_model(
    chosen: dict[str, str], shelf: Shelf, shipping: Callable[..., None]
) -> None:
    """The remedy stands in the message."""
    shipping(NEWS)
    with pytest.raises(ConfigurationError, match=r"events\.camera; give --model camera=PATH"):
        serve(shelf, modalities=["camera"], models=chosen)


@pytest.mark.parametrize(("shipped", "chosen"), [([], {}), ([NEWS], {"news": "none"})])
def test_a_worker_with_nothing_to_serve_does_not_start(
    shipped: Iterable[Modality],
    chosen: dict[str, str],
    shelf: Shelf,
    shipping: Callable[..., None],
) -> None:
    """It would wait for nothing for ever."""
    shipping(*shipped)
    with pytest.raises(ConfigurationError, match="no modality to serve"):
        serve(shelf, models=chosen)


def test_the_model_of_headlines_ships() -> None:
    """And its name is one that can be loaded."""
    assert default_model(NEWS) == "news-sentiment"
