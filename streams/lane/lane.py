"""The way of one topic's events through the worker, from records to parcels."""

from collections.abc import Callable, Sequence
from itertools import groupby

from aiokafka import ConsumerRecord

from inference.clock import Clock
from inference.engine import Engine
from inference.result_cache import Cache
from inference.revisions import Revisions
from inference.scheduler import BatchRun, Scheduler
from inference.settings import SchedulerSettings
from inference.shared_device import SharedDevice
from inference.work import Completion, Work
from schemas.limits import Limits
from schemas.results import AnsweredFrom
from streams.delivery.protocol import Outlet
from streams.entities.linker import Linker
from streams.lane.breaker import BreakerSettings
from streams.lane.gate import Gate
from streams.lane.ingress import Ingress
from streams.lane.known import KnownAnswers
from streams.lane.metrics import LaneMetrics
from streams.lane.outgoing import Outgoing
from streams.lane.quarantine import Quarantine
from streams.lane.rejecting import Rejected
from streams.lane.revising import Reviser
from streams.lane.verdicts import Admitted
from streams.offsets import Ledger, OffsetTracker
from streams.redaction.redactor import Redactor
from streams.routes import Route
from streams.tracing.traced import Tracing

MOST_LEAD = 0.5
"""Share of the budget by which deadlines are brought forward at most, for the way to the broker."""
MOST_UNSENT = 256
"""Results that may wait to be sent: a batch or two's, some tens of milliseconds' worth."""


