"""Subscriptions on a broker: nothing lost, nothing doubled, over any number of resumptions."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime

import pytest
from aiokafka.admin import NewPartitions

from schemas import (
    AlertState,
    Classification,
    ConfigurationError,
    DeadLetter,
    Modality,
    Record,
    Source,
    encode_alert,
    encode_dead_letter,
    encode_result,
    encode_signal,
)
from streams.broker import RunningBroker
from streams.clients import open_admin, open_producer
from streams.connection import Connection
from streams.subscription import (
    Reading,
    Seen,
    Subscription,
    WantedResults,
    subscribe,
    subscribe_alerts,
    subscribe_dead_letters,
    subscribe_signals,
)
from tests.conftest import TopicFactory
from tests.fakes.derived import alert, signal
from tests.fakes.results import MOMENT
from tests.integration.published import publish, result, send, shorten
from tests.integration.worker import producing

pytestmark = pytest.mark.broker


async def take(results: Subscription[Classification], count: int) -> list[int]:
    """Return the events' offsets of the next results."""
    taken: list[int] = []
    async with asyncio.timeout(60), aclosing(aiter(results)) as each:
        async for one in each:
            taken.append(one.source.offset)
            if len(taken) == count:
                break
    return taken


async def test_fifty_resumptions_lose_and_double_nothing(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Each goes on with the token of the one before; repetitions across them are known."""
    servers, topic = broker.bootstrap_servers, await topic_factory(3)
    await publish(servers, topic, *(result(number) for number in range(150)))
    token, taken = "beginning", []
    for turn in range(50):
        results = subscribe(topic, bootstrap_servers=servers, start=token)
        async with results:
            taken += await take(results, 3)
            token = results.token
        await publish(servers, topic, result(turn), result(150 + turn))
    results = subscribe(topic, bootstrap_servers=servers, start=token)
    taken += await take(results, 50)
    assert sorted(taken) == list(range(200))


async def test_a_record_of_another_kind_does_not_end_it(
    broker: RunningBroker, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted and logged, with where it lies."""
    servers = broker.bootstrap_servers
    async with producing(servers) as producer:
        await producer.send_and_wait(topic, b"not a result")
        await producer.send_and_wait(topic, None, key=b"tombstone")
    await publish(servers, topic, result(1))
    results = subscribe(topic, bootstrap_servers=servers, start="beginning")
    assert await take(results, 1) == [1]
    assert (results.counts.read, results.counts.bad, results.counts.handed_out) == (3, 2, 1)
    assert f"passed over {topic}/0/0: value: " in caplog.text


async def test_it_begins_at_the_end_or_at_a_time(broker: RunningBroker, topic: str) -> None:
    """What came before is not read."""
    servers = broker.bootstrap_servers
    await publish(servers, topic, result(1))
    await asyncio.sleep(0.01)
    moment = datetime.now(UTC)
    async with subscribe(topic, bootstrap_servers=servers) as results:
        await publish(servers, topic, result(2), result(3))
        assert await take(results, 2) == [2, 3]
    since = subscribe(topic, bootstrap_servers=servers, start=moment)
    assert await take(since, 2) == [2, 3]


async def test_a_group_goes_on_where_it_has_committed(broker: RunningBroker, topic: str) -> None:
    """What was not committed comes again: at least once."""
    servers, group = broker.bootstrap_servers, f"desk-{topic}"
    await publish(servers, topic, *(result(number) for number in range(5)))
    async with subscribe(topic, bootstrap_servers=servers, group=group) as results:
        taken = []
        async with asyncio.timeout(60):
            async for one in results:
                taken.append(one.source.offset)
                if one.source.offset == 1:
                    assert await results.commit()
                if one.source.offset == 3:
                    break
    async with subscribe(topic, bootstrap_servers=servers, group=group) as results:
        assert taken == [0, 1, 2, 3]
        assert await take(results, 3) == [2, 3, 4]


@pytest.mark.real_kafka
async def test_what_a_rebalance_took_uncommitted_is_told_and_comes_again(
    real_kafka: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Also to the member that had it before, once it gets the partition back."""
    servers, topic = real_kafka.bootstrap_servers, await topic_factory(2)
    await publish(servers, topic, *(result(number) for number in range(10)))

    def member() -> Subscription[Classification]:
        return subscribe(topic, bootstrap_servers=servers, group=f"desk-{topic}")

    async with member() as one, aclosing(aiter(one)) as each, asyncio.timeout(60):
        assert sorted([(await anext(each)).source.offset for _ in range(10)]) == list(range(10))
        async with member() as other:
            others = await take(other, 1)
            assert not await one.commit()
            assert await one.commit(), "it was told once"
        again = set()
        while again != set(range(10)):
            again.add((await anext(each)).source.offset)
        assert set(others) < again


@pytest.mark.real_kafka
async def test_open_and_aborted_transactions_are_not_seen(
    real_kafka: RunningBroker, topic: str
) -> None:
    """Results count when their transaction is committed, unless asked for otherwise."""
    servers = real_kafka.bootstrap_servers
    async with open_producer(
        Connection(servers), max_request_size=2**20, transactional_id=f"t-{topic}"
    ) as producer:
        for offset, commits in ((1, False), (2, True)):
            await producer.begin_transaction()
            sent = encode_result(result(offset), key=None)
            await producer.send_and_wait(topic, sent.value, headers=sent.headers)
            await (producer.commit_transaction() if commits else producer.abort_transaction())
    committed = subscribe(topic, bootstrap_servers=servers, start="beginning")
    assert await take(committed, 1) == [2]
    every = subscribe(topic, bootstrap_servers=servers, start="beginning", read_uncommitted=True)
    assert await take(every, 2) == [1, 2]


@pytest.mark.real_kafka
async def test_partitions_that_are_added_are_read_from_their_beginning(
    real_kafka: RunningBroker, topic: str
) -> None:
    """Who follows a topic misses nothing when it grows."""
    servers = real_kafka.bootstrap_servers
    async with subscribe(topic, bootstrap_servers=servers) as results:
        async with open_admin(Connection(servers)) as admin:
            await admin.create_partitions({topic: NewPartitions(4)})
        assert results._consumer is not None
        await publish(servers, topic, *(result(number) for number in range(20)))
        await results._consumer._client.force_metadata_update()
        assert sorted(await take(results, 20)) == list(range(20))


async def test_dead_letters_come_with_their_original(broker: RunningBroker, topic: str) -> None:
    """Typed, and the record beside them."""
    letter = DeadLetter(
        error="invalid",
        message="headline: is missing",
        source=Source(topic="events.news", partition=0, offset=7),
        modality=Modality.NEWS,
        failed_at=MOMENT,
    )
    sent = encode_dead_letter(letter, Record(topic="events.news", value=b'{"id": "n-1"}'))
    async with producing(broker.bootstrap_servers) as producer:
        await producer.send_and_wait(topic, sent.value, headers=sent.headers)
    letters = subscribe_dead_letters(
        topic, bootstrap_servers=broker.bootstrap_servers, start="beginning"
    )
    async with asyncio.timeout(60), aclosing(letters.received()) as each:
        one = await anext(each)
    assert one.value == letter
    assert one.record.value == b'{"id": "n-1"}'


async def test_signals_and_alerts_come_typed_and_each_once(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Corrections are later revisions; an alert comes again when it is cleared."""
    servers = broker.bootstrap_servers
    signals, alerts = await topic_factory(name="signals"), await topic_factory(name="alerts")
    first, corrected = signal(), signal(revision=1, strength=0.9)
    told = (first, first, signal(id="x", ticker="QRY"), corrected, first)
    await send(servers, signals, *(encode_signal(one) for one in told))
    raised, cleared = alert(), alert(state=AlertState.CLEARED)
    await send(servers, alerts, *(encode_alert(one) for one in (raised, raised, cleared)))
    options = {"bootstrap_servers": servers, "start": "beginning"}
    async with asyncio.timeout(60):
        of_one = subscribe_signals(signals, tickers={"HBR"}, min_strength=0.5, **options)
        async with aclosing(aiter(of_one)) as each:
            assert [await anext(each), await anext(each)] == [first, corrected]
        of_cameras = subscribe_alerts(alerts, scopes={"camera"}, **options)
        async with aclosing(aiter(of_cameras)) as each:
            assert [await anext(each), await anext(each)] == [raised, cleared]


async def test_a_topic_that_does_not_exist_is_named(broker: RunningBroker) -> None:
    """Waiting for it would be waiting for ever."""
    with pytest.raises(ConfigurationError, match="topics: 'no-such-topic' does not exist"):
        await take(subscribe("no-such-topic", bootstrap_servers=broker.bootstrap_servers), 1)


async def test_who_iterates_again_goes_on_where_it_stands(
    broker: RunningBroker, topic: str
) -> None:
    """Whether or not the loop that was left has been cleaned up meanwhile."""
    servers = broker.bootstrap_servers
    async with asyncio.timeout(60):
        # What was handed out before is not remembered, so that it would come again.
        results = subscribe(topic, bootstrap_servers=servers, start="beginning", remember=1)
        taken: list[int] = []
        for turn in range(3):
            await publish(servers, topic, *(result(3 * turn + number) for number in range(3)))
            async for one in results:
                taken.append(one.source.offset)
                if len(taken) == 2 * (turn + 1):
                    break
            if turn == 1:
                await results.aclose()
        await results.aclose()
    assert taken == list(range(6))


async def test_a_wait_that_is_cut_off_can_be_taken_up_again(
    broker: RunningBroker, topic: str
) -> None:
    """Within ``async with``, where the connection stays."""
    servers = broker.bootstrap_servers
    async with asyncio.timeout(60), subscribe(topic, bootstrap_servers=servers) as results:
        each = aiter(results)
        for number in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(each)
            await publish(servers, topic, result(number))
            assert (await anext(each)).source.offset == number


@pytest.mark.real_kafka
async def test_a_reader_that_is_overtaken_by_retention_is_told_what_it_missed(
    real_kafka: RunningBroker, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And reads what is left; its token stays true."""
    servers = real_kafka.bootstrap_servers
    await publish(servers, topic, result(0))
    little = Reading(start="beginning", options={"max_partition_fetch_bytes": 1})
    results = Subscription(Connection(servers), [topic], WantedResults(), little, Seen())
    async with asyncio.timeout(60), results:
        each = aiter(results)
        taken = [(await anext(each)).source.offset]
        await publish(servers, topic, *(result(number) for number in range(1, 500)))
        await shorten(servers, topic, 490)
        while taken[-1] < 499:
            taken.append((await anext(each)).source.offset)
        assert results.token == f"{topic}:0=500"
    assert taken[-10:] == list(range(490, 500))
    assert results.counts.missed == 500 - len(taken) > 0
    assert f"{results.counts.missed} offsets of {topic}/0 are no longer kept" in caplog.text


@pytest.mark.real_kafka
async def test_a_group_at_the_end_that_was_overtaken_by_retention_reads_what_is_left(
    real_kafka: RunningBroker, topic: str
) -> None:
    """The end is where it begins that has committed nothing; this one has, and would lose all."""
    servers, group = real_kafka.bootstrap_servers, f"desk-{topic}"
    await publish(servers, topic, *(result(number) for number in range(20)))
    args = {"bootstrap_servers": servers, "group": group}
    async with subscribe(topic, start="beginning", **args) as results:
        assert await take(results, 1) == [0]
        assert await results.commit()
    await shorten(servers, topic, 15)
    async with subscribe(topic, start="end", **args) as results:
        assert await take(results, 5) == [15, 16, 17, 18, 19]
        assert results.counts.missed == 14


async def test_a_group_that_has_committed_nothing_begins_where_it_was_told(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """In each of its partitions, once."""
    servers, topic = broker.bootstrap_servers, await topic_factory(3)
    await publish(servers, topic, *(result(number) for number in range(9)))
    args = {"bootstrap_servers": servers}
    async with subscribe(topic, start="beginning", group=f"all-{topic}", **args) as results:
        assert sorted(await take(results, 9)) == list(range(9))
    async with subscribe(topic, start="end", group=f"new-{topic}", **args) as results:
        each = aiter(results)
        next_one = asyncio.ensure_future(anext(each))
        async with asyncio.timeout(60):
            number = 9
            while not next_one.done():
                await publish(servers, topic, result(number))
                await asyncio.wait([next_one], timeout=0.5)
                number += 1
        assert (await next_one).source.offset >= 9
