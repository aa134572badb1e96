"""OpenTelemetry traces: from the producer's ``traceparent`` through queue, batch and publishing.

Off unless ``tracing.endpoint`` is set. What does the following is imported only then, since it
needs the extra ``tracing``: the rest of the worker knows :mod:`streams.tracing.traced` alone.
"""
