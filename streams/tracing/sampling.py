"""Which events are followed: those whose trace says so, and a share of those without one."""

import random
from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    set_span_in_context,
)

_TRACE, _SPAN, _FLAGS = slice(3, 35), slice(36, 52), slice(53, 55)
"""Parts of a ``traceparent``, which lie where they do in every version."""


class Sampling:
    """Decides before a span is made, for most events are not followed.

    Args:
        ratio: Share of the events without a trace that begin one; ``None`` leaves it, and whether
            an event with a trace is followed, to the sampler of the provider.
        draw: Returns a number from 0 up to 1.
    """

    def __init__(self, ratio: float | None, draw: Callable[[], float] = random.random) -> None:
        self._ratio = ratio
        self._draw = draw

    def parent(self, traceparent: str | None) -> Context | None:
        """Return what an event's span begins under; ``None`` if it is not followed.

        Args:
            traceparent: A valid W3C trace context, if there is one.
        """
        if traceparent is None:
            if self._ratio is not None and self._draw() >= self._ratio:
                return None
            return Context()
        flags = TraceFlags(int(traceparent[_FLAGS], 16))
        if self._ratio is not None and not flags.sampled:
            return None
        remote = SpanContext(
            int(traceparent[_TRACE], 16),
            int(traceparent[_SPAN], 16),
            is_remote=True,
            trace_flags=flags,
        )
        return set_span_in_context(NonRecordingSpan(remote), Context())
