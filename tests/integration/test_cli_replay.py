"""``headrace replay``: every form of log, every kind of line, at the pace that was asked for."""

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from aiokafka import ConsumerRecord

from schemas.events import Modality
from schemas.kafka import Record, decode_event
from streams.broker import RunningBroker
from tests.integration.command import Done, finish, headrace, start
from tests.integration.worker import header, read_all

pytestmark = pytest.mark.broker

T0_MS = 1_772_443_800_000
HEADLINES = ["Harbour operator lifts forecast", "Ferry line cuts its dividend", "Mill reopens"]
FOREIGN = [
    {"text": text, "ts_ms": T0_MS + number * 1_000, "desk": "north"}
    for number, text in enumerate(HEADLINES)
]


def lines_of(*documents: Any) -> bytes:
    """Write a log."""
    return b"".join(orjson.dumps(document) + b"\n" for document in documents)


class Target:
    """A topic of a test's own on the run's broker."""

    def __init__(self, servers: str, topic: str) -> None:
        self.topic = topic
        self._servers = servers
        self.options = ("--to", topic, "--modality", "news", "--bootstrap-servers", servers)

    async def replay(self, log: Path | str, *options: str, given: bytes = b"") -> Done:
        """Replay a log to the topic."""
        return await headrace("replay", str(log), *self.options, *options, given=given)

    async def records(self) -> list[ConsumerRecord[bytes, bytes]]:
        """Read what the topic holds."""
        return await read_all(self._servers, self.topic, {0: 0})

    async def events(self) -> list[Any]:
        """Read what the topic holds as a worker would."""
        return [
            decode_event(
                Record(topic=one.topic, key=one.key, value=one.value, headers=one.headers),
                Modality.NEWS,
                now_ms=one.timestamp,
            )
            for one in await self.records()
        ]


@pytest.fixture
def target(broker: RunningBroker, topic: str) -> Target:
    """A topic of one partition, where order is order."""
    return Target(broker.bootstrap_servers, topic)


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("wire.jsonl", bytes),
        ("wire.jsonl.gz", gzip.compress),
        ("wire.jsonl.zst", zstandard.ZstdCompressor().compress),
        ("-", bytes),
    ],
)
async def test_a_log_in_any_form_arrives_as_events(
    target: Target, tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    """Foreign fields become ours, times become published_at, and lines become ids."""
    log: Path | str = "-"
    if name != "-":
        log = tmp_path / name
        log.write_bytes(pack(lines_of(*FOREIGN)))
    mapped = ("--map", "text=headline,ts_ms=time", "--speed", "max")
    done = await target.replay(log, *mapped, given=lines_of(*FOREIGN) if name == "-" else b"")
    assert done.status == 0, done.stderr
    assert done.stdout.startswith("sent 3, skipped 0, ")
    events = await target.events()
    assert [each.event.headline for each in events] == HEADLINES
    stem = "stdin" if name == "-" else "wire"
    assert [each.event.id for each in events] == [f"{stem}:{number}" for number in (1, 2, 3)]
    times = [each.event_time.timestamp() * 1e3 for each in events]
    assert times == [line["ts_ms"] for line in FOREIGN]


async def test_a_line_that_cannot_be_read_is_named_and_passed_over(
    target: Target, tmp_path: Path
) -> None:
    """An event that breaks its contract is sent as it is; both are told, and the rest goes on."""
    log = tmp_path / "log.jsonl"
    deep = b'{"headline": ' + b"[" * 400 + b"]" * 400 + b"}\n"
    log.write_bytes(
        lines_of(FOREIGN[0]) + b'{"text": \n' + lines_of({"text": " "}) + deep + b"\n[1]\n"
    )
    done = await target.replay(log, "--speed", "max")
    assert done.status == 0
    assert done.stdout.startswith("sent 2, skipped 3, ")
    assert "Traceback" not in done.stderr
    assert "3 lines skipped" in done.stderr
    assert "line 2: is not JSON" in done.stderr
    assert "line 4: cannot be written" in done.stderr
    assert "line 6: " in done.stderr
    assert "line 3: headline: " in done.stderr
    values = [orjson.loads(one.value or b"") for one in await target.records()]
    assert [value["headline"] for value in values] == [HEADLINES[0], " "]


async def test_a_log_of_which_nothing_can_be_sent_fails(target: Target, tmp_path: Path) -> None:
    """Exit code 1, so that a script notices."""
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"time,headline\n9:30,Mill reopens\n")
    done = await target.replay(log)
    assert done.status == 1
    assert done.stdout.startswith("sent 0, skipped 2, ")


