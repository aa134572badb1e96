"""The demo itself: a broker, a worker, a replay, and whoever watches."""

import asyncio
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from inference.clock import Clock, SystemClock
from inference.processor import processor_name
from inference.work import OverloadPolicy
from schemas.errors import BrokerError
from schemas.results import Classification
from streams.broker import RunningBroker, open_broker
from streams.clients import open_consumer, open_producer
from streams.connection import Connection
from streams.demo.answers import AnswerReader, Ends, ends_of, start_at
from streams.demo.audit import audit
from streams.demo.log import own_log
from streams.demo.page import open_page
from streams.demo.report import Report
from streams.demo.sending import ModalitySenders
from streams.demo.sent_log import SentLog
from streams.demo.settings import DemoSettings
from streams.demo.tally import SAMPLE_S, Tally
from streams.demo.view import Situation
from streams.demo.window import AnswerWindow
from streams.demo.worker_process import WorkerProcess, running_worker
from streams.replay.sending import Sender
from streams.security import Security
from streams.settings import CONFIG_VARIABLE
from streams.topics import (
    MAX_MESSAGE_BYTES,
    ensure_topics,
    event_topic,
    partition_counts,
    topics_of,
)

LAST_ANSWER_S = 20.0
"""Silence after which events that are still unanswered count as lost."""
POLL_S = 0.05
EMBEDDED_PAUSE_S = 0.01
"""The embedded broker answers empty fetches at once; without a pause a core goes into asking."""


