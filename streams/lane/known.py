"""Events whose answer is known without the model: by content, or by their camera's last image."""

import dataclasses

from inference.clock import Clock
from inference.engine import EffortLevel
from inference.result_cache import Cache, ResultCache
from inference.work import Completion, OverloadPolicy, Work
from schemas.results import AnsweredFrom
from streams import metrics
from streams.lane.frames import Frames
from streams.lane.verdicts import Admitted
from streams.routes import Route


class KnownAnswers:
    """What a lane remembers of the answers that it gave.

    Args:
        settings: Whether and how long answers are kept by content.
        frames: The last answered image of each camera.
        full: The effort that kept answers were found with.
    """

    def __init__(
        self,
        settings: Cache,
        frames: Frames,
        full: EffortLevel,
        route: Route,
        clock: Clock,
    ) -> None:
        self._cache = ResultCache(settings) if settings.enabled else None
        self._frames = frames
        self._full = full
        self._labels = route.topic, route.modality
        self._clock = clock

    def find(self, work: Work) -> Completion | None:
        """Return the answer to an event that needs no model, if it is known."""
        admitted: Admitted = work.handle
        if admitted.refused is not None:
            return Completion(work, reason=admitted.refused)
        if admitted.seen.previous is not None:
            previous, origin = admitted.seen.previous, AnsweredFrom.PREVIOUS_FRAME
            return Completion(work, previous, self._full, answered_from=origin)
        if self._cache is None or admitted.content is None:
            return None
        if work.subject is not None and not work.subject.is_final:
            return None  # it may have been superseded before it came, which the queue knows
        known = self._cache.fresh(admitted.content, self._clock.monotonic())
        self._count("miss" if known is None else "hit")
        if known is None:
            return None
        origin = AnsweredFrom.CACHE
        return Completion(work, known.prediction, self._full, answered_from=origin)

    def rescue(self, completion: Completion) -> Completion:
        """Answer what would be shed from the cache, where that holds what its policy allows.

        An answer too old to be given again otherwise is as good as it was; one that was found with
        less effort is for events that may be degraded.
        """
        admitted: Admitted = completion.work.handle
        is_shed = completion.prediction is None and not completion.superseded
        if not is_shed or self._cache is None or admitted.content is None:
            return completion
        known = self._cache.any(admitted.content)
        may_degrade = completion.work.on_overload is OverloadPolicy.DEGRADE
        if known is None or (known.degraded and not may_degrade):
            return completion
        self._count("rescue")
        return dataclasses.replace(
            completion,
            prediction=known.prediction,
            degraded=known.degraded,
            answered_from=AnsweredFrom.CACHE,
        )

    def note(self, completion: Completion) -> None:
        """Keep an answer for the same content, and an image's for those that show the same."""
        prediction = completion.prediction
        admitted: Admitted = completion.work.handle
        if prediction is None:
            return
        by_model = completion.answered_from is AnsweredFrom.MODEL
        if self._cache is not None and by_model and admitted.content is not None:
            now, degraded = self._clock.monotonic(), completion.degraded
            self._cache.keep(admitted.content, prediction, now, degraded=degraded)
        seen = admitted.seen
        if not completion.degraded and seen.previous is None:
            event = admitted.inbound.event
            self._frames.note(event, seen, admitted.timestamp_ms, prediction)

    @property
    def bytes(self) -> int:
        """Memory that the kept answers take, estimated."""
        return 0 if self._cache is None else self._cache.bytes

    def _count(self, outcome: str) -> None:
        metrics.CACHE_LOOKUPS.labels(*self._labels, outcome).inc()
