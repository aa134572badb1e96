"""What leaves a lane: results and dead letters as parcels, whose acknowledgement ends an event."""

from inference.clock import Clock
from inference.engine import Engine
from inference.work import Completion
from schemas.kafka import Outbound, Record, encode_dead_letter, encode_result
from schemas.results import Classification, DeadLetter
from streams.delivery.protocol import Outlet
from streams.delivery.publisher import Parcel
from streams.entities.linker import Linker
from streams.lane.metrics import LaneMetrics
from streams.lane.rejecting import Rejected
from streams.lane.verdicts import Admitted, to_classification
from streams.offsets import Ledger
from streams.redaction.redactor import Redactor
from streams.routes import Route
from streams.tracing.traced import EventTrace


class Outgoing:
    """Makes the records of one lane when they can leave, and completes offsets when they have.

    Args:
        route: Names the topics of results and dead letters.
        engine: Who answered.
        clock: Results say when they left.
        ledger: Is told of what is complete.
        publisher: Takes the parcels.
        metrics: Of the lane.
        redactor: Masks what is published; nothing is if it is unset.
        linker: Finds the companies that news is about; none are looked for if it is unset.
    """

    def __init__(
        self,
        route: Route,
        engine: Engine,
        clock: Clock,
        *,
        ledger: Ledger,
        publisher: Outlet,
        metrics: LaneMetrics,
        redactor: Redactor | None,
        linker: Linker | None,
    ) -> None:
        self._results = route.results
        self._dead_letters = route.dead_letters
        self._engine = engine
        self._clock = clock
        self._ledger = ledger
        self._publisher = publisher
        self._metrics = metrics
        self._redactor = redactor
        self._link = None if linker is None else linker.link

    @property
    def waiting(self) -> int:
        """Records that are not on their way to the broker yet."""
        publisher = self._publisher
        return publisher.waiting(self._results) + publisher.waiting(self._dead_letters)

    def answer(self, completion: Completion) -> None:
        """Send an event's result; with it the event has ended."""
        admitted: Admitted = completion.work.handle
        tracker, offset = admitted.tracker, admitted.inbound.source.offset
        verdict = ""

        def make() -> Outbound:
            nonlocal verdict
            result = self._classification(completion)
            verdict = result.verdict.value
            self._metrics.made(result, completion)
            return self._outbound(result, admitted)

        def acknowledged() -> None:
            self._metrics.acknowledged(verdict, completion, self._clock.wall() * 1e3)
            if admitted.trace is not None:
                admitted.trace.answered(completion)
            self._ledger.complete(tracker, offset)

        is_shed = completion.prediction is None
        self._publisher.publish(
            Parcel(self._results, make, acknowledged, tracker, offset, patient=is_shed)
        )

    def answer_again(self, completion: Completion) -> None:
        """Send a second result, which no offset waits for."""
        admitted: Admitted = completion.work.handle

        def make() -> Outbound:
            return self._outbound(self._classification(completion), admitted)

        def acknowledged() -> None:
            if admitted.trace is not None:
                admitted.trace.answered(completion)

        self._publisher.publish(
            Parcel(self._results, make, acknowledged, admitted.tracker, patient=True)
        )

    def bury(self, rejected: Rejected) -> None:
        """Send a dead letter; where the broker finds it too large, without the record's value."""
        letter, record, trace = rejected.letter, rejected.record, rejected.trace

        def acknowledged() -> None:
            self._metrics.buried(letter.error)
            if trace is not None:
                trace.buried(letter)
            self._ledger.complete(rejected.tracker, record.offset)

        self._publisher.publish(
            Parcel(
                self._dead_letters,
                lambda: self._letter(letter, record, trace),
                acknowledged,
                rejected.tracker,
                record.offset,
                fallback=lambda: _without_value(self._letter(letter, record, trace)),
                patient=True,
            )
        )

    def _classification(self, completion: Completion) -> Classification:
        return to_classification(
            completion,
            model=self._engine.model,
            labels=self._engine.labels,
            now_ms=self._clock.wall() * 1e3,
            margin_ms=self._publisher.margin_s * 1e3,
            link=self._link,
        )

    def _outbound(self, result: Classification, admitted: Admitted) -> Outbound:
        key = admitted.record.key
        if self._redactor is not None:
            result, key = self._redactor.result(result, key)
        trace, traceparent = admitted.trace, admitted.inbound.traceparent
        if trace is not None:
            traceparent = trace.sends(result)
        return encode_result(result, key=key, traceparent=traceparent)

    def _letter(self, letter: DeadLetter, record: Record, trace: EventTrace | None) -> Outbound:
        traceparent = None if trace is None else trace.sends_letter()
        if self._redactor is not None:
            return self._redactor.letter(letter, record, traceparent=traceparent)
        return encode_dead_letter(letter, record, traceparent=traceparent)


def _without_value(outbound: Outbound) -> Outbound:
    """Keep the letter of a record that the broker finds too large, and say what is missing."""
    size = len(outbound.value or b"")
    note = ("headrace_value_omitted", f"{size} bytes, refused by the broker".encode())
    return Outbound(key=outbound.key, value=b"", headers=[*outbound.headers, note])
