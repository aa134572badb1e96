"""What a trace shows of an event's way: who follows whom, from when to when, and with what."""

import asyncio

import pytest
from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from inference.result_cache import Cache
from inference.revisions import Revisions
from schemas.letters import TRACEPARENT
from streams.redaction.redactor import redactor_of
from streams.redaction.settings import Redaction
from tests.fakes.engine import FakeEngine
from tests.unit.tracing.traced_lane import (
    LETTERS,
    PARENT_ID,
    RESULTS,
    SAMPLED,
    TRACE_ID,
    UNSAMPLED,
    TracedRig,
    parents,
    traced,
    traceparent_of,
)

PROCESS, RUN = "process events.news", "run fake"


def milliseconds(rig: TracedRig, span: ReadableSpan) -> tuple[float, float]:
    """Return when a span began and ended, from the time at which the rig's clock stands now."""
    now = rig.clock.wall()
    return tuple(
        pytest.approx((at or 0) / 1e6 - now * 1e3, abs=0.01)
        for at in (span.start_time, span.end_time)
    )


async def test_an_event_is_followed_from_its_kafka_timestamp_to_the_acknowledgement() -> None:
    """Under the producer's span lie the wait, the model's run and the sending, each in its time."""
    async with traced() as rig:
        rig.send("a")
        await rig.drained()
        rig.clock.advance(0.02)
        spans = await rig.spans(1)
        (event,) = spans[PROCESS]
        assert event.kind is SpanKind.CONSUMER
        assert event.context.trace_id == TRACE_ID
        assert parents([event]) == [PARENT_ID]
        assert event.parent.is_remote
        (model,), (sending,) = spans["model fake"], spans["send results.news"]
        assert parents([model, sending]) == [event.context.span_id] * 2
        assert sending.kind is SpanKind.PRODUCER
        assert milliseconds(rig, event) == (-30, 0)
        assert milliseconds(rig, model) == (-30, -20)
        assert "queue" not in spans, "nothing was waited for"


async def test_an_event_says_where_it_lay_and_how_it_was_answered_and_nothing_of_its_content() -> (
    None
):
    """By the conventions for messaging, and in headrace's own words."""
    async with traced() as rig:
        rig.send("a")
        (event,) = (await rig.spans(1))[PROCESS]
        result = rig.results()[0]
        assert dict(event.attributes) == {
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": "events.news",
            "messaging.destination.partition.id": "3",
            "messaging.kafka.offset": 0,
            "messaging.message.id": "a",
            "messaging.message.body.size": len(b'{"id":"a","headline":"Ferry line a"}'),
            "messaging.consumer.group.name": "desk",
            "headrace.modality": "news",
            "headrace.verdict": "on_time",
            "headrace.budget_ms": 150.0,
            "headrace.total_ms": 10.0,
            "headrace.answered_from": "model",
            "headrace.revision": 0,
            "headrace.model": "fake",
            "headrace.effort": "full",
            "headrace.tokens": 3,
            "headrace.layers": result.effort.layers,
            "headrace.experts": result.effort.experts,
            "headrace.active_share": result.effort.active_share,
        }
        assert event.status.status_code is StatusCode.UNSET


async def test_a_batch_is_linked_to_the_events_that_it_held_and_they_to_it() -> None:
    """It has many parents, so it is a trace of its own."""
    async with traced() as rig:
        rig.engine.hold()
        rig.send("first")
        assert await asyncio.to_thread(rig.engine.wait_until_held)
        rig.send("b", "c")
        rig.send("d", traceparent=UNSAMPLED)
        rig.engine.release()
        spans = await rig.spans(4)
        first, batch = spans[RUN]
        events = {span.attributes["messaging.message.id"]: span for span in spans[PROCESS]}
        assert set(events) == {"first", "b", "c"}
        assert batch.parent is None
        assert batch.context.trace_id not in {TRACE_ID, first.context.trace_id}
        assert [link.context for link in batch.links] == [events[one].context for one in "bc"]
        assert batch.attributes["messaging.batch.message_count"] == 3
        assert batch.attributes["headrace.effort"] == "full"
        models = {span.parent.span_id: span for span in spans["model fake"]}
        of_b = models[events["b"].context.span_id]
        assert [link.context for link in of_b.links] == [batch.context]
        assert (of_b.start_time, of_b.end_time) == (batch.start_time, batch.end_time)


