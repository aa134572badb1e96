"""``headrace dlq``: letters found, read and sent in again, once each."""

import asyncio
import struct
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from schemas.events import Modality
from schemas.kafka import Outbound, Record, encode_dead_letter, previous_attempts
from schemas.letters import VALUE_OMITTED
from schemas.results import DeadLetter, Source
from streams.broker import RunningBroker
from streams.connection import Connection
from streams.consumed import to_record
from streams.dead_letters.marks import marks_topic
from streams.topics import dead_letter_topic, ensure_topics
from tests.conftest import TopicFactory
from tests.fakes.results import MOMENT
from tests.integration.command import Done, headrace
from tests.integration.worker import ends_of, producing, read_all

pytestmark = pytest.mark.broker

VALUES = (b'{"id": "n-0", "headline": ""}', b"\xff\x00\x1b[2J", b'{"id": "n-2"}', b"<headline/>")
ERRORS = ("invalid", "undecodable", "poison", "undecodable")
ESCAPE = "\x1b"


@dataclass
class Topics:
    """An input topic of two partitions and its dead letters."""

    servers: str
    events: str
    letters: str

    @property
    def dlq(self) -> tuple[str, ...]:
        """What every command on the letters takes."""
        return self.letters, "--bootstrap-servers", self.servers

    async def run(self, command: str, *options: str) -> Done:
        """Run ``headrace dlq COMMAND`` on the letters."""
        return await headrace("dlq", command, *self.dlq, *options)

    async def listed(self, *options: str) -> list[dict[str, Any]]:
        """Return the letters as JSON."""
        done = await self.run("list", "--json", *options)
        assert done.status == 0, done.stderr
        return [orjson.loads(line) for line in done.stdout.splitlines()]

    async def sent_in(self) -> list[Record]:
        """Return what the input topic holds."""
        records = await read_all(self.servers, self.events, {0: 0, 1: 0})
        return [to_record(one) for one in records]

    async def put(self, *letters: Outbound) -> None:
        """Publish letters."""
        async with producing(self.servers) as producer:
            for one in letters:
                await send(producer, self.letters, one)

    def letter(self, number: int, **fields: Any) -> Outbound:
        """Make the letter of one of the values above, which came from partition 1."""
        known = {"error": ERRORS[number], "message": f"what was wrong with {number}"}
        letter = DeadLetter(
            **known | fields,
            event_id=f"n-{number}",
            source=Source(topic=self.events, partition=1, offset=number),
            modality=Modality.NEWS,
            failed_at=MOMENT,
            stack_digest="3f2a91c07d5e" if ERRORS[number] == "poison" else None,
        )
        return encode_dead_letter(letter, self.original(number))

    def original(self, number: int) -> Record:
        """Return the record that a letter is of."""
        return Record(
            topic=self.events,
            partition=1,
            offset=number,
            key=b"k-%d" % number,
            value=VALUES[number],
            headers=[("ce_budgetms", b"80"), ("empty", None), ("odd", b"\xff\x1b[2J")],
        )


Make = Callable[[], Awaitable[Topics]]


@pytest.fixture
async def topics(broker: RunningBroker, topic_factory: TopicFactory) -> Topics:
    """Return a dead letter topic with a letter of each value."""
    events = await topic_factory(2, name="events.test")
    letters = dead_letter_topic(events)
    await ensure_topics(Connection(broker.bootstrap_servers), [letters], partitions=1)
    made = Topics(broker.bootstrap_servers, events, letters)
    await made.put(*(made.letter(number) for number in range(len(VALUES))))
    return made


async def send(producer: AIOKafkaProducer, topic: str, one: Outbound) -> None:
    """Publish a record as it is."""
    await producer.send_and_wait(topic, one.value, key=one.key, headers=one.headers)


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ((), [0, 1, 2, 3]),
        (("error=undecodable",), [1, 3]),
        (("error!=undecodable", "attempts=1"), [0, 2]),
        (("event_id=n-2",), [2]),
        (("source_offset>1", "source_partition=1", "error=undecodable"), [3]),
        (("redriven=true",), []),
        (("modality=camera",), []),
        (("stack_digest=3f2a91c07d5e",), [2]),
    ],
)
async def test_conditions_choose_among_letters(
    topics: Topics, conditions: tuple[str, ...], found: list[int]
) -> None:
    """One JSON object a line, of those letters that every condition holds for."""
    wheres = [word for each in conditions for word in ("--where", each)]
    listed = await topics.listed(*wheres)
    assert [each["source_offset"] for each in listed] == found
    assert all(each["source_topic"] == topics.events for each in listed)


