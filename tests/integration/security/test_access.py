"""A worker on a broker with access rules: what it lacks is named, and may come later."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from schemas.kafka import decode_result
from streams.clients import open_admin
from tests.integration.command import headrace
from tests.integration.security.conftest import PASSWORD, Vault
from tests.integration.security.grants import (
    DESCRIBE,
    GROUP,
    READ,
    TOPIC,
    TRANSACTIONAL_ID,
    WRITE,
    allow,
    withdraw,
)
from tests.integration.worker import RunningWorker, producing, running_worker, wait_for_records

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]
PATIENCE_S = 40.0
READS = (TOPIC, "events.news", READ)
RESULTS = (TOPIC, "results.news", WRITE)
LETTERS = (TOPIC, "events.news.dlq", WRITE)
SHOWN = (TOPIC, "results.news", READ)


def joins(group: str) -> tuple[int, str, int]:
    """The right to be a member."""
    return GROUP, group, READ


def config_of(vault: Vault, group: str) -> str:
    """Write a worker's file; return its path."""
    login = vault.login()
    return vault.file(
        f"{group}.toml",
        f'group = "{group}"\ncreate_topics = false\non_overload = "late"\n[security]\n'
        f'protocol = "sasl_ssl"\nca_file = "{login.ca_file}"\nmechanism = "{login.mechanism}"\n'
        f'username = "ada"\npassword_file = "{login.password_file}"\n',
    )


@pytest.fixture(scope="module")
def topics(vault: Vault) -> Vault:
    """The broker with a worker's topics."""
    asyncio.run(vault.create("events.news", "results.news", "events.news.dlq"))
    return vault


@pytest.fixture
async def admin(topics: Vault) -> AsyncIterator[AIOKafkaAdminClient]:
    """The superuser."""
    async with open_admin(topics.superuser) as client:
        yield client


@asynccontextmanager
async def granted(
    admin: AIOKafkaAdminClient, *rights: tuple[int, str, int]
) -> AsyncIterator[set[tuple[int, str, int]]]:
    """Grant rights; take away at the end what is in the set then."""
    await allow(admin, "ada", *rights)
    left = set(rights)
    try:
        yield left
    finally:
        await withdraw(admin, "ada", *left)


async def until(worker: RunningWorker, status: int, text: str) -> None:
    """Wait for the readiness and for a line in the log."""
    give_up = time.monotonic() + PATIENCE_S
    while await worker.status("/readyz") != status or text not in worker.log.read_text():
        assert worker.process.returncode is None, worker.log.read_text()[-3000:]
        assert time.monotonic() < give_up, worker.log.read_text()[-3000:]
        await asyncio.sleep(0.1)


async def answered(vault: Vault) -> None:
    """Send an event as somebody else, and see that it has its answer."""
    event_id = uuid.uuid4().hex
    servers = vault.superuser.bootstrap_servers
    async with producing(servers) as producer:
        value = orjson.dumps({"id": event_id, "headline": "Harbour operator raises its forecast"})
        await producer.send_and_wait("events.news", value)
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        records = await wait_for_records(servers, "results.news", {0: 0}, 1)
        if event_id in {decode_result(record.value).event_id for record in records}:
            return
        await asyncio.sleep(0.2)
    raise AssertionError("no answer")


async def test_every_right_that_is_missing_is_named(
    topics: Vault, admin: AIOKafkaAdminClient
) -> None:
    """In one line, with what to type; exit code 1, for somebody may grant it."""
    config = config_of(topics, "lacking")
    servers = topics.broker.bootstrap_servers
    arguments = ("run", "--modality", "news", "--bootstrap-servers", servers, "--config", config)
    done = await headrace(*arguments)
    assert done.status == 1
    assert (
        "access: user 'ada' lacks Read on topic events.news, Write on topic results.news, "
        "Write on topic events.news.dlq, Read on group lacking; grant it with `kafka-acls --add "
        "--allow-principal User:ada --operation Read --topic events.news` and so on"
    ) in done.stderr
    async with granted(admin, READS, LETTERS, joins("lacking"), (TOPIC, "results.news", READ)):
        done = await headrace(*arguments)
    assert done.status == 1
    assert "lacks Write on topic results.news; grant" in done.stderr


