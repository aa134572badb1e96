"""A run: a stream, its workers, faults on a schedule, and the audit."""

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from aiokafka.admin import NewTopic

from schemas.errors import ConfigurationError, EngineError
from streams.broker import RunningBroker, open_broker
from streams.broker.ports import LOOPBACK
from streams.clients import open_admin
from streams.connection import Connection
from streams.topics import until_led
from tests.faults import auditing, recovery
from tests.faults.auditing import SETTLE_MS, Findings, Promises
from tests.faults.injecting import Done, Stage
from tests.faults.inputs import Input
from tests.faults.member import End, Member
from tests.faults.proxy import Proxy, proxy_port
from tests.faults.reading import Topics, read_answers, read_events
from tests.faults.recovery import Recovery
from tests.faults.sampling import Sampler
from tests.faults.schedule import ON_INPUT, Fault

TOPICS = Topics("events.news", "results.news", "events.news.dlq", partitions=6)
GROUP = "faults"
LEAD_S = 2.0
"""The stream flows for so long before the first fault."""
READY_S = 60.0
SETTLE_S = 120.0
"""What was left behind has to be worked off within this after the last fault."""
AT_LEAST_ONCE, EXACTLY_ONCE = "at_least_once", "exactly_once"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run.

    Attributes:
        model: A checkpoint.
        rate: Events a second.
        session_ms: The workers' session time-out.
        static: Every worker has a place of its own in the group.
        settings: Lines of TOML for the workers.
        open_broker: Opens an Apache Kafka that advertises the port that it is told.
        directory: Takes logs, settings and what was found.
        keep_data: The broker's data stay there too.
        told: Hears of every fault, with how many events are behind, and of the start.
    """

    faults: list[Fault]
    seed: int
    workers: int
    model: str
    rate: float = 150.0
    session_ms: int = 2_000
    delivery: str = AT_LEAST_ONCE
    ordered: bool = False
    static: bool = False
    settings: str = ""
    open_broker: Callable[..., AbstractAsyncContextManager[RunningBroker]] = open_broker
    directory: Path
    keep_data: bool = False
    told: Callable[[Done, int], None] = lambda *_: None
    ended: Callable[[End], None] = lambda _: None
    began: Callable[[], None] = lambda: None

    @property
    def promises(self) -> Promises:
        """What is held against the answers."""
        return Promises(exactly_once=self.delivery == EXACTLY_ONCE, ordered=self.ordered)


@dataclass
class Outcome:
    """What became of it.

    Attributes:
        broken: Promises that were broken, in words.
        ends: Workers that ended by themselves.
        tracebacks: What workers logged with one, and how often.
        seconds: From the first event to the last answer.
    """

    found: Findings
    kills: list[Recovery]
    done: list[Done]
    broken: list[str] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    tracebacks: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def require_delivery(delivery: str) -> list[str]:
    """Return the flags of ``headrace run`` for a delivery mode.

    Raises:
        ConfigurationError: This headrace does not know it.
    """
    if delivery == AT_LEAST_ONCE:
        return []
    told = subprocess.run(
        [sys.executable, "-m", "streams.cli", "run", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if "--delivery" not in told:
        raise ConfigurationError(
            f"--delivery {delivery}: `headrace run` has no such option in this version; "
            f"leave it out, or say {AT_LEAST_ONCE}"
        )
    return ["--delivery", delivery]


async def run(plan: Plan) -> Outcome:
    """Play the schedule, wait until all is worked off, and audit.

    Raises:
        ConfigurationError: The delivery mode is not known to the workers.
        BrokerError: There is no Apache Kafka to be had.
    """
    flags = [*_flags(plan), *require_delivery(plan.delivery)]
    chance = random.Random(plan.seed)  # noqa: S311 - no secret
    async with _broker_behind_proxy(plan, chance) as (broker, proxy):
        direct = broker.check_address
        assert direct
        await _make_topics(direct)
        ends: list[End] = []

        def ended(end: End) -> None:
            if not end.asked:
                ends.append(end)
                plan.ended(end)

        def member(name: str) -> Member:
            guest = Member(
                name,
                ["--bootstrap-servers", f"{LOOPBACK}:{proxy.port}", *flags],
                plan.directory,
                ended,
                {"HEADRACE_GROUP_INSTANCE_ID": name.replace(" ", "-")} if plan.static else {},
            )
            everyone.append(guest)
            return guest

        everyone: list[Member] = []
        members = [member(f"worker {number}") for number in range(plan.workers)]
        stream = Input(direct, TOPICS.events, plan.rate, plan.seed)
        sampler = Sampler(direct, GROUP, TOPICS.events)
        stage = Stage(
            broker,
            proxy,
            members,
            stream,
            plan.directory,
            chance,
            guest=member,
            told=lambda done: plan.told(done, stream.sent - sum(sampler.committed.values())),
        )
        async with _running(members, stream, sampler) as sending:
            started = time.monotonic()
            await asyncio.sleep(LEAD_S)
            plan.began()
            await stage.play(plan.faults)
            broken = await _settle(stage, sampler, sending)
        seconds = time.monotonic() - started
        broken += [done.failed for done in stage.done if done.failed]
        broken += [f"{one.name}: {line}" for one in everyone for line in one.crashes]
        outcome = await _audited(plan, direct, stage, sampler)
        outcome.broken += broken
        outcome.tracebacks.update(line for one in everyone for line in one.tracebacks)
        outcome.ends, outcome.seconds = ends, seconds
        return outcome


def _flags(plan: Plan) -> list[str]:
    config = plan.directory / "headrace.toml"
    order = "preserve_ordering = true\n" if plan.ordered else ""
    config.write_text(
        f"session_timeout_ms = {plan.session_ms}\ncreate_topics = false\n"
        f'cost_state = "{plan.directory / "costs"}"\n{order}{plan.settings}\n',
        "utf-8",
    )
    return [
        *("--config", str(config), "--group", GROUP, "--modality", "news"),
        *("--model", f"news={plan.model}", "--log-format", "json"),
    ]


@asynccontextmanager
async def _broker_behind_proxy(
    plan: Plan, chance: random.Random
) -> AsyncIterator[tuple[RunningBroker, Proxy]]:
    port = proxy_port(chance)
    data = plan.directory / "kafka" if plan.keep_data else None
    async with plan.open_broker(advertised_port=port, data_dir=data) as broker:
        proxy = Proxy(port, int(broker.bootstrap_servers.rpartition(":")[2]))
        await proxy.start()
        try:
            yield broker, proxy
        finally:
            await proxy.close()


async def _make_topics(servers: str) -> None:
    """Results are stamped by the broker: that is what verdicts are compared with."""
    stamped = {"message.timestamp.type": "LogAppendTime"}
    kinds = {TOPICS.events: {}, TOPICS.results: stamped, TOPICS.letters: stamped}
    async with open_admin(Connection(servers, "faults")) as admin:
        await admin.create_topics(
            [
                NewTopic(name, TOPICS.partitions, 1, topic_configs=configs)
                for name, configs in kinds.items()
            ]
        )
        await until_led(admin, list(kinds))


@asynccontextmanager
async def _running(
    members: list[Member], stream: Input, sampler: Sampler
) -> AsyncIterator["asyncio.Task[None]"]:
    """Run the workers until they share all partitions, then the stream; end what is left."""
    async with AsyncExitStack() as stack:
        for one in members:
            one.start()
            stack.push_async_callback(one.kill)
        await _until_shared(members)
        sampling = asyncio.create_task(sampler.run(), name="sampler")
        stack.callback(sampling.cancel)
        sending = asyncio.create_task(stream.run(), name="stream")
        stack.callback(sending.cancel)
        yield sending


async def _until_shared(members: list[Member]) -> None:
    """Wait until the workers own all partitions.

    Raises:
        EngineError: They don't in time; with the last lines of a log.
    """
    try:
        async with asyncio.timeout(READY_S):
            while sum(len(one.owned) for one in members) != TOPICS.partitions:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError:
        last = "\n".join(members[0].log.read_text("utf-8").splitlines()[-8:])
        raise EngineError(
            f"the workers do not share the partitions; the log of one:\n{last}"
        ) from None


async def _settle(stage: Stage, sampler: Sampler, sending: "asyncio.Task[None]") -> list[str]:
    """Heal everything, let what is behind be worked off, stop the workers drained."""
    stage.proxy.heal()
    await stage.proxy.start()
    stage.input.stop()
    broken = []
    async with asyncio.timeout(SETTLE_S):
        await sending
    ends = dict.fromkeys(range(TOPICS.partitions), 0)
    for partition, offset in stage.input.acknowledged:
        ends[partition] = max(ends[partition], offset + 1)
    try:
        async with asyncio.timeout(SETTLE_S):
            while any(  # noqa: ASYNC110 - the group says when
                sampler.committed.get(one, 0) < end for one, end in ends.items()
            ):
                await asyncio.sleep(0.1)
    except TimeoutError:
        broken.append(f"after {SETTLE_S:g} s without faults events are still not committed")
    await _until_shared(stage.members)  # the last fault may have been a restart
    for one in stage.members:
        code = await one.stop()
        if code != 0:
            broken.append(f"{one.name}: a stop with nothing left to do ended with {code}")
    return broken


async def _audited(plan: Plan, servers: str, stage: Stage, sampler: Sampler) -> Outcome:
    events = await read_events(servers, TOPICS)
    answers = await read_answers(servers, TOPICS, "read_committed")
    found = auditing.audit(
        events,
        answers,
        uncommitted=await read_answers(servers, TOPICS, "read_uncommitted"),
        samples=sampler.samples,
        disturbed=[
            (done.began * 1e3, done.ended * 1e3 + SETTLE_MS)
            for done in stage.done
            if done.fault.kind not in ON_INPUT
        ],
        acknowledged=stage.input.acknowledged,
    )
    findings = plan.directory / "findings.json"
    findings.write_bytes(orjson.dumps(found.examples, option=orjson.OPT_INDENT_2))
    kills = recovery.recoveries(stage.done, events, answers)
    return Outcome(
        found,
        kills,
        stage.done,
        found.broken(plan.promises),
    )