class Demo:
    """One run; ``situation`` and ``tally`` may be watched meanwhile."""

    def __init__(self, settings: DemoSettings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._directory = tempfile.TemporaryDirectory(prefix="headrace-")
        path = settings.log or own_log(Path(self._directory.name))
        self._log = SentLog(str(path), settings, self._clock)
        self._texts: dict[str, str] = {}
        self._window = AnswerWindow() if settings.is_max else None
        # Of its own: on a broker that is given, nobody else's group is joined.
        self._group = f"headrace-demo-{uuid.uuid4().hex[:8]}"
        self.tally = Tally(settings.modalities)
        pace = (
            "as fast as answers come" if settings.is_max else f"at {settings.speed} times its speed"
        )
        name = self._log.name if settings.log else "the demo's own log"
        self.situation = Situation(title=f"{name} {pace}", place="")

    def stop(self) -> None:
        """Send nothing more; what was sent is still answered and counted."""
        self._log.stop()

    async def run(self) -> Report:
        """Show it from the broker's start to the count at the end.

        Raises:
            BrokerError: No broker can be started, or it failed.
            EngineError: The worker ended.
            ConfigurationError: The log cannot be read.
        """
        try:
            return await self._run()
        except KafkaError as error:
            raise BrokerError(f"the broker failed in the middle of the demo: {error!r}") from error

    async def _run(self) -> Report:
        settings = self._settings
        async with AsyncExitStack() as stack:
            directory = Path(stack.enter_context(self._directory))
            stack.callback(self._log.close)
            self.situation.phase = "starting the broker"
            broker = await stack.enter_async_context(
                open_broker(
                    settings.provider,
                    bootstrap_servers=settings.bootstrap_servers,
                    security=settings.security,
                )
            )
            security = Security() if broker.is_ours else settings.security
            connection = Connection(broker.bootstrap_servers, "headrace-demo", security)
            topics = sorted({name for each in settings.log_modalities for name in topics_of(each)})
            await ensure_topics(connection, topics, max_message_bytes=MAX_MESSAGE_BYTES)
            caution = "" if broker.is_kafka else ", for trying out only"
            self.situation.place = f"{broker.provider} broker{caution} · {_count(settings.workers)}"
            if settings.page:
                url = await stack.enter_async_context(open_page(connection))
                self.situation.place += f" · {url}"
            idle_pause_s = 0.0 if broker.is_kafka else EMBEDDED_PAUSE_S
            consumer = await stack.enter_async_context(
                open_consumer(connection, group_id=self._group)
            )
            counts = await partition_counts(connection)
            since = await ends_of(consumer, {topic: counts[topic] for topic in topics})
            read = {event_topic(each) for each in settings.modalities}
            await start_at(consumer, {one: end for one, end in since.items() if one.topic in read})
            environment = {
                "HEADRACE_IDLE_PAUSE_MS": f"{idle_pause_s * 1e3:g}",
                CONFIG_VARIABLE: "",
                **security.variables(),
            }
            worker = await stack.enter_async_context(
                self._worker(broker.bootstrap_servers, directory, environment)
            )
            reader = AnswerReader(
                consumer,
                {one: end for one, end in since.items() if one.topic in self._answer_topics()},
                tally=self.tally,
                texts=self._texts,
                answered=self._answered,
                clock=self._clock,
                idle_pause_s=2 * idle_pause_s,
            )
            async with self._sending(connection) as senders:
                await self._until_answered(senders, reader, worker)
            self.situation.phase = "counting anew from the broker"
            return await self._report(senders, consumer, since, broker)

    def _answer_topics(self) -> set[str]:
        """Return the topics of results and of dead letters."""
        return {topic for each in self._settings.modalities for topic in topics_of(each)[1:]}

    @asynccontextmanager
    async def _worker(
        self, bootstrap_servers: str, directory: Path, environment: dict[str, str]
    ) -> AsyncIterator[WorkerProcess]:
        several = len(self._settings.modalities) > 1
        self.situation.phase = f"loading the model{'s' if several else ''}"
        async with running_worker(
            bootstrap_servers, directory, self._worker_flags(), environment
        ) as worker:
            await worker.until_ready()
            yield worker

    def _worker_flags(self) -> list[str]:
        settings = self._settings
        # A log sent as fast as it goes is to be classified in full, however late.
        policy = OverloadPolicy.LATE if settings.is_max else OverloadPolicy.DEGRADE
        flags = ["--on-overload", policy.value]
        flags += ["--workers", str(settings.workers), "--group", self._group]
        flags += [flag for each in settings.modalities for flag in ("--modality", each.value)]
        return [*flags, *(flag for each in settings.models for flag in ("--model", each))]

    def _answered(self, result: Classification | None) -> None:
        # The number sent is looked up now and then; an answer can come before the next look.
        self.situation.sent = max(self.situation.sent, self.tally.answered)
        if self._window:
            latency = result.latency if result else None
            self._window.answered(
                latency.total_ms if latency else None, latency.budget_ms if latency else 1.0
            )

    @asynccontextmanager
    async def _sending(self, connection: Connection) -> AsyncIterator[ModalitySenders]:
        async with open_producer(connection, max_request_size=MAX_MESSAGE_BYTES) as producer:
            yield ModalitySenders(
                {
                    each: Sender(producer, event_topic(each))
                    for each in self._settings.log_modalities
                },
                frozenset(self._settings.modalities),
                self._window,
                self._texts.__setitem__,
            )

    async def _until_answered(
        self, senders: ModalitySenders, reader: AnswerReader, worker: WorkerProcess
    ) -> None:
        """Replay, and wait for the last answer; a reader or worker that fails ends the demo."""
        self.situation.phase = "running"
        self.situation.started = self._clock.monotonic()
        helpers = [
            asyncio.create_task(reader.run()),
            asyncio.create_task(worker.watch()),
            asyncio.create_task(self._observe(senders)),
        ]
        work = asyncio.create_task(self._send_and_wait(senders))
        try:
            done, _ = await asyncio.wait([work, *helpers], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (work, *helpers):
                task.cancel()
            await asyncio.gather(work, *helpers, return_exceptions=True)

    async def _send_and_wait(self, senders: ModalitySenders) -> None:
        ends = asyncio.get_running_loop()
        timer = (
            ends.call_later(self._settings.seconds, self.stop) if self._settings.seconds else None
        )
        await self._send(senders)
        while self._settings.page and not self._log.stopped:
            await self._send(senders)
        if timer:
            timer.cancel()
        self.situation.phase = "waiting for the last answers"
        quiet_since = self._clock.monotonic()
        while self.tally.answered < senders.sent:
            quiet_since = max(quiet_since, self.tally.last_answer or 0.0)
            if self._clock.monotonic() - quiet_since > LAST_ANSWER_S:
                break
            await asyncio.sleep(POLL_S)
        self._note(senders)
        self.situation.ended = self.tally.last_answer or self._clock.monotonic()

    async def _send(self, senders: ModalitySenders) -> None:
        skipped = await self._log.send(senders)
        self.situation.skipped += skipped

    async def _observe(self, senders: ModalitySenders) -> None:
        while True:
            self._note(senders)
            await asyncio.sleep(SAMPLE_S / 2)

    def _note(self, senders: ModalitySenders) -> None:
        self.situation.sent = senders.sent
        self.situation.unserved = senders.unserved
        self.situation.share_read = self._log.share_read
        self.tally.sample(self._clock.monotonic(), senders.sent)

    async def _report(
        self,
        senders: ModalitySenders,
        consumer: AIOKafkaConsumer,
        since: Ends,
        broker: RunningBroker,
    ) -> Report:
        found = await audit(consumer, since, self._settings.modalities)
        for modality, part in found.items():
            # What the broker has acknowledged and does not hold is lost, too.
            part.lost += max(0, senders.sent_of[modality] - part.events_in)
        situation = self.situation
        situation.phase = "done"
        return Report.of(
            found,
            wall_s=(situation.ended or 0.0) - (situation.started or 0.0),
            unserved=situation.unserved,
            skipped=situation.skipped,
            interrupted=self._log.stopped and not self._settings.seconds,
            speed=self._settings.speed,
            workers=self._settings.workers,
            broker=f"{broker.provider} {broker.version}",
            cpu=processor_name(),
        )


def _count(workers: int) -> str:
    return "1 worker" if workers == 1 else f"{workers} workers"
