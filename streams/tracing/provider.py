"""Where spans come from and go to: the SDK's providers, with its samplers and limits."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Mapping
from importlib.metadata import version

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import Tracer

from inference.clock import Clock
from schemas.errors import ConfigurationError
from streams.routes import Route
from streams.tracing.exporting import BoundedProcessor
from streams.tracing.sampling import Sampling
from streams.tracing.settings import DEFAULT_RATIO, TracingSettings
from streams.tracing.spans import TopicSpans

log = structlog.get_logger(__name__)

NAME = "headrace"
"""Of the service, where nobody names it, and of what makes the spans."""


def to_receiver(
    settings: TracingSettings, headers: Mapping[str, str] | None, *, group: str
) -> "Provider":
    """Return a provider whose spans go to the receiver that the settings name.

    Raises:
        ConfigurationError: The environment's variables for OpenTelemetry cannot be used.
    """
    try:
        exporter = OTLPSpanExporter(endpoint=settings.url, headers=headers)
        return Provider(settings, exporter, group=group)
    except (ValueError, RuntimeError) as error:
        raise ConfigurationError(
            f"tracing.endpoint: traces cannot be sent as the environment's OTEL_ variables say: "
            f"{error}; mend or unset them"
        ) from error


class Provider:
    """Traces of a worker; see :class:`streams.tracing.traced.Tracing`.

    Args:
        exporter: Takes the spans; called on a thread of its own.
        group: Consumer group of the worker.
    """

    def __init__(self, settings: TracingSettings, exporter: SpanExporter, *, group: str) -> None:
        self._group = group
        ratio = _ratio(settings)
        self._sampling = Sampling(ratio)
        self._processor = BoundedProcessor(exporter, settings.max_queued_spans)
        self._resource = _resource(settings.service_name)
        # What a ratio does not let through never comes so far.
        self._events = self._tracer(None if ratio is None else ParentBased(ALWAYS_ON))
        self._batches = self._tracer(ALWAYS_ON)

    def of_topic(self, route: Route, *, model: str, clock: Clock, names_events: bool) -> TopicSpans:
        """Return what follows a topic's events."""
        return TopicSpans(
            self._events,
            self._batches,
            self._sampling,
            route=route,
            model=model,
            group=self._group,
            clock=clock,
            names_events=names_events,
        )

    async def close(self, timeout_s: float) -> None:
        """Send what waits; what is left when time is over is given up and counted."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def shut_down() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]
            with contextlib.suppress(RuntimeError):  # the loop has ended without us
                loop.call_soon_threadsafe(ended.set)

        # A daemon: a receiver that does not answer must not keep the process from ending.
        threading.Thread(target=shut_down, name="headrace-traces", daemon=True).start()
        try:
            async with asyncio.timeout(timeout_s):
                await ended.wait()
        except TimeoutError:
            spans = self._processor.give_up()
            log.warning("traces_given_up", spans=spans, waited_s=round(timeout_s, 3))

    def _tracer(self, sampler: Sampler | None) -> Tracer:
        provider = TracerProvider(sampler, self._resource, shutdown_on_exit=False)
        provider.add_span_processor(self._processor)
        return provider.get_tracer(NAME, version(NAME))


def _ratio(settings: TracingSettings) -> float | None:
    """Return the share of events that begin a trace; ``None`` if the environment says it."""
    if settings.sample_ratio is not None:
        return settings.sample_ratio
    return None if os.environ.get("OTEL_TRACES_SAMPLER", "").strip() else DEFAULT_RATIO


def _resource(service_name: str | None) -> Resource:
    """Return what all spans of this process have in common."""
    named = {} if service_name is None else {"service.name": service_name}
    found = Resource.create({"service.version": version(NAME), **named})
    if str(found.attributes["service.name"]).startswith("unknown_service"):
        found = found.merge(Resource({"service.name": NAME}))
    return found
