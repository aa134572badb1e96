"""What is said over one WebSocket."""

import asyncio
from contextlib import suppress

from aiohttp import WSCloseCode, WSMsgType, web

from schemas.errors import BrokerError, ConfigurationError
from streams import metrics
from streams.gateway import messages
from streams.gateway.asking import asked, resumed, start_of
from streams.gateway.follower import Follower
from streams.gateway.hubs import Hubs
from streams.gateway.messages import Ping, Said, Subscribe, Unsubscribe
from streams.gateway.outbox import Outbox
from streams.gateway.places import Places
from streams.gateway.settings import GatewaySettings, refused_topic
from streams.gateway.silence import Silence
from streams.gateway.wires import Messages, text_message
from streams.subscription import Start


class Talk:
    """One connection.

    Args:
        socket: That is open.
        request: That opened it.
        hubs: What can be followed.
        places: How many streams there may be.
        settings: Limits.
        holder: Who is at the other end.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        request: web.Request,
        *,
        hubs: Hubs,
        places: Places,
        settings: GatewaySettings,
        holder: str,
    ) -> None:
        self._socket = socket
        self._transport = request.transport
        self._drain = request.writer.drain
        self._hubs = hubs
        self._places = places
        self._settings = settings
        self._holder = holder
        self._outbox = Outbox(settings.max_queued_events, settings.max_queued_bytes)
        self._subscriptions: dict[str, asyncio.Task[None]] = {}
        self._followers: dict[str, Follower] = {}

    async def run(self) -> None:
        """Do what the client says until it leaves or is cut."""
        writing = asyncio.create_task(self._write())
        try:
            async for received in self._socket:
                if received.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    await self._hear(received.data)
        finally:
            tasks = [writing, *self._subscriptions.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Say that the gateway stops."""
        self._outbox.end()
        await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"the gateway stops")

    async def _hear(self, text: str | bytes) -> None:
        try:
            await self._do(messages.read(text))
        except ConfigurationError as error:
            self._say("error", messages.id_of(text), error=str(error))

    async def _do(self, said: Said) -> None:
        match said:
            case Ping():
                self._say("pong", None)
            case Subscribe():
                self._subscribe(said)
            case Unsubscribe():
                task = self._subscriptions.get(said.id)
                if task is None:
                    raise ConfigurationError(
                        f"id: {said.id!r} is no subscription; there are "
                        + (", ".join(self._subscriptions) or "none")
                    )
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                self._say("unsubscribed", said.id)

    def _subscribe(self, said: Subscribe) -> None:
        if said.id in self._subscriptions:
            raise ConfigurationError(
                f"id: {said.id!r} is a subscription already; unsubscribe it, or choose another id"
            )
        if why := refused_topic(self._settings, said.topic):
            raise ConfigurationError(why)
        start = start_of(said.topic, messages.start_of(said))
        if said.after is not None:
            start = resumed(said.topic, said.after, field="after")
        over = asyncio.Event()

        def ended(why: str) -> None:
            self._say("ended", said.id, error=why)
            over.set()

        follower = Follower(
            choosing=asked(said.topic, messages.query_of(said.filters), beside=()),
            outbox=self._outbox,
            wire=Messages.of(said.id),
            opened=lambda token: self._say("subscribed", said.id, token=token),
            missed=lambda offsets: self._say("missed", said.id, offsets=offsets),
            cut=lambda: self._cut(said.topic),
            ended=ended,
            sent=metrics.GATEWAY_EVENTS.labels(said.topic).inc,
        )
        following = self._follow(said, follower, start, over)
        self._subscriptions[said.id] = asyncio.create_task(following)

    async def _follow(
        self, said: Subscribe, follower: Follower, start: Start, over: asyncio.Event
    ) -> None:
        try:
            # In one breath with taking it: many that come at once have no places yet.
            if why := self._places.refusal(self._holder):
                raise ConfigurationError(why)  # noqa: TRY301 - told as what else is refused here
            with self._places.taken(self._holder, said.topic):
                async with self._hubs.followed(said.topic, follower, start):
                    self._followers[said.id] = follower
                    await over.wait()
        except (ConfigurationError, BrokerError) as error:
            self._say("error", said.id, error=str(error))
        finally:
            self._followers.pop(said.id, None)
            self._subscriptions.pop(said.id, None)

    def _say(self, name: str, subscription: str | None, **fields: str | int) -> None:
        if not self._outbox.put(text_message(messages.about(name, subscription, **fields))):
            self._cut("")

    def _cut(self, topic: str) -> None:
        metrics.GATEWAY_CUT.labels(topic).inc()
        if self._transport is not None:
            self._transport.abort()

    async def _write(self) -> None:
        """Send what waits, until the client leaves."""
        silence = Silence(self._settings.heartbeat_ms / 1e3, self._tell_positions)
        with suppress(ConnectionError), silence.watched():
            if self._transport is not None:
                await self._outbox.write_to(self._transport, self._drain, silence.broken)

    def _tell_positions(self) -> None:
        """After a silence, move tokens on over what was not asked for."""
        if self._outbox.is_idle:
            for name, follower in self._followers.items():
                self._say("position", name, token=follower.token)