async def test_people_see_a_table_with_the_newest_last(topics: Topics) -> None:
    """When, which, where from, what and how often; a limit keeps the newest, and says so."""
    done = await topics.run("list", "--limit", "2")
    assert done.status == 0
    heading, *rows = done.stdout.splitlines()
    assert heading.split("  ")[0] == "failed at"
    assert [row.split()[2:8] for row in rows] == [
        ["0/2", f"{topics.events}/1/2", "n-2", "poison", "1", "what"],
        ["0/3", f"{topics.events}/1/3", "n-3", "undecodable", "1", "what"],
    ]
    assert "the newest 2 of 4" in done.stderr


async def test_letters_are_counted_by_what_they_have_in_common(topics: Topics) -> None:
    """The most frequent first; those without it count too."""
    counted = [
        (each["error"], each["count"], each["newest"]["source_offset"])
        for each in await topics.listed("--by", "error")
    ]
    assert counted[0] == ("undecodable", 2, 3)
    assert sorted(counted[1:]) == [("invalid", 1, 0), ("poison", 1, 2)]
    done = await topics.run("list", "--by", "stack_digest")
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:]] == [
        ["-", "3"],
        ["3f2a91c07d5e", "1"],
    ]


async def test_a_letter_is_shown_in_full_and_harms_no_terminal(
    topics: Topics, tmp_path: Path
) -> None:
    """Key, headers and value are readable; what a terminal would obey is written out."""
    done = await topics.run("show", "0/1")
    assert done.status == 0
    assert ESCAPE not in done.stdout
    told = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line)
    assert told["source"] == f"{topics.events}/1/1"
    assert told["ce_budgetms"] == "80"
    assert told["empty"] == "null"
    assert "6 bytes: ff 00 1b 5b 32 4a" in done.stdout
    saved = tmp_path / "value"
    done = await topics.run("show", "n-0", "--save", str(saved))
    assert '"headline": ""' in done.stdout
    assert saved.read_bytes() == VALUES[0]