async def test_strict_stops_at_the_first_line_that_is_no_good_event(
    target: Target, tmp_path: Path
) -> None:
    """Exit code 1, the line is named, and what came before it was sent."""
    log = tmp_path / "log.jsonl"
    log.write_bytes(lines_of(FOREIGN[0], {"text": ""}, FOREIGN[1]))
    done = await target.replay(log, "--strict", "--speed", "max")
    assert done.status == 1
    assert "line 2: headline" in done.complaint
    assert [each.event.headline for each in await target.events()] == HEADLINES[:1]


async def test_the_gaps_of_the_log_are_kept_and_divided_by_the_speed(
    target: Target, tmp_path: Path
) -> None:
    """Six seconds at ten times the speed: the second event comes after 0.2 s, the third at 0.6."""
    log = tmp_path / "log.jsonl"
    gaps_ms = (0, 2_000, 6_000)
    log.write_bytes(
        lines_of(
            *(
                {"text": text, "ts_ms": T0_MS + gap}
                for text, gap in zip(HEADLINES, gaps_ms, strict=True)
            )
        )
    )
    done = await target.replay(log, "--speed", "10")
    assert done.status == 0
    first, second, third = (one.timestamp for one in await target.records())
    assert 190 <= second - first < 600
    assert 590 <= third - first < 1_500


async def test_a_rate_replaces_the_times_of_the_log(target: Target, tmp_path: Path) -> None:
    """21 events at 50 a second take 0.4 s, though the log says that they came an hour apart."""
    log = tmp_path / "log.jsonl"
    hourly = ({"text": f"Mill {n} reopens", "ts_ms": T0_MS + n * 3_600_000} for n in range(21))
    log.write_bytes(lines_of(*hourly))
    done = await target.replay(log, "--rate", "50")
    assert done.status == 0
    stamps = [one.timestamp for one in await target.records()]
    assert len(stamps) == 21
    assert 380 <= stamps[-1] - stamps[0] < 2_000


async def test_a_limit_and_a_budget_are_those_of_the_events(target: Target, tmp_path: Path) -> None:
    """Only so many are sent, each with its header."""
    log = tmp_path / "log.jsonl"
    log.write_bytes(lines_of(*FOREIGN))
    done = await target.replay(log, "--speed", "max", "--limit", "2", "--budget-ms", "80")
    assert done.status == 0
    assert done.stdout.startswith("sent 2, ")
    assert [header(one, "ce_budgetms") for one in await target.records()] == ["80", "80"]


async def test_a_stop_ends_a_replay_in_order(target: Target, tmp_path: Path) -> None:
    """SIGTERM in the middle of a long gap: what was sent is told, with exit code 0."""
    log = tmp_path / "log.jsonl"
    log.write_bytes(lines_of(FOREIGN[0], FOREIGN[1] | {"ts_ms": T0_MS + 86_400_000}))
    process = await start("replay", str(log), *target.options)
    async with asyncio.timeout(30):
        while not await target.records():  # noqa: ASYNC110 - the broker sets no event of ours
            await asyncio.sleep(0.1)
    process.terminate()
    done = await finish(process)
    assert done.status == 0
    assert done.stdout.startswith("sent 1, ")
