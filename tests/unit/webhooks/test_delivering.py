"""How records of one webhook share its requests, and what becomes of them."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from schemas.kafka import Record, encode_result
from streams.subscription.seen import Seen
from streams.webhooks.delivering import Deliveries, Times
from streams.webhooks.letters import Undelivered
from streams.webhooks.message import Message
from streams.webhooks.picking import Picked, Picker
from streams.webhooks.retrying import Answer
from streams.webhooks.settings import Webhook
from tests.fakes.clock import ManualClock
from tests.integration.published import result

OK, DOWN = Answer(204, "204 No Content"), Answer(503, "503 Service Unavailable")


class Rig:
    """Deliveries over an endpoint that answers as it is told, on a clock that a test moves.

    Attributes:
        answers: By the record's place; the last one is given again and again.
        requests: Places in the order of their requests.
        letters: Place, kind and requests of each dead letter.
        ended: Places that need nothing more.
    """

    def __init__(self, **fields: Any) -> None:
        self.clock = ManualClock()
        self.clock.drive(asyncio.get_running_loop())
        self.answers: dict[int, list[Answer]] = {}
        self.hold: Callable[[int], bool] = lambda _: False
        self.requests: list[int] = []
        self.letters: list[tuple[int, Undelivered, int]] = []
        self.letter_error: Exception | None = None
        self.ended: list[int] = []
        self.failures: list[BaseException] = []
        self.released = asyncio.Event()
        self.webhook = Webhook(
            name="desk", url="https://desk.example", topics=("results.news",), **fields
        )
        self.deliveries = Deliveries(
            self.webhook,
            self,
            self,
            times=Times(self.clock.monotonic, self.clock.wall),
            draw=random.Random(1),  # noqa: S311 - of a test
            failed=self.failures.append,
        )

    async def post(self, message: Message) -> Answer:
        """Answer as told."""
        place = int(message.id.split(":")[2])
        self.requests.append(place)
        if self.hold(place):
            await self.released.wait()
        told = self.answers.get(place, [OK])
        return told.pop(0) if len(told) > 1 else told[0]

    async def write(self, picked: Picked, why: Undelivered, message: str, attempts: int) -> None:
        """Keep a letter."""
        del message
        if self.letter_error is not None:
            raise self.letter_error
        self.letters.append((picked.value.source.offset, why, attempts))

    def begin(self, *places: int, key: bytes | None = None) -> None:
        """Start deliveries."""
        for place in places:
            sent = encode_result(result(place), key=b"k")
            record = Record(
                topic="results.news",
                offset=place,
                timestamp_ms=int(self.clock.wall() * 1e3),
                key=key,
                value=sent.value,
                headers=sent.headers,
            )
            found = Picker(self.webhook).pick(record, Seen())
            assert found is not None
            self.deliveries.begin(found, lambda place=place: self.ended.append(place))

    async def pass_time(self, seconds: float) -> None:
        """Move the clock in small steps, and let run what is due."""
        for _ in range(10):
            self.clock.advance(seconds / 10)
            await turns()


async def turns(count: int = 10) -> None:
    """Let everything run that can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_no_more_requests_are_under_way_than_allowed() -> None:
    """The others wait for one of them to end."""
    rig = Rig(max_in_flight=3)
    rig.hold = lambda _: True
    rig.begin(*range(10))
    await turns()
    assert rig.requests == [0, 1, 2]
    rig.released.set()
    await turns()
    assert sorted(rig.ended) == list(range(10))


async def test_a_record_that_waits_takes_no_place_from_others() -> None:
    """It is counted, and so is the age of the oldest."""
    rig = Rig(max_in_flight=1, backoff_ms=10_000)
    rig.answers[0] = [DOWN, OK]
    rig.begin(0, 1, 2)
    await turns()
    assert rig.ended == [1, 2]
    assert rig.deliveries.waiting == 1
    await rig.pass_time(10)
    assert rig.ended == [1, 2, 0]
    assert rig.deliveries.waiting == 0
    assert rig.deliveries.oldest_s == 0


async def test_the_oldest_record_tells_how_far_behind_a_webhook_is() -> None:
    """By the time that Kafka knows of it."""
    rig = Rig()
    rig.hold = lambda place: place == 0
    rig.begin(0)
    rig.clock.advance(30)
    rig.begin(1)
    await turns()
    assert rig.ended == [1]
    assert rig.deliveries.oldest_s == 30


async def test_requests_of_one_record_end_by_number_or_age() -> None:
    """Whichever comes first; then it is a dead letter."""
    rig = Rig(max_attempts=3, backoff_ms=100, max_backoff_ms=100)
    rig.answers[0] = [DOWN]
    rig.begin(0)
    await rig.pass_time(5)
    assert rig.letters == [(0, Undelivered.EXHAUSTED, 3)]
    rig = Rig(max_age_ms=2_000, backoff_ms=100, max_backoff_ms=100)
    rig.answers[0] = [Answer(503, "503", retry_after_s=1.5)]
    rig.begin(0)
    await rig.pass_time(5)
    assert rig.letters == [(0, Undelivered.EXHAUSTED, 2)]
    assert rig.ended == [0]


async def test_records_of_a_key_go_one_after_the_other_unless_told_otherwise() -> None:
    """Also over repetitions, and past a dead letter."""
    rig = Rig(backoff_ms=100, max_backoff_ms=100, max_attempts=2)
    rig.answers[0] = [DOWN]
    rig.begin(0, 1, key=b"a")
    rig.begin(2, key=b"b")
    await turns()
    assert rig.requests == [0, 2]
    await rig.pass_time(1)
    assert rig.requests == [0, 2, 0, 1]
    rig = Rig(preserve_ordering=False)
    rig.answers[0] = [DOWN]
    rig.begin(0, 1, key=b"a")
    await turns()
    assert rig.requests == [0, 1]


async def test_giving_up_lets_requests_end_and_begins_none() -> None:
    """What waits, and what would have to be tried again, is the next owner's."""
    rig = Rig(max_in_flight=2, backoff_ms=100_000, max_backoff_ms=100_000)
    rig.answers |= {0: [DOWN], 2: [DOWN]}
    rig.hold = lambda place: place in {1, 2}
    rig.begin(0, 1, 2, 3)
    await turns()
    closing = asyncio.create_task(rig.deliveries.close(drain_s=5.0))
    await turns()
    rig.released.set()
    await turns()
    await closing
    assert rig.ended == [1]
    assert rig.requests == [0, 1, 2]


async def test_a_letter_that_cannot_be_kept_is_told_and_ends_nothing() -> None:
    """Or the record would be gone without a trace."""
    rig = Rig()
    rig.answers[0] = [Answer(422, "422")]
    rig.letter_error = OSError("disk")
    rig.begin(0)
    await turns()
    assert rig.ended == []
    assert [str(error) for error in rig.failures] == ["disk"]
