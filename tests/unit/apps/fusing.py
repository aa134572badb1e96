"""Results to be fused, and a run of the app over a clock that is set."""

import heapq
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import msgspec

from schemas import Classification, Fused, Modality, Source, decode_fused
from streams.apps.entities import Entity
from streams.apps.fusing import FusionSettings
from streams.apps.fusion import fusion
from tests.fakes.results import MOMENT, result

HARBOUR = Entity("HBR", tickers=("HBR",), cameras=("harbour",), sessions=("hbr-",))
TOPICS = {
    Modality.NEWS: "events.news",
    Modality.TRANSCRIPT: "events.transcripts",
    Modality.CAMERA: "events.camera",
}


def told(
    modality: Modality,
    offset: int,
    at: float = 0.0,
    *,
    published: float | None = None,
    **changes: Any,
) -> Classification:
    """Make a result of the entity ``HBR``.

    Args:
        modality: Which stream.
        offset: Of the event.
        at: When it happened, in seconds from the start.
        published: When its result was; at the same time if unset.
        changes: Other fields.
    """
    about: dict[str, Any] = {
        Modality.NEWS: {"tickers": ("HBR",)},
        Modality.TRANSCRIPT: {"session_id": "hbr-q1"},
        Modality.CAMERA: {"camera_id": "harbour/gate-3"},
    }[modality]
    values = {
        "source": Source(topic=TOPICS[modality], partition=0, offset=offset),
        "event_time": MOMENT + timedelta(seconds=at),
        "result_time": MOMENT + timedelta(seconds=at if published is None else published),
    }
    return msgspec.structs.replace(result(modality=modality), **(values | about | changes))


class Run:
    """The app ``fusion`` for one entity, and a clock that stands where it was put last."""

    def __init__(self, settings: FusionSettings) -> None:
        self.now = 0.0
        self.app = fusion(settings, entities=(HARBOUR,), clock=lambda: self.now)
        self.states: dict[str, bytes] = {}
        self.answers: list[Fused] = []
        self._alarms: list[tuple[float, str, bytes]] = []

    def take(self, results: Iterable[Classification]) -> list[Fused]:
        """Give results to the app when they are published; return what it publishes."""
        before = len(self.answers)
        for one in results:
            self.now = one.result_time.timestamp()
            for key, part in self.app.spread(one):
                self._step(key, part)
        return self.answers[before:]

    def wait_until(self, seconds: float) -> list[Fused]:
        """Let time go by, in seconds from the start; return what the app publishes."""
        before, now = len(self.answers), MOMENT.timestamp() + seconds
        while self._alarms and self._alarms[0][0] <= now:
            _, key, part = heapq.heappop(self._alarms)
            self._step(key, part)
        return self.answers[before:]

    @property
    def last(self) -> dict[str, Fused]:
        """What holds of each answer in the end."""
        return {one.id: one for one in self.answers}

    def _step(self, key: str, part: bytes) -> None:
        step = self.app.step(key, self.states.get(key), part)
        if step is None:
            return
        self.states[key] = step.state
        self.answers += [decode_fused(outbound.value or b"") for outbound in step.derived]
        assert self.app.wake is not None
        wake = self.app.wake(key, step.state)
        if wake is not None:
            heapq.heappush(self._alarms, (wake.at, key, wake.part))
