"""The apps ``alerts`` and ``conversations``: shares of a kind of label, of whom and in what time.

Cameras are watched each by itself and by line; a camera's line is its id up to the last ``/``.
"""

import math
from collections.abc import Callable, Iterator, Mapping

import msgspec

from schemas.derived import encode_alert
from schemas.encode import result_id
from schemas.results import Classification
from streams.apps.keyed import KeyedApp, Step
from streams.apps.rates import RateSettings, Sight, Watch, observe

GOOD_LABELS = frozenset({"good", "no_anomaly", "no_defect", "normal", "ok"})
"""Labels of images that show no defect, where it is not said which labels are one."""
NEGATIVE = frozenset({"negative"})
DEFECTS = RateSettings(rule="defect_rate")
NEGATIVES = RateSettings(
    rule="negative_turn", window_s=120.0, minimum_evidence=4, raise_at=0.5, clear_at=0.25
)
BETWEEN = "\n"
"""Between scope and subject in a key; no id of an event holds one."""

_PART = msgspec.json.Decoder(Sight)
_STATE = msgspec.json.Decoder(Watch)


def defects(labels: frozenset[str] = frozenset(), settings: RateSettings = DEFECTS) -> KeyedApp:
    """Return the app that watches the defect rate of cameras and lines.

    Args:
        labels: Those that are a defect; none for all but :data:`GOOD_LABELS`.
        settings: Window and thresholds.
    """

    def subjects(result: Classification) -> Mapping[str, str | None]:
        camera = result.camera_id
        line = camera.rpartition("/")[0] if camera else None
        return {"camera": camera, "line": line}

    def is_defect(result: Classification) -> bool:
        return result.label in labels if labels else result.label not in GOOD_LABELS

    return _watching(
        "alerts", ("results.camera", "alerts.camera"), settings, subjects, is_hit=is_defect
    )


def turns(
    labels: frozenset[str] = NEGATIVE,
    settings: RateSettings = NEGATIVES,
    *,
    min_confidence: float = 0.5,
    speakers: frozenset[str] = frozenset(),
) -> KeyedApp:
    """Return the app that watches how many of a session's segments have a label.

    Args:
        labels: Sentiments or intents that count.
        settings: Window and thresholds.
        min_confidence: Least score, of all of these labels together, of a segment that counts.
        speakers: Whose segments are evidence; empty for everybody's.
    """

    def subjects(result: Classification) -> Mapping[str, str | None]:
        if speakers and result.speaker not in speakers:
            return {}
        return {"session": result.session_id}

    def is_one(result: Classification) -> bool:
        # Intents that mean nearly the same share what the model is sure of.
        sure = math.fsum(result.scores.get(label, 0.0) for label in watched)
        return result.label in watched and sure >= min_confidence

    watched = labels or NEGATIVE

    return _watching(
        "conversations",
        ("results.transcripts", "alerts.transcripts"),
        settings,
        subjects,
        is_hit=is_one,
    )


def sight_of(result: Classification, *, hit: bool) -> Sight:
    """Return what a result says; later texts of a segment replace earlier ones."""
    source = result.source
    event = f"{source.topic}:{source.partition}:{source.offset}"
    if result.segment is not None:
        event = f"segment:{result.segment}"
    return Sight(
        event=event,
        at=result.event_time.timestamp(),
        hit=hit,
        rank=(source.offset, result.revision),
        result=result_id(source, result.model.digest, result.revision),
    )


def _watching(
    name: str,
    topics: tuple[str, str],
    settings: RateSettings,
    subjects: Callable[[Classification], Mapping[str, str | None]],
    *,
    is_hit: Callable[[Classification], bool],
) -> KeyedApp:
    def spread(result: Classification) -> Iterator[tuple[str, bytes]]:
        if result.label is None:
            return
        part = msgspec.json.encode(sight_of(result, hit=is_hit(result)))
        for scope, subject in subjects(result).items():
            if subject:
                yield f"{scope}{BETWEEN}{subject}", part

    def step(key: str, state: bytes | None, part: bytes) -> Step | None:
        scope, _, subject = key.partition(BETWEEN)
        found = observe(
            Watch() if state is None else _STATE.decode(state),
            _PART.decode(part),
            scope=scope,
            subject=subject,
            settings=settings,
        )
        if found is None:
            return None
        watch, alert = found
        derived = () if alert is None else (encode_alert(alert),)
        return Step(msgspec.json.encode(watch), derived)

    return KeyedApp(name, topics[:1], topics[1], spread, step)