async def test_an_image_is_told_by_its_size(topics: Topics) -> None:
    """Never its bytes."""
    header = struct.pack(">II5B", 640, 480, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    png += struct.pack(">I", zlib.crc32(chunk))
    letter = topics.letter(2)
    await topics.put(Outbound(key=None, value=png, headers=letter.headers))
    done = await topics.run("show", "0/4")
    assert f"image/png, 640 x 480 pixels, {len(png)} bytes" in done.stdout


async def test_originals_are_sent_in_again_once_each(topics: Topics) -> None:
    """Byte for byte, into their partitions; a second call finds nothing left to do."""
    done = await topics.run("redrive", "--dry-run")
    assert done.status == 0
    assert f"would send 4 to {topics.events}" in done.stdout
    assert await topics.sent_in() == []
    done = await topics.run("redrive", "--where", "error=undecodable")
    assert done.status == 0, done.stderr
    assert f"sent 2 to {topics.events}" in done.stdout
    done = await topics.run("redrive")
    assert f"sent 2 to {topics.events}" in done.stdout
    assert "passed over 2 that were sent before" in done.stdout
    done = await topics.run("redrive")
    assert "sent none" in done.stdout
    assert "passed over 4" in done.stdout
    sent = await topics.sent_in()
    assert [(one.partition, one.key) for one in sent] == [
        (1, b"k-1"),
        (1, b"k-3"),
        (1, b"k-0"),
        (1, b"k-2"),
    ]
    for one in sent:
        number = int((one.key or b"")[2:])
        assert one.value == VALUES[number]
        *own, attempts = one.headers
        assert tuple(own) == tuple(topics.original(number).headers)
        assert attempts[0] == "headrace_attempts"
        assert previous_attempts(one) == 1
    assert {each["redriven"] for each in await topics.listed()} == {True}


async def test_a_new_letter_of_the_same_event_is_sent_in_again(topics: Topics) -> None:
    """It failed once more: its attempts add up, and it is a letter of its own."""
    assert (await topics.run("redrive", "--where", "event_id=n-0")).status == 0
    (again,) = await topics.sent_in()
    letter = topics.letter(0)
    failed = DeadLetter(
        error="invalid",
        message="still wrong",
        event_id="n-0",
        source=Source(topic=topics.events, partition=1, offset=0),
        modality=Modality.NEWS,
        failed_at=MOMENT,
    )
    await topics.put(encode_dead_letter(failed, again))
    done = await topics.run("redrive", "--where", "event_id=n-0", "--where", "attempts=2")
    assert f"sent 1 to {topics.events}" in done.stdout
    assert [previous_attempts(one) for one in await topics.sent_in()] == [1, 2]
    assert {one.value for one in await topics.sent_in()} == {letter.value}


async def test_letters_can_go_to_another_topic(topics: Topics, topic_factory: TopicFactory) -> None:
    """One that exists."""
    other = await topic_factory(3, name="events.other")
    assert "no-such" in (await topics.run("redrive", "--to", "no-such")).complaint
    done = await topics.run("redrive", "--to", other, "--limit", "3")
    assert done.status == 0
    assert f"sent 3 to {other}" in done.stdout
    assert sum((await ends_of(topics.servers, other, 3)).values()) >= 3
    assert await topics.sent_in() == []


async def test_damaged_letters_are_refused_and_the_others_sent(topics: Topics) -> None:
    """Exit code 1, and why: half of an event must not pass for the whole."""
    whole = topics.letter(0)
    cut = Outbound(key=None, value=b"", headers=[*whole.headers, (VALUE_OMITTED, b"9 bytes")])
    stray = Outbound(key=None, value=b"{}", headers=[])
    await topics.put(cut, stray)
    done = await topics.run("redrive")
    assert done.status == 1
    assert f"sent 4 to {topics.events}" in done.stdout
    assert "refused 0/4: headrace_value_omitted" in done.stderr
    assert "refused 0/5: headers: do not describe a dead letter" in done.stderr
    assert len(await topics.sent_in()) == 4
    table = await topics.run("list")
    assert "no letter" in table.stdout


async def test_two_who_redrive_at_once_send_each_event_once(
    topics: Topics, real_kafka: RunningBroker
) -> None:
    """Whoever comes second fences the first, or finds its marks."""
    assert real_kafka.is_kafka
    async with producing(topics.servers) as producer:
        for _ in range(300):
            await producer.send(
                topics.letters, topics.letter(2).value, key=b"k-2", headers=topics.letter(2).headers
            )
    done = await asyncio.gather(*(topics.run("redrive") for _ in range(2)))
    assert {one.status for one in done} <= {0, 2}, [one.stderr for one in done]
    assert 0 in {one.status for one in done}
    for one in done:
        assert one.status == 0 or "somebody else" in one.complaint, one.stderr
    assert len(await topics.sent_in()) == 304
    marks = await read_all(topics.servers, marks_topic(topics.letters), {0: 0})
    assert len({one.key for one in marks}) == len(marks) == 304


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("list", "TOPIC", "--where", "colour=red"), "colour"),
        (("list", "TOPIC", "--by", "colour"), "stack_digest"),
        (("list", "EVENTS"), ".dlq"),
        (("list", "no-such.dlq"), "no-such.dlq"),
        (("show", "TOPIC", "0/99"), "0/99"),
        (("show", "TOPIC", "7/0"), "7/0"),
        (("redrive", "TOPIC", "--where", "error"), "--where"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_mistakes_are_told_in_one_line(
    topics: Topics, arguments: tuple[str, ...], named: str
) -> None:
    """Exit code 2, and what may stand there."""
    names = {"TOPIC": topics.letters, "EVENTS": topics.events}
    words = [names.get(each, each) for each in arguments]
    done = await headrace("dlq", *words, "--bootstrap-servers", topics.servers)
    assert done.status == 2
    assert done.stdout == ""
    assert named in done.complaint
