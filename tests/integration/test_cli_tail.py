"""``headrace tail``: what a topic holds and what comes, for people and for scripts."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import orjson
import pytest

from schemas.events import Modality
from schemas.kafka import Outbound, Record, encode_dead_letter, encode_result
from schemas.results import DeadLetter, Source, Verdict
from streams.broker import RunningBroker
from tests.conftest import TopicFactory
from tests.fakes.results import MOMENT, result
from tests.integration.command import Done, finish, headrace, start
from tests.integration.worker import producing

pytestmark = pytest.mark.broker

Tail = Callable[..., Awaitable[Done]]
LABELS = ("positive", "negative", "neutral", "negative")


@pytest.fixture
async def results(broker: RunningBroker, topic_factory: TopicFactory) -> str:
    """A topic of results with the labels above, the last one late; their ids count from 0."""
    topic = await topic_factory(2, name="results.test")
    published = [
        msgspec.structs.replace(
            result(
                label=label,
                total_ms=10.0 + number * 60,
                verdict=Verdict.LATE if number == 3 else Verdict.ON_TIME,
            ),
            event_id=f"n-{number}",
        )
        for number, label in enumerate(LABELS)
    ]
    await send(broker, topic, *(encode_result(each, key=None) for each in published))
    return topic


@pytest.fixture
def tail(broker: RunningBroker) -> Tail:
    """Follow a topic of the run's broker from its beginning to its end."""

    async def run(topic: str, *options: str) -> Done:
        servers = ("--bootstrap-servers", broker.bootstrap_servers)
        return await headrace("tail", topic, *servers, "--from-beginning", "--until-end", *options)

    return run


async def send(broker: RunningBroker, topic: str, *records: Outbound) -> None:
    """Publish records one after the other."""
    async with producing(broker.bootstrap_servers) as producer:
        for one in records:
            await producer.send_and_wait(topic, one.value, key=one.key, headers=one.headers)


def ids(done: Done) -> set[Any]:
    """Return the events that were printed as JSON."""
    assert done.status == 0, done.stderr
    return {orjson.loads(line)["event_id"] for line in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ((), {"n-0", "n-1", "n-2", "n-3"}),
        (("label=negative",), {"n-1", "n-3"}),
        (("label!=negative",), {"n-0", "n-2"}),
        (("label=negative", "verdict=late"), {"n-3"}),
        (("latency.total_ms>100",), {"n-2", "n-3"}),
        (("label=furious",), set()),
    ],
)
async def test_conditions_choose_among_results(
    tail: Tail, results: str, conditions: tuple[str, ...], found: set[str]
) -> None:
    """One JSON object a line, of those results that every condition holds for."""
    wheres = [word for each in conditions for word in ("--where", each)]
    assert ids(await tail(results, "--json", *wheres)) == found


async def test_a_line_of_json_is_the_result_as_it_was_published(tail: Tail, results: str) -> None:
    """Nothing is left out, so that a script can go on from there."""
    done = await tail(results, "--json", "--where", "event_id=n-3")
    printed = done.last_json
    assert printed["verdict"] == "late"
    assert printed["scores"] == {"negative": 0.9}
    assert printed["source"] == {"topic": "events.news", "partition": 0, "offset": 0}
    assert printed["latency"]["total_ms"] == 190  # type: ignore[index]


async def test_a_limit_ends_the_following(tail: Tail, results: str) -> None:
    """So many records, though the topic holds more."""
    assert len(ids(await tail(results, "--json", "--limit", "3"))) == 3


async def test_people_see_label_verdict_and_time(tail: Tail, results: str) -> None:
    """A line for each result, without colours where there is no terminal."""
    done = await tail(results, "--where", "verdict=late")
    (line,) = done.stdout.splitlines()
    assert line.split()[1:] == ["negative", "0.90", "late", "190", "ms", "n-3"]


async def test_dead_letters_show_what_was_wrong_with_which_bytes(
    tail: Tail, broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Whatever the original holds: it is shown, and the next one too."""
    topic = await topic_factory(name="events.test", suffix=".dlq")
    deep = b'{"id": "x", "z": ' + b"[" * 500 + b"]" * 500 + b"}"
    values = [b'{"id": 7}', deep, b"\xff\x00", b"<headline/>"]
    letters = [
        encode_dead_letter(
            DeadLetter(
                error="undecodable",
                message="value: is not JSON",
                source=Source(topic="events.test", partition=0, offset=number),
                modality=Modality.NEWS,
                failed_at=MOMENT,
            ),
            Record(topic="events.test", value=value),
        )
        for number, value in enumerate(values)
    ]
    await send(broker, topic, *letters)
    done = await tail(topic, "--json")
    assert done.status == 0, done.stderr
    printed = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert [each["value"] for each in printed] == [
        {"id": 7},
        deep.decode(),
        "2 bytes",
        "<headline/>",
    ]
    assert {each["error"] for each in printed} == {"undecodable"}
    people = await tail(topic)
    assert people.stdout.count("value: is not JSON") == len(values)
    assert "events.test/0/3" in people.stdout


async def test_following_begins_with_what_comes_and_ends_with_sigterm(
    broker: RunningBroker, results: str
) -> None:
    """Without --from-beginning the past is passed over; a stop is clean."""
    servers = ("--bootstrap-servers", broker.bootstrap_servers)
    process = await start("tail", results, *servers, "--json")
    assert process.stdout
    reading = asyncio.create_task(process.stdout.readline())
    new = encode_result(msgspec.structs.replace(result(), event_id="new"), key=None)
    async with asyncio.timeout(60):
        while not reading.done():  # it says nothing of when it has begun to follow
            await send(broker, results, new)
            await asyncio.wait([reading], timeout=0.5)
    process.terminate()
    assert (await finish(process)).status == 0
    assert orjson.loads(reading.result())["event_id"] == "new"