@pytest.mark.slow
async def test_rights_may_go_and_come_while_a_worker_runs(
    topics: Vault, admin: AIOKafkaAdminClient, tmp_path: Path
) -> None:
    """It says what it lacks, is not ready meanwhile, and goes on by itself; no password is told."""
    log = tmp_path / "worker.log"
    config = config_of(topics, "running")
    rights = (READS, RESULTS, LETTERS, joins("running"), SHOWN)
    async with (
        granted(admin, *rights) as left,
        running_worker(
            topics.broker.bootstrap_servers, log, "--config", config, "--log-level", "debug"
        ) as worker,
    ):
        await answered(topics)
        for right, told in (
            (READS, "access: lacks Read on topic events.news"),
            (joins("running"), "access: lacks Read on group running"),
        ):
            await withdraw(admin, "ada", right)
            await until(worker, 503, told)
            await allow(admin, "ada", right)
            await until(worker, 200, "access_granted")
            await answered(topics)
        tailed = await headrace(
            *("tail", "results.news", "--from-beginning", "--until-end", "--json"),
            *("--config", config),
            HEADRACE_BOOTSTRAP_SERVERS=topics.broker.bootstrap_servers,
        )
        assert tailed.status == 0, tailed.stderr
        assert len(tailed.stdout.splitlines()) >= 3
        await withdraw(admin, "ada", RESULTS)
        left.remove(RESULTS)
        async with producing(topics.superuser.bootstrap_servers) as producer:
            await producer.send_and_wait("events.news", b'{"id": "a", "headline": "A b c"}')
        assert await asyncio.wait_for(worker.process.wait(), PATIENCE_S) == 1
        assert "access: lacks Write on topic results.news" in log.read_text()
        assert PASSWORD not in log.read_text()


async def test_transactions_are_repeated_until_they_are_allowed(
    topics: Vault, admin: AIOKafkaAdminClient, tmp_path: Path
) -> None:
    """Under exactly_once a refused write is no end: the worker waits for the right."""
    log, servers = tmp_path / "worker.log", topics.broker.bootstrap_servers
    flags = ("--config", config_of(topics, "exact"), "--delivery", "exactly_once")
    identity = [(TRANSACTIONAL_ID, "exact/events.news/0", one) for one in (WRITE, DESCRIBE)]
    async with (
        granted(admin, READS, RESULTS, LETTERS, joins("exact"), *identity),
        running_worker(servers, log, *flags) as worker,
    ):
        await answered(topics)
        await withdraw(admin, "ada", RESULTS)
        async with producing(topics.superuser.bootstrap_servers) as producer:
            await producer.send_and_wait("events.news", b'{"id": "a", "headline": "A b c"}')
        await until(worker, 503, "access: lacks Write on topic results.news")
        await allow(admin, "ada", RESULTS)
        await until(worker, 200, "access_granted")
        await answered(topics)
        assert await worker.stop() == 0


async def test_a_supervisor_hands_no_secret_on(
    topics: Vault, admin: AIOKafkaAdminClient, tmp_path: Path
) -> None:
    """Its workers find the password themselves; no command line, log or metric holds it."""
    log, login = tmp_path / "worker.log", topics.login()
    config = topics.file(
        "supervised.toml",
        f'[security]\nprotocol = "SASL_SSL"\nca_file = "{login.ca_file}"\nmechanism = "PLAIN"\n'
        f'username = "ada"\npassword_file = "{login.password_file}"\n',
    )
    flags = ("--config", config, "--workers", "2", "--group", "supervised", "--no-create-topics")
    async with (
        granted(admin, READS, RESULTS, LETTERS, joins("supervised")),
        running_worker(topics.broker.bootstrap_servers, log, *flags) as worker,
    ):
        await answered(topics)
        processes = command_lines(worker.process.pid)
        assert len(processes) >= 3
        assert not any(PASSWORD.encode() in line for line in processes)
        assert not any(PASSWORD in name for name in await worker.metrics())
        assert await worker.stop() == 0
        assert PASSWORD not in log.read_text()


def command_lines(pid: int) -> list[bytes]:
    """Read the command lines of a process and those that it started."""
    own = {pid, *_children(pid)}
    return [Path(f"/proc/{one}/cmdline").read_bytes() for one in own]


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return 0


def _children(pid: int) -> set[int]:
    return {int(one.name) for one in Path("/proc").glob("[0-9]*") if _parent(one) == pid}
