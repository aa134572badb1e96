"""A receiver of traces as a collector is one: OTLP over HTTP on a port of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

MEDIA_TYPE = "application/x-protobuf"


@dataclass
class Receiver:
    """What came in.

    Attributes:
        port: On loopback.
        status: What it answers.
        spans: All, in the order in which they came.
        resources: Attributes of the processes that sent them.
        headers: Of each request, with names in small letters.
    """

    port: int = 0
    status: int = 200
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, object]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        """As the settings have it."""
        return f"http://127.0.0.1:{self.port}"

    async def take(self, request: web.Request) -> web.Response:
        """Take one request."""
        assert request.content_type == MEDIA_TYPE
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        sent = ExportTraceServiceRequest.FromString(await request.read())
        if self.status == 200:
            for group in sent.resource_spans:
                self.resources.append(attributes_of(group.resource.attributes))
                for scope in group.scope_spans:
                    self.spans += scope.spans
        body = ExportTraceServiceResponse().SerializeToString()
        return web.Response(status=self.status, body=body, content_type=MEDIA_TYPE)

    def named(self, name: str) -> list[Span]:
        """Return the spans of a name."""
        return [span for span in self.spans if span.name == name]

    async def until(self, name: str, count: int, timeout_s: float = 30) -> list[Span]:
        """Wait for so many spans of a name."""
        async with asyncio.timeout(timeout_s):
            while len(self.named(name)) < count:  # noqa: ASYNC110 - they come from outside
                await asyncio.sleep(0.05)
        return self.named(name)


def attributes_of(values: "list[KeyValue]") -> dict[str, object]:
    """Return attributes as plain values."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in values}


@asynccontextmanager
async def receiving(status: int = 200) -> AsyncIterator[Receiver]:
    """Listen until the test ends."""
    receiver = Receiver(status=status)
    app = web.Application()
    app.router.add_post("/v1/traces", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()
