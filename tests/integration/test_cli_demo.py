"""``headrace demo``: one command shows the whole way, and its last line is the account of it."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import orjson
import pytest

from schemas.events import Modality
from streams.broker import RunningBroker, available
from streams.connection import Connection
from streams.models import default_model
from streams.topics import ensure_topics, topics_of
from tests.fakes.small_model import write_small_checkpoint
from tests.integration.command import Done, finish, headrace, start
from tests.integration.worker import LARGEST, PARTITIONS, producing

pytestmark = pytest.mark.timeout(240)

COUNTS = {"events_in", "results", "dead_letters", "lost", "duplicates"}
VERDICTS = {"on_time", "late", "degraded", "shed"}
MEASURES = {"events_per_s", "p50_ms", "p99_ms", "wall_s"}
SUBJECTS = ("Harbour operator", "Ferry line", "Steel mill", "Grain terminal", "Signal maker")
NEWS = ("raises its forecast", "cuts its dividend", "keeps its timetable", "warns of losses")
GOOD, BROKEN = 300, 4


@pytest.fixture(autouse=True)
def _embedded() -> None:
    """Skip where the embedded broker is not installed."""
    if reason := available("embedded"):
        pytest.skip(reason)


def log_lines() -> Iterator[bytes]:
    """Headlines, among them some without text, and one line that is no JSON."""
    for number in range(GOOD):
        text = f"{SUBJECTS[number % 5]} {number} {NEWS[number % 4]}"
        yield orjson.dumps({"uuid": f"w-{number}", "title": text, "ts": 1_772_443_800 + number})
        if number % (GOOD // BROKEN) == 0:
            yield orjson.dumps({"uuid": f"broken-{number}", "title": "  "})
    yield b"end of transmission"


def report_of(done: Done) -> dict[str, object]:
    """Return the last line; check what holds of every demo that went well."""
    assert done.status == 0, done.stderr
    report = done.last_json
    assert set(report) >= COUNTS | VERDICTS | MEASURES
    assert report["lost"] == report["duplicates"] == report["strangers"] == 0
    assert report["events_in"] == report["results"] + report["dead_letters"]  # type: ignore[operator]
    assert report["results"] == sum(report[verdict] for verdict in VERDICTS)  # type: ignore[misc]
    assert 0 < report["p50_ms"] <= report["p99_ms"]  # type: ignore[operator]
    assert "each event answered once, none lost" in done.stderr
    return report


async def test_the_demos_own_log_for_three_seconds() -> None:
    """Each modality that has a model is answered, in one object on stdout."""
    done = await headrace("demo", "--json", "--seconds", "3")
    report = report_of(done)
    assert len(done.stdout.splitlines()) == 1
    served = [each.value for each in Modality if default_model(each)]
    accounts: dict[str, dict[str, object]] = report["modalities"]  # type: ignore[assignment]
    assert list(accounts) == served
    for name, account in accounts.items():
        assert account["results"] > 1, name  # type: ignore[operator]
        # How many are in time is the machine's affair; that all are accounted for is ours.
        assert account["on_time"] + account["degraded"] == round(  # type: ignore[operator]
            account["within_budget"] * account["results"]  # type: ignore[operator]
        )
    assert (report["unserved"] == 0) == (len(served) == len(Modality))
    assert 1 < report["wall_s"] < 15  # type: ignore[operator]


async def test_models_of_ones_own_for_some_modalities(tmp_path: Path) -> None:
    """Events of the others wait in their topics."""
    for name in ("first", "second"):
        write_small_checkpoint(tmp_path / name, checkpoint_name=name)
    done = await headrace(
        *("demo", "--json", "--seconds", "3", "--modality", "news", "--modality", "transcript"),
        *("--model", f"news={tmp_path / 'first'}", "--model", f"transcript={tmp_path / 'second'}"),
    )
    report = report_of(done)
    accounts: dict[str, dict[str, object]] = report["modalities"]  # type: ignore[assignment]
    assert {name: account["model"] for name, account in accounts.items()} == {
        "news": "first 7",
        "transcript": "second 7",
    }
    assert report["unserved"] > 0  # type: ignore[operator]


async def test_a_log_of_ones_own_as_fast_as_it_goes(tmp_path: Path) -> None:
    """Each line is accounted for: answered, a dead letter, or skipped."""
    log = tmp_path / "wire.jsonl"
    log.write_bytes(b"\n".join(log_lines()))
    done = await headrace("demo", "--log", str(log), "--speed", "max", "--json")
    report = report_of(done)
    assert (report["results"], report["dead_letters"]) == (GOOD, BROKEN)
    assert (report["skipped"], report["unserved"]) == (1, 0)
    assert report["shed"] == report["degraded"] == 0
    assert report["events_per_s"] > 0  # type: ignore[operator]
    assert (report["speed"], report["workers"], report["interrupted"]) == ("max", 1, False)


async def test_an_interrupted_demo_accounts_for_what_it_sent(tmp_path: Path) -> None:
    """SIGTERM ends the sending; what was sent is still answered and counted."""
    log = tmp_path / "slow.jsonl"
    hourly = (
        {"id": f"s-{number}", "headline": f"Mill {number} reopens", "ts_ms": number * 3_600_000}
        for number in (490_000, 490_001)
    )
    log.write_bytes(b"\n".join(orjson.dumps(each) for each in hourly))
    process = await start("demo", "--log", str(log), "--speed", "1", "--json")
    assert process.stderr
    said = b""
    while b"1 sent, 1 answered" not in said:
        said = await process.stderr.readline()
        assert said, "the demo ended before it was stopped"
    process.terminate()
    done = await finish(process)
    assert done.status == 0
    report = done.last_json
    assert (report["events_in"], report["results"], report["lost"]) == (1, 1, 0)
    assert report["interrupted"] is True


async def test_a_worker_that_cannot_start_ends_the_demo(tmp_path: Path) -> None:
    """Its last words are handed on, with exit code 2."""
    done = await headrace("demo", "--json", "--model", str(tmp_path))
    assert done.status == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "headrace: the worker did not become ready (exit status 2)" in done.stderr
    assert str(tmp_path) in done.stderr.splitlines()[-1]


@pytest.mark.real_kafka
async def test_two_workers_on_a_broker_that_has_a_past(
    real_kafka: RunningBroker, tmp_path: Path
) -> None:
    """Only the demo's own events are answered and counted, whatever lay on the topics before."""
    servers = real_kafka.bootstrap_servers
    await ensure_topics(
        Connection(servers),
        topics_of(Modality.NEWS),
        partitions=PARTITIONS,
        max_message_bytes=LARGEST,
    )
    async with producing(servers) as producer:
        for number in range(50):
            old = orjson.dumps({"id": f"old-{number}", "headline": "A thing of the past"})
            await producer.send_and_wait("events.news", old)
    log = tmp_path / "wire.jsonl"
    # None that breaks its contract: later tests' groups read these topics from the beginning.
    log.write_bytes(b"\n".join(line for line in log_lines() if b'"w-' in line))
    done = await headrace(
        *("demo", "--log", str(log), "--speed", "max", "--json"),
        *("--workers", "2", "--bootstrap-servers", servers),
    )
    report = report_of(done)
    assert (report["events_in"], report["workers"]) == (GOOD, 2)


async def test_the_page_is_there_while_the_log_is_repeated() -> None:
    """Ctrl-C ends it; what was sent until then is answered and counted."""
    process = await start("demo", "--page", "--json", "--modality", "news")
    assert process.stderr
    async with asyncio.timeout(120):
        line = b""
        while b"http://" not in line:
            line = await process.stderr.readline()
        url = line.decode().split()[-1]
        async with aiohttp.ClientSession() as session, session.get(f"{url}v1/live") as live:
            while not (await live.content.readline()).startswith(b'data: {"rows":[{"id"'):
                pass
    process.send_signal(signal.SIGINT)
    report = report_of(await finish(process))
    assert report["results"]