async def test_the_wait_for_the_batch_before_is_a_span() -> None:
    """From ingress to the start of the event's own batch."""
    async with traced() as rig:
        rig.engine.hold()
        rig.send("first")
        assert await asyncio.to_thread(rig.engine.wait_until_held)
        rig.send("b")
        rig.engine.release()
        spans = await rig.spans(2)
        (queue,) = spans["queue"]
        assert milliseconds(rig, queue) == (-20, -10)


async def test_the_result_carries_on_the_trace_of_its_sending() -> None:
    """Whoever reads it goes on below that span, however often the record was made."""
    async with traced() as rig:
        rig.send("a")
        await rig.drained()
        first = rig.headers(RESULTS)[0]
        (sending,) = (await rig.spans(1))["send results.news"]
        assert first["traceparent"] == first["ce_traceparent"] == traceparent_of(sending)
        assert sending.context.trace_id == TRACE_ID


async def test_a_subscriber_goes_on_below_the_sending() -> None:
    """With nothing but OpenTelemetry's own reading of the headers."""
    async with traced() as rig:
        rig.send("a")
        await rig.drained()
        (headers,) = rig.headers(RESULTS)
        (sending,) = (await rig.spans(1))["send results.news"]
    found = get_current_span(propagate.extract(headers)).get_span_context()
    assert (found.trace_id, found.span_id) == (TRACE_ID, sending.context.span_id)
    assert found.is_remote
    assert found.trace_flags.sampled


async def test_an_event_that_is_not_sampled_has_no_spans_and_its_trace_is_passed_on() -> None:
    """As it came, with its flag; a batch of such events has no span either."""
    async with traced(sample_ratio=1.0) as rig:
        rig.send("a", traceparent=UNSAMPLED)
        assert await rig.spans(1) == {}
        assert rig.headers(RESULTS)[0]["traceparent"] == UNSAMPLED


@pytest.mark.parametrize("traceparent", [None, "00-0af7-b7ad-01", SAMPLED.upper(), "nonsense"])
async def test_an_event_without_a_valid_trace_begins_one_by_the_ratio(
    traceparent: str | None,
) -> None:
    """A malformed one is ignored, as W3C says."""
    async with traced(sample_ratio=1.0) as rig:
        rig.send("a", traceparent=traceparent)
        (event,) = (await rig.spans(1))[PROCESS]
        assert event.parent is None
        assert event.context.trace_id not in {0, TRACE_ID}
        assert rig.headers(RESULTS)[0]["traceparent"].split("-")[1] == (
            f"{event.context.trace_id:032x}"
        )
    async with traced(sample_ratio=0.0) as rig:
        rig.send("a", traceparent=traceparent)
        assert await rig.spans(1) == {}
        assert "traceparent" not in rig.headers(RESULTS)[0]


async def test_a_dead_letter_ends_the_trace_as_failed_and_carries_it_on() -> None:
    """The original's trace stays as it was sent; the letter's own stands beside it."""
    async with traced() as rig:
        rig.send("a", text="poison")
        spans = await rig.spans(1)
        (event,), (sending,) = spans[PROCESS], spans["send events.news.dlq"]
        assert event.status.status_code is StatusCode.ERROR
        assert event.status.description is None
        assert event.attributes["error.type"] == "poison"
        assert event.attributes["messaging.message.id"] == "a"
        (headers,) = rig.headers(LETTERS)
        assert headers["traceparent"] == SAMPLED
        assert headers[TRACEPARENT] == traceparent_of(sending)
        assert len(spans[RUN]) == 1


