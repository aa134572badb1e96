"""Events that workers died over are tried alone, in a process that may die of them.

1. A journal says which events the engine works on: it is written before, and erased after.
2. A worker that dies leaves its journal. Whoever is given partitions next, on this machine, finds
   the events in it: they are *suspects*.
3. A suspect that is read again waits apart from the others, which go on. A child process with the
   same model tries the suspects one after the other.
4. An answer of the child is the event's answer. If the child dies, the event is a dead letter.
5. The journal says which event is being tried, too. If a trial is the worker's end as well, as
   where the kernel kills all of a container, the event is a dead letter after :data:`MOST_TRIALS`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog

from inference.clock import Clock
from inference.engine import Engine, Prediction
from inference.failure import Failure
from inference.suspects import Suspect, Suspects
from inference.trial import CrashedError, TrialError
from inference.work import Completion, Work
from schemas.kafka import Record
from schemas.results import Source
from streams import metrics
from streams.lane.event_journal import EventJournal, name_of, open_folder
from streams.lane.sessions import Context
from streams.lane.trying import Child
from streams.lane.verdicts import Admitted
from streams.settings import Settings

log = structlog.get_logger(__name__)

MOST_TRIALS = 2
"""Trials that the worker itself may die in."""
RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits before a child that could not load the model is started again."""

Deliver = Callable[[Sequence[Completion]], None]


@dataclass(frozen=True, slots=True)
class _Case:
    work: Work
    context: Context
    ward: "Ward"
    name: bytes

    @property
    def is_over(self) -> bool:
        """Whether its partition belongs to somebody else now, who reads it again."""
        admitted: Admitted = self.work.handle
        return admitted.tracker.closed


class Quarantine:
    """All suspects of a worker, and the child that tries them.

    All methods belong to the event loop.

    Args:
        suspects: Of this machine.
        journal: What the worker's engines work on.
        clock: Of the worker.
        load: Loads a model by its path or name, in the child.
        timeout_s: How long the child may take for an event.
    """

    def __init__(
        self,
        suspects: Suspects,
        journal: EventJournal,
        clock: Clock,
        *,
        load: Callable[[str], Engine],
        timeout_s: float,
    ) -> None:
        self._suspects = suspects
        self.journal = journal
        self._clock = clock
        self._child = Child(load, timeout_s)
        self.known: dict[bytes, Suspect] = {}
        self._cases: deque[_Case] = deque()
        self._apart: set[bytes] = set()
        self._working: asyncio.Task[None] | None = None
        self._failure = Failure()
        self.failure = self._failure.future
        """Fails when what became of a suspect could not be handed over."""

    def ward(self, model: str, engine: Engine, deliver: Deliver) -> "Ward":
        """Return what takes a lane's suspects; see :class:`Ward`."""
        return Ward(self, engine, model, deliver)

    def look(self) -> None:
        """Find what dead processes left; called whenever partitions are handed out."""
        try:
            self.known = self._suspects.look()
        except OSError as error:
            log.warning("suspects_unknown", error=repr(error))
            return
        if self.known:
            shown = sorted(name.decode("utf-8", "replace") for name in self.known)
            log.warning("suspects_found", count=len(shown), events=shown[:10])

    def accuse(self, older_than_s: float = 0.0) -> None:
        """Suspect what the engines hang in, before its partitions are somebody else's.

        Args:
            older_than_s: How long a batch must have been worked on to count as hanging.
        """
        names = self.journal.give_up(older_than_s)
        if not names:
            return
        try:
            self._suspects.accuse(names)
        except OSError as error:
            log.warning("suspects_not_noted", error=repr(error))
        else:
            log.warning("suspects_given_up", count=len(names))

    def take(self, case: _Case) -> None:
        """Try an event when it is its turn."""
        self._cases.append(case)
        self._apart.add(case.name)
        metrics.SUSPECTS_WAITING.set(len(self._cases))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work(), name="quarantine")
            self._failure.watch(self._working)

    def passed(self, topic: str, partition: int, offset: int) -> None:
        """Forget suspects before the place that a partition is read from: they were answered."""
        for name in list(self.known):
            place, _, found = name.decode("utf-8", "replace").rpartition("/")
            is_before = place == f"{topic}/{partition}" and found.isdigit() and int(found) < offset
            if is_before and name not in self._apart:
                self._forget(name)

    @property
    def waiting(self) -> list[Source]:
        """Events that wait for their trial, or are tried; not those that are others' now."""
        return [one.work.handle.inbound.source for one in self._cases if not one.is_over]

    async def close(self) -> None:
        """Stop trying; what was not tried stays suspect."""
        if self._working is not None:
            self._working.cancel()
            # A trial that is under way ends with its child.
            self._child.end()
            await asyncio.gather(self._working, return_exceptions=True)
        self._child.close()
        self._failure.close()

    async def _work(self) -> None:
        try:
            while self._cases:
                case = self._cases[0]
                outcome = None if case.is_over else await self._outcome(case)
                self._cases.popleft()
                self._apart.discard(case.name)
                metrics.SUSPECTS_WAITING.set(len(self._cases))
                # Asked again: it may have been handed over while it was tried.
                if outcome is not None and not case.is_over:
                    self._forget(case.name)
                    _tell(case, outcome)
                    case.ward.deliver_one(outcome)
        finally:
            self._child.end()

    async def _outcome(self, case: _Case) -> Completion | None:
        """Try one event, as often as the child cannot be started; ``None`` if it is over."""
        suspect = self.known.get(case.name) or Suspect(deaths=1)
        if suspect.trials >= MOST_TRIALS:
            died = "died together with its worker"
            return self._judged(case, CrashedError(died, deaths=suspect.deaths), 0.0)
        failures = 0
        while not case.is_over:
            started = self._clock.monotonic()
            try:
                with self.journal.trying(case.name):
                    event = case.work.handle.inbound.event
                    outcome = await self._child.attempt(
                        case.ward.model, event, case.context, deaths=suspect.deaths
                    )
            except TrialError as error:
                wait_s = RETRY_S[min(failures, len(RETRY_S) - 1)]
                failures += 1
                log.error("suspects_wait", error=str(error), retry_in_s=wait_s)  # noqa: TRY400
                await asyncio.sleep(wait_s)
            else:
                return self._judged(case, outcome, self._clock.monotonic() - started)
        return None

    def _judged(self, case: _Case, outcome: Prediction | Exception, took_s: float) -> Completion:
        waited_s = self._clock.monotonic() - case.work.arrival - took_s
        failed = isinstance(outcome, Exception)
        return Completion(
            work=case.work,
            prediction=None if failed else outcome,  # type: ignore[arg-type]
            effort=case.ward.engine.efforts[0],
            error=outcome if failed else None,  # type: ignore[arg-type]
            queue_s=max(0.0, waited_s),
            model_s=took_s,
        )

    def _forget(self, name: bytes) -> None:
        self.known.pop(name, None)
        try:
            self._suspects.forget(name)
        except OSError as error:
            log.warning("suspect_not_forgotten", error=repr(error))