class Lane:
    """Ingress, scheduler and publishing of one topic.

    Every record admitted ends as exactly one parcel: a result or a dead letter.

    Args:
        route: The topic, and how its events are treated.
        engine: The model; lanes of one model share it.
        clock: For deadlines (monotonic) and receipts (wall).
        scheduler_settings: Of its queue and batches.
        limits: What is too large to be an event.
        ledger: Follows what is in flight.
        publisher: Takes the parcels.
        device: Where the model runs, shared with other lanes; of its own if none is given.
        cache: Whether content that comes again is answered without the model.
        revisions: Whether lesser answers are followed by better ones.
        quarantine: Takes events that processes died over; none are if it is unset.
        breaker: When events are no longer let in, because too many become dead letters; they always
            are if it is unset.
        redactor: Masks what is published; nothing is if it is unset.
        tracing: Follows events; none are if it is unset.
        linker: Finds the companies that news is about; none are looked for if it is unset.
    """

    def __init__(
        self,
        route: Route,
        *,
        engine: Engine,
        clock: Clock,
        scheduler_settings: SchedulerSettings,
        limits: Limits,
        ledger: Ledger,
        publisher: Outlet,
        device: SharedDevice | None = None,
        cache: Cache | None = None,
        revisions: Revisions | None = None,
        quarantine: Quarantine | None = None,
        breaker: BreakerSettings | None = None,
        redactor: Redactor | None = None,
        tracing: Tracing | None = None,
        linker: Linker | None = None,
    ) -> None:
        self.modality = modality = route.modality
        self.topic = route.topic
        self.engine = engine
        self._metrics = LaneMetrics(route, engine.model.name)
        self._publisher = publisher
        self._outgoing = Outgoing(
            route,
            engine,
            clock,
            ledger=ledger,
            publisher=publisher,
            metrics=self._metrics,
            redactor=redactor,
            linker=linker,
        )
        self._tracing = None
        if tracing is not None:
            self._tracing = tracing.of_topic(
                route, model=engine.model.name, clock=clock, names_events=redactor is None
            )
        cache = cache or Cache(enabled=False)
        self._ingress = Ingress(
            modality=modality,
            engine=engine,
            clock=clock,
            budget_ms=route.budget_ms,
            on_overload=route.on_overload,
            limits=limits,
            reject=self._bury,
            sources=route.sources,
            tells_contents=cache.enabled,
            lead_s=_lead_s(publisher, scheduler_settings.publish_reserve_ms, route.budget_ms),
            refuse=self._refuse,
            ward=quarantine.ward(route.model, engine, self._deliver) if quarantine else None,
            tracing=self._tracing,
        )
        self._known = KnownAnswers(cache, self._ingress.frames, engine.efforts[0], route, clock)
        self.scheduler = Scheduler(
            engine,
            scheduler_settings,
            clock,
            self._deliver,
            observe_batch=self._observe_batch,
            device=device,
            share=route.share,
        )
        breaker = breaker or BreakerSettings(enabled=False)
        self.gate = Gate(route.topic, self.scheduler, breaker, clock)
        self._reviser = None
        if revisions is not None and revisions.enabled:
            self._reviser = Reviser(revisions, self.scheduler, route, clock)

    def admit(self, records: Sequence[ConsumerRecord], tracker: OffsetTracker) -> None:
        """Take in records whose offsets have begun."""
        self._metrics.begun(len(records))
        self._publisher.expect(records, tracker)
        works = self._ingress.admit(records, tracker)
        found = [(work, self._known.find(work)) for work in works]
        # In order: a later image may supersede an earlier one, whichever of them is known.
        for is_unknown, part in groupby(found, key=_is_unknown):
            if is_unknown:
                self.gate.offer([work for work, _ in part])
            else:
                for work, answer in part:
                    self._answer_at_once(work, answer)
        self.gate.note_read(len(works))
        self.gate.judge()
        self._gauge()

    @property
    def is_full(self) -> bool:
        """No room: the lane's partitions should be paused.

        The queue is full; or nothing is let in, for too much has failed; or answers come quicker
        than they can be sent, as they do when most events are shed, and would be late however
        quickly they were found.
        """
        return self.scheduler.full or self._outgoing.waiting >= MOST_UNSENT or self.gate.shut

    @property
    def has_room_again(self) -> bool:
        """Half the room is free: paused partitions should be resumed."""
        has_room = self.scheduler.has_room_again and 2 * self._outgoing.waiting <= MOST_UNSENT
        return has_room and not self.gate.shut

    def _refuse(self, work: Work) -> str | None:
        """Say why an event is not to be read: it cannot be in time, and nothing else is wanted."""
        return None if self._reviser is not None else self.scheduler.refusal(work)

    def withdraw_all(self) -> None:
        """Forget what is queued; what is running ends without effect on closed trackers."""
        self.scheduler.withdraw(lambda _: True)
        self.gate.clear()
        self._ingress.forget()
        if self._reviser is not None:
            self._reviser.clear()
        self._gauge()

    def _answer_at_once(self, work: Work, answer: Completion | None) -> None:
        if work.subject is not None:
            self.scheduler.settle(work.subject)
        if answer is not None:
            self._deliver([answer])

    def _deliver(self, completions: Sequence[Completion]) -> None:
        for completion in completions:
            admitted: Admitted = completion.work.handle
            if admitted.tracker.closed:
                continue
            if admitted.revises is not None:
                self._answer_again(completion)
            elif completion.error is not None:
                self._bury(
                    self._ingress.rejections.of(
                        admitted.record,
                        admitted.tracker,
                        completion.error,
                        event_id=admitted.inbound.event.id,
                        trace=admitted.trace,
                    )
                )
            else:
                self._answer(self._known.rescue(completion))
        self.gate.judge()
        self._gauge()

    def _answer(self, completion: Completion) -> None:
        self._known.note(completion)
        if self._reviser is not None:
            self._reviser.consider(completion)
        is_shed = completion.prediction is None
        by_model = not is_shed and completion.answered_from is AnsweredFrom.MODEL
        self.gate.note_answer(by_model=by_model)
        self._outgoing.answer(completion)

    def _answer_again(self, completion: Completion) -> None:
        """Publish a second answer; where there is none, the first stands."""
        assert self._reviser is not None  # noqa: S101 - it alone asks for second answers
        if completion.prediction is None:
            self._reviser.ended("failed")
            return
        self._known.note(completion)
        self._outgoing.answer_again(completion)
        self._reviser.ended("published")

    def _bury(self, rejected: Rejected) -> None:
        self.gate.note_letter(rejected.letter.error)
        self._outgoing.bury(rejected)

    def _observe_batch(self, run: BatchRun) -> None:
        if self._tracing is not None:
            self._tracing.ran(run)
        self._metrics.ran(run)

    def gauge_costs(self) -> None:
        """Show what batches cost; once a second is often enough."""
        self._metrics.costs(self.scheduler.cost)

    def _gauge(self) -> None:
        self._metrics.gauge(self.scheduler.dispatch.queue, self._known.bytes)


def _lead_s(publisher: Outlet, reserve_ms: float, budget_ms: float) -> Callable[[], float]:
    """Return what says by how many seconds deadlines are brought forward for the way to the broker.

    That is what of it the publish reserve has no room for. After a stall the way is long for a
    moment; no reason to give everything up.
    """
    reserve_s, most_s = reserve_ms / 1e3, MOST_LEAD * budget_ms / 1e3
    return lambda: min(max(0.0, publisher.lead_s - reserve_s), most_s)


def _is_unknown(found: tuple[Work, Completion | None]) -> bool:
    """Say whether a work needs the model."""
    return found[1] is None
