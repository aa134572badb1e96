"""Which model answers a modality: what the settings say, and what ships with headrace."""

from importlib.resources import files

from schemas.events import Modality
from streams.settings import NO_MODEL, Settings

SHIPPED = {
    Modality.NEWS: "news-sentiment",
    Modality.TRANSCRIPT: "transcript-intent",
    Modality.CAMERA: "camera-steel-defects",
}
"""Checkpoint of each modality where no setting names one, if it is part of the package."""


def default_model(modality: Modality) -> str | None:
    """Return the name of the checkpoint that ships for a modality, if one does."""
    name = SHIPPED[modality]
    directory = files("inference").joinpath("checkpoints", name)
    return name if directory.joinpath("config.json").is_file() else None


def chosen_model(settings: Settings, modality: Modality) -> str | None:
    """Return the model of a modality by the settings, or what ships; ``None`` for none."""
    models = settings.models
    path = models.named(modality) or models.every or default_model(modality)
    return None if path == NO_MODEL else path
