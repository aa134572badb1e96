"""``POST /v1/events/TOPIC``, and ``:batch`` for many at once."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from schemas.errors import (
    BrokerError,
    ContractError,
    HeadraceError,
    OversizedError,
    UndecodableError,
    shown,
)
from schemas.events import Modality
from schemas.limits import DEFAULT_LIMITS
from streams import metrics
from streams.connection import Connection
from streams.gateway.answers import come_again, json_answer, refusal
from streams.gateway.ingest.reading import (
    BATCHED,
    Taken,
    field_of,
    read_many,
    read_one,
    told,
)
from streams.gateway.ingest.receiving import FullError, Held, SlowError, receive
from streams.gateway.ingest.sending import Place, Sender
from streams.gateway.ingest.settings import IngestSettings

EVENTS_PATH = "/v1/events/"
MOST_KEY_CHARS = 1_024


class Ingest:
    """Takes events in.

    Args:
        connection: How to reach the brokers.
        settings: Where to, and how many at once.
        modalities: What each of the topics carries.
        wall: The clock, in seconds since the epoch.
    """

    def __init__(
        self,
        connection: Connection,
        settings: IngestSettings,
        modalities: Mapping[str, Modality],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._modalities = modalities
        self._wall = wall
        self._held = Held(settings.max_unacknowledged_events, settings.max_unacknowledged_bytes)
        self._sender = Sender(connection, settings.timeout_ms, self._held)

    def routes(self) -> list[web.RouteDef]:
        """Return the endpoints."""
        return [
            web.post(EVENTS_PATH + "{topic:[^/:]+}:batch", self._many),
            web.post(EVENTS_PATH + "{topic:[^/:]+}", self._one),
        ]

    async def stop(self) -> None:
        """Take no more."""
        await self._sender.stop()

    async def _one(self, request: web.Request) -> web.StreamResponse:
        if request.content_type == BATCHED:
            return await self._many(request)
        return await self._served(request, self._take_one)

    async def _many(self, request: web.Request) -> web.StreamResponse:
        return await self._served(request, self._take_many)

    async def _served(self, request: web.Request, take: Callable[..., Any]) -> web.StreamResponse:
        topic = request.match_info["topic"]
        modality = self._modalities.get(topic)
        if modality is None:
            there_are = ", ".join(self._modalities) or "none; see gateway.ingest.topics"
            return refusal(
                404,
                "request",
                f"topic: {topic[:249]!r} takes no events over HTTP; there are {there_are}",
            )
        try:
            answer: web.StreamResponse = await take(request, topic, modality)
        except FullError as error:
            answer = come_again(429, "limit", str(error))
        except SlowError as error:
            answer = refusal(408, "request", str(error))
        except BrokerError as error:
            answer = come_again(503, "broker", str(error))
        except ContractError as error:
            answer = _not_accepted(error)
        if not request.content.is_eof():
            answer.force_close()  # rather than read on what is not wanted
        return answer

    async def _take_one(
        self, request: web.Request, topic: str, modality: Modality
    ) -> web.StreamResponse:
        is_camera = modality is Modality.CAMERA
        most = DEFAULT_LIMITS.camera_value_bytes if is_camera else DEFAULT_LIMITS.text_value_bytes
        key = _key(request)
        body = await receive(request, most, self._settings.timeout_ms, self._held)
        try:
            taken = read_one(
                topic,
                modality,
                request.headers,
                body,
                key=key,
                now_ms=int(self._wall() * 1e3),
            )
        finally:
            self._held.release(len(body))
        (found,) = await self._send(topic, [taken])
        if isinstance(found, HeadraceError):
            raise found
        return json_answer(_document(taken, topic, found), status=202)

    async def _take_many(
        self, request: web.Request, topic: str, modality: Modality
    ) -> web.StreamResponse:
        most, key = self._settings.max_batch_bytes, _key(request)
        body = await receive(request, most, self._settings.timeout_ms, self._held)
        try:
            taken, refused = read_many(
                topic,
                modality,
                request.content_type,
                body,
                key=key,
                most=self._settings.max_batch_events,
                now_ms=int(self._wall() * 1e3),
            )
        finally:
            self._held.release(len(body))
        if refused:
            metrics.GATEWAY_REFUSED.labels("event").inc()
            document = {
                "error": f"{len(refused):,} of {len(taken) + len(refused):,} events are not "
                "accepted, and none was sent; mend or leave out those that are named",
                "errors": [one.document() for one in refused],
            }
            return json_answer(document, status=400)
        return _told_of_many(taken, topic, await self._send(topic, taken))

    async def _send(self, topic: str, taken: Sequence[Taken]) -> list[Place | HeadraceError]:
        self._held.take(sum(one.size for one in taken), events=len(taken))
        return await self._sender.send(topic, [one.record for one in taken])


def _key(request: web.Request) -> str | None:
    if unknown := next((name for name in request.query if name != "key"), None):
        raise UndecodableError(f"{shown(unknown)}: is no parameter; there is key", field="query")
    key = request.query.get("key")
    if key is not None and len(key) > MOST_KEY_CHARS:
        raise OversizedError(
            f"key: has {len(key):,} characters; give at most {MOST_KEY_CHARS:,}", field="key"
        )
    return key


def _document(taken: Taken, topic: str, found: Place | HeadraceError) -> dict[str, Any]:
    if isinstance(found, HeadraceError):
        return {"id": taken.event_id, "error": str(found)}
    return {
        "id": taken.event_id,
        "topic": topic,
        "partition": found.partition,
        "offset": found.offset,
    }


def _told_of_many(
    taken: Sequence[Taken], topic: str, found: Sequence[Place | HeadraceError]
) -> web.Response:
    events = [_document(one, topic, at) for one, at in zip(taken, found, strict=True)]
    lost = [one for one in found if isinstance(one, HeadraceError)]
    if not lost:
        return json_answer({"events": events}, status=202)
    told = f"{len(lost):,} of {len(found):,} events are not acknowledged"
    if again := next((one for one in lost if one.retriable), None):
        told += f"; send those that have an error again: {again}"
        return come_again(503, "broker", told, events=events)
    return refusal(413, "event", f"{told}: {lost[0]}", events=events)


def _not_accepted(error: ContractError) -> web.Response:
    metrics.GATEWAY_REFUSED.labels("event").inc()
    status = 413 if isinstance(error, OversizedError) else 400
    if error.field == "content-type":
        status = 415
    return json_answer({"error": told(error), "field": field_of(error)}, status=status)
