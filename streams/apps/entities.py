"""What results have in common: a field of theirs, or an entity that a table maps them to."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from schemas.results import Classification


class JoinKey(StrEnum):
    """What results are joined by."""

    TICKER = "ticker"
    SESSION_ID = "session_id"
    CAMERA_ID = "camera_id"
    ENTITY = "entity"
    """What the table of entities maps tickers, cameras and sessions to."""


@dataclass(frozen=True, slots=True)
class Entity:
    """One thing that several streams tell of.

    Attributes:
        name: The key of what is told of it.
        tickers: Instruments.
        cameras: Ids of cameras, or what stands before a ``/`` in them: a line or a site.
        sessions: What the ids of its sessions begin with.
    """

    name: str
    tickers: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()


def keys_by(
    key: JoinKey, entities: Iterable[Entity] = ()
) -> Callable[[Classification], tuple[str, ...]]:
    """Return what names the keys of a result, each once.

    Args:
        key: What results are joined by.
        entities: The table, for :attr:`JoinKey.ENTITY`.
    """
    match key:
        case JoinKey.TICKER:
            return lambda result: tuple(dict.fromkeys(result.tickers))
        case JoinKey.SESSION_ID:
            return lambda result: (result.session_id,) if result.session_id else ()
        case JoinKey.CAMERA_ID:
            return lambda result: (result.camera_id,) if result.camera_id else ()
        case JoinKey.ENTITY:
            return _Table(tuple(entities)).keys


class _Table:
    """Finds entities without going through all of them."""

    def __init__(self, entities: tuple[Entity, ...]) -> None:
        self._tickers = _index(entities, lambda entity: entity.tickers)
        self._cameras = _index(entities, lambda entity: entity.cameras)
        self._sessions = _index(entities, lambda entity: entity.sessions)
        self._lengths = sorted({len(prefix) for prefix in self._sessions})

    def keys(self, result: Classification) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for ticker in result.tickers:
            found.update(self._tickers.get(ticker, {}))
        camera = result.camera_id or ""
        while camera:
            found.update(self._cameras.get(camera, {}))
            camera = camera.rpartition("/")[0]
        session = result.session_id or ""
        for length in self._lengths:
            if length <= len(session):
                found.update(self._sessions.get(session[:length], {}))
        return tuple(found)


def _index(
    entities: Iterable[Entity], named: Callable[[Entity], tuple[str, ...]]
) -> Mapping[str, dict[str, None]]:
    index: dict[str, dict[str, None]] = {}
    for entity in entities:
        for name in named(entity):
            index.setdefault(name, {})[entity.name] = None
    return index
