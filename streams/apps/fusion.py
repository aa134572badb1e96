"""The app ``fusion``: results of different modalities that belong together become one answer."""

import time
from collections.abc import Callable, Iterator
from functools import lru_cache

import msgspec

from schemas.encode import result_id
from schemas.events import Modality
from schemas.fused import encode_fused
from schemas.results import Classification
from streams.apps.entities import Entity, JoinKey, keys_by
from streams.apps.fusing import Fuser, FusionSettings, Kept, Part
from streams.apps.keyed import KeyedApp, Step, Wake

RESULTS = {
    Modality.NEWS: "results.news",
    Modality.TRANSCRIPT: "results.transcripts",
    Modality.CAMERA: "results.camera",
}
"""Topic of each modality's results."""

_PART = msgspec.json.Decoder(Part | float)
_STATE = msgspec.json.Decoder(Kept)
MEMORY = 256
"""Keys whose states are remembered as they were read, so that what changes nothing costs little."""


def fusion(
    settings: FusionSettings | None = None,
    *,
    key: JoinKey = JoinKey.ENTITY,
    entities: tuple[Entity, ...] = (),
    clock: Callable[[], float] = time.time,
) -> KeyedApp:
    """Return the app; its table holds the latest parts of each key.

    Args:
        settings: What is joined, and how long it is waited for.
        key: What results must have in common.
        entities: The table that tickers, cameras and sessions are looked up in.
        clock: Unix seconds; waits begin by it, and are over by that of the runtime.
    """
    chosen = settings or FusionSettings()
    keys_of = keys_by(key, entities)

    def spread(result: Classification) -> Iterator[tuple[str, bytes]]:
        if result.modality in chosen.streams:
            part = msgspec.json.encode(part_of(result, clock(), chosen.repeat_s))
            for name in keys_of(result):
                yield name, part

    def step(name: str, state: bytes | None, part: bytes) -> Step | None:
        kept = Kept() if state is None else _kept(state)
        new = _PART.decode(part)
        fuser = Fuser(name, chosen)
        taken = fuser.take(kept, new) if isinstance(new, Part) else fuser.elapse(kept, new)
        if taken is None:
            return None
        kept, answers = taken
        return Step(msgspec.json.encode(kept), tuple(map(encode_fused, answers)))

    def wake(_: str, state: bytes) -> Wake | None:
        at = _kept(state).wake_at
        return None if at is None else Wake(at, msgspec.json.encode(at))

    inputs = tuple(RESULTS[stream] for stream in chosen.streams)
    return KeyedApp("fusion", inputs, "fused.events", spread, step, wake)


@lru_cache(MEMORY)
def _kept(state: bytes) -> Kept:
    return _STATE.decode(state)


def part_of(result: Classification, arrived: float, repeat_s: float = 0.0) -> Part:
    """Return what a result says; later texts of a segment replace earlier ones.

    Args:
        result: Of an expected stream.
        arrived: When it was read, in seconds since the epoch.
        repeat_s: Seconds in which images with the same label are one part: the first of them.
    """
    source, at = result.source, result.event_time.timestamp()
    event, order = f"{source.topic}:{source.partition}:{source.offset}", source.offset
    if result.session_id is not None and result.segment is not None:
        event = f"segment:{result.session_id}:{result.segment}"
    if repeat_s and result.modality is Modality.CAMERA:
        # Cut by the clock, not by the first that came, so that their order changes nothing.
        event, order = f"images:{result.label}:{int(at // repeat_s)}", -round(1e6 * at)
    return Part(
        stream=result.modality,
        event=event,
        at=at,
        published=result.result_time.timestamp(),
        arrived=arrived,
        rank=(
            order,
            result.revision,
            result_id(source, result.model.digest, result.revision),
        ),
        label=result.label,
        score=None if result.label is None else result.scores.get(result.label),
        verdict=result.verdict,
        written=result.result_time.timestamp() - result.latency.total_ms / 1e3,
    )
