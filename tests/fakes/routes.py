"""Routes as a worker's settings would give them."""

import dataclasses
from typing import Any

from schemas.events import Modality
from streams.routes import Route, routes_of
from streams.settings import Settings


def route_of(modality: Modality = Modality.NEWS, **fields: Any) -> Route:
    """Return the usual route of a modality, with some fields replaced."""
    (route,) = routes_of(Settings(modalities=(modality,)))
    return dataclasses.replace(route, **fields)