class Ward:
    """The suspects of one lane.

    Args:
        quarantine: Of the worker.
        engine: The lane's.
        model: Path or name that it was loaded from.
        deliver: Takes what becomes of suspects.
    """

    def __init__(
        self, quarantine: Quarantine, engine: Engine, model: str, deliver: Deliver
    ) -> None:
        self._quarantine = quarantine
        self.encoding = quarantine.journal.encoding
        self.engine = engine
        self.model = model
        self._deliver = deliver

    def deliver_one(self, completion: Completion) -> None:
        """Hand over what became of one suspect."""
        self._deliver([completion])

    @property
    def has_suspects(self) -> bool:
        """Whether anything is suspect; hardly ever."""
        return bool(self._quarantine.known)

    def note_place(self, record: Record) -> None:
        """Take note of where a partition is read from."""
        self._quarantine.passed(record.topic, record.partition, record.offset)

    def is_suspect(self, source: Source) -> bool:
        """Say whether processes died while they worked on an event."""
        return name_of(source) in self._quarantine.known

    def try_alone(self, work: Work, context: Context) -> None:
        """Try a suspect; it was not encoded."""
        self._quarantine.take(_Case(work, context, self, name_of(work.handle.inbound.source)))


def _tell(case: _Case, outcome: Completion) -> None:
    name = case.name.decode("utf-8", "replace")
    if isinstance(outcome.error, CrashedError):
        metrics.SUSPECTS.labels("crashed").inc()
        log.error("suspect_crashed", suspect=name, error=str(outcome.error))
    else:
        metrics.SUSPECTS.labels("answered").inc()
        log.info("suspect_answered", suspect=name, failed=outcome.error is not None)


def open_quarantine(
    settings: Settings,
    clock: Clock,
    load: Callable[[str], Engine],
    stack: AsyncExitStack,
) -> Quarantine | None:
    """Return what takes suspects, as the settings say; closed with ``stack``.

    Where nothing can be noted, that is said, and done without.
    """
    if not settings.isolation.enabled:
        return None
    try:
        suspects, journal = open_folder(settings)
    except OSError as error:
        log.warning(
            "no_isolation", error=repr(error), remedy="set state_dir to a directory of this user's"
        )
        return None
    stack.callback(journal.close)
    quarantine = Quarantine(
        suspects, journal, clock, load=load, timeout_s=settings.isolation.timeout_ms / 1e3
    )
    stack.push_async_callback(quarantine.close)
    return quarantine
