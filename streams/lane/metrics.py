"""What a lane tells in metrics: of each answer and batch, and of what waits and is expected."""

from inference.cost import LearnedCost
from inference.queue import DeadlineQueue
from inference.scheduler import BatchRun
from inference.work import Completion
from schemas.results import AnsweredFrom, Classification
from streams import metrics
from streams.lane.verdicts import IN_TIME, Admitted
from streams.routes import Route


class LaneMetrics:
    """Counts for one topic.

    Args:
        route: The topic.
        model: Who answers, by name.
    """

    def __init__(self, route: Route, model: str) -> None:
        self._labels = route.topic, route.modality
        self._of_model = *self._labels, model
        self._modality, self._model = route.modality, model
        # Set with every poll and batch: their labels are looked up once.
        self._queue_events = metrics.QUEUE_EVENTS.labels(*self._labels)
        self._queue_tokens = metrics.QUEUE_TOKENS.labels(*self._labels)
        self._cache_bytes = metrics.CACHE_BYTES.labels(*self._labels)

    def begun(self, events: int) -> None:
        """Note events that were taken in."""
        metrics.EVENTS.labels(*self._labels).inc(events)

    def made(self, result: Classification, completion: Completion) -> None:
        """Note a result that is about to be sent."""
        metrics.LATENCY.labels(*self._labels).observe(result.latency.total_ms / 1e3)
        metrics.QUEUE_WAIT.labels(*self._labels).observe(completion.queue_s)
        if result.answered_from is AnsweredFrom.MODEL:
            metrics.ACTIVE_SHARE.labels(*self._of_model).observe(result.effort.active_share)

    def acknowledged(self, verdict: str, completion: Completion, now_ms: float) -> None:
        """Note a result that the broker has.

        Args:
            verdict: What it says.
            completion: What it is made of.
            now_ms: Wall clock in milliseconds since the epoch.
        """
        metrics.RESULTS.labels(*self._of_model, verdict).inc()
        admitted: Admitted = completion.work.handle
        if completion.superseded:
            metrics.SUPERSEDED.labels(*self._labels).inc()
        elif admitted.seen.previous is not None:
            metrics.UNCHANGED.labels(*self._labels).inc()
        if verdict in IN_TIME and now_ms > admitted.timestamp_ms + admitted.budget_ms:
            metrics.OVERDUE_RESULTS.labels(*self._labels).inc()

    def buried(self, error: str) -> None:
        """Note a dead letter that the broker has."""
        metrics.DEAD_LETTERS.labels(*self._labels, error).inc()

    def ran(self, run: BatchRun) -> None:
        """Note a batch."""
        of_effort = *self._of_model, run.effort
        metrics.BATCH_SECONDS.labels(*of_effort).observe(run.seconds)
        metrics.BATCH_EVENTS.labels(*self._of_model).observe(run.events)
        metrics.BATCH_TOKENS.labels(*self._of_model).inc(run.tokens)
        if run.predicted_s > 0.0 and run.clean:
            metrics.BATCH_PREDICTED_SECONDS.labels(*of_effort).inc(run.predicted_s)
            metrics.BATCH_PREDICTED_RATIO.labels(*of_effort).observe(run.predicted_s / run.seconds)

    def costs(self, cost: LearnedCost) -> None:
        """Show what batches cost; once a second is often enough."""
        metrics.COST_TAIL_RATIO.labels(self._modality, self._model).set(cost.tail)
        for effort, curve in cost.fitted().items():
            now, of_effort = curve.scaled(cost.speed), (self._modality, self._model, effort)
            metrics.COST_FIXED_SECONDS.labels(*of_effort).set(now.fixed_s)
            metrics.COST_TOKEN_SECONDS.labels(*of_effort).set(now.per_token_s)
            metrics.COST_EVENT_SECONDS.labels(*of_effort).set(now.per_event_s)

    def gauge(self, queue: DeadlineQueue, cache_bytes: int) -> None:
        """Show what waits, and what the kept answers take."""
        self._queue_events.set(len(queue))
        self._queue_tokens.set(queue.tokens)
        self._cache_bytes.set(cache_bytes)