async def test_what_cannot_be_decoded_is_followed_by_its_headers() -> None:
    """The producer finds its mistake in its own trace."""
    async with traced() as rig:
        rig.admit(b"<headline/>", headers=(("traceparent", SAMPLED.encode()),))
        spans = await rig.spans(1)
        (event,) = spans[PROCESS]
        assert parents([event]) == [PARENT_ID]
        assert event.attributes["error.type"] == "undecodable"
        assert rig.headers(LETTERS)[0]["traceparent"] == SAMPLED
        assert "messaging.message.id" not in event.attributes


async def test_a_shed_event_says_so_and_was_part_of_no_batch() -> None:
    """Its wait is all that there is to see."""
    async with traced() as rig:
        await rig.learn_costs()
        rig.send_late("a")
        spans = await rig.spans(4)
        (event,) = spans[PROCESS]
        assert event.attributes["headrace.verdict"] == "shed"
        assert "headrace.effort" not in event.attributes
        assert set(spans) == {PROCESS, "send results.news"}
        assert milliseconds(rig, event)[0] == -60_000


async def test_an_answer_from_the_cache_has_no_run() -> None:
    """The model was not asked."""
    async with traced(cache=Cache()) as rig:
        for _ in range(2):
            rig.admit(
                b'{"id": "a", "headline": "Ferry"}', headers=(("traceparent", SAMPLED.encode()),)
            )
            await rig.drained()
        spans = await rig.spans(2)
        origins = [span.attributes["headrace.answered_from"] for span in spans[PROCESS]]
        assert sorted(origins) == ["cache", "model"]
        assert len(spans[RUN]) == len(spans["model fake"]) == 1


async def test_a_second_answer_lies_below_the_first() -> None:
    """With a run and a sending of its own."""
    async with traced(revisions=Revisions(enabled=True)) as rig:
        await rig.learn_costs()
        rig.send_late("a")
        await rig.until_published(5)
        spans = await rig.spans(5)
        (event,), (again,) = spans[PROCESS], spans["revise events.news"]
        assert parents([again]) == [event.context.span_id]
        assert again.attributes["headrace.revision"] == 1
        assert parents(spans["model fake"]) == [again.context.span_id]
        carried = {one["traceparent"] for one in rig.headers(RESULTS)} - {UNSAMPLED}
        assert carried == {traceparent_of(one) for one in spans["send results.news"]}
        assert len(carried) == 2


@pytest.mark.parametrize("timestamp", [0, 10**15, 2**63 - 1])
async def test_a_timestamp_of_another_unit_spoils_no_other_span(timestamp: int) -> None:
    """Producers put microseconds there, or no time at all; the rest is sent all the same."""
    async with traced() as rig:
        value = b'{"id": "a", "headline": "Ferry", "published_at": "2026-03-02T09:30:00Z"}'
        rig.admit(value, timestamp=timestamp, headers=(("traceparent", SAMPLED.encode()),))
        rig.send("b")
        spans = await rig.spans(2)
    assert len(spans[PROCESS]) == 2
    assert encode_spans([one for some in spans.values() for one in some]).SerializeToString()


async def test_under_redaction_spans_hold_no_ids_of_events() -> None:
    """A receiver of traces sees no more than a subscriber."""
    redactor = redactor_of(Redaction(fields=("id",), modalities=("news",)), "news")
    async with traced(redactor=redactor) as rig:
        rig.send("a")
        rig.send("b", text="poison")
        spans = await rig.spans(2)
        assert len(spans[PROCESS]) == 2
        assert not any("messaging.message.id" in span.attributes for span in spans[PROCESS])
        assert TRACEPARENT in rig.headers(LETTERS)[0]


async def test_what_is_given_up_has_no_span() -> None:
    """Its next owner follows it from the same parent."""
    async with traced(engine=FakeEngine()) as rig:
        rig.send("a")
        await rig.drained()
        rig.ledger.assign([])
        assert PROCESS not in await rig.ended()


async def test_links_of_a_large_batch_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the SDK's limits say; the span tells how many were left out."""
    monkeypatch.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "2")
    async with traced() as rig:
        rig.send("a", "b", "c")
        (batch,) = (await rig.spans(3))[RUN]
        assert (len(batch.links), batch.dropped_links) == (2, 1)
