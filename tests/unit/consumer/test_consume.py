"""From polling to committing: nothing is skipped, nothing runs twice, a rebalance ends in order."""

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    GroupAuthorizationFailedError,
    InvalidGroupIdError,
    KafkaConnectionError,
    KafkaError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
)

from schemas.errors import BrokerError
from streams.consumer import loop as consume
from streams.delivery import patience, prefix
from streams.offsets import Bounds
from streams.security.access import REFUSED_S
from tests.fakes.consumer import FakeConsumer
from tests.unit.consumer.consuming import (
    COMMIT_INTERVAL_S,
    DRAIN_S,
    ONE,
    TWO,
    consuming,
    turns,
    until,
)

IDLE_PAUSE_S = 0.01


async def test_only_the_completed_prefix_is_committed_at_every_interval() -> None:
    """What was answered out of order waits for the oldest that was not."""
    async with consuming(records=5) as rig:
        await rig.admitted(5)
        rig.lane.finish(0, 1, 3)
        await rig.pass_time(COMMIT_INTERVAL_S)
        assert rig.log.committed == {ONE: 2}
        rig.lane.finish(2)
        assert rig.log.committed == {ONE: 2}
        await rig.pass_time(COMMIT_INTERVAL_S)
        assert rig.log.committed == {ONE: 4}


async def test_a_full_lane_pauses_its_partitions_while_polling_goes_on() -> None:
    """The group keeps a member that polls; records come again when half the room is free."""
    async with consuming(records=1, partitions=(ONE, TWO)) as rig:
        await rig.admitted(2)
        rig.lane.is_full, rig.lane.has_room_again = True, False
        await until(lambda: rig.consumer.paused() == {ONE, TWO})
        rig.log.append(ONE, 3)
        before = rig.consumer.polls
        await turns()
        assert rig.consumer.polls > before
        rig.lane.is_full = False
        await turns()
        assert len(rig.lane.admitted) == 2
        rig.lane.has_room_again = True
        await rig.admitted(5)
        assert rig.consumer.paused() == set()


async def test_a_flooded_topic_does_not_hold_up_the_others() -> None:
    """What was fetched of it is thousands of records; each topic is read a poll's worth in turn."""
    camera = TopicPartition("events.camera", 0)
    async with consuming(partitions=(ONE, camera)) as rig:
        await until(lambda: rig.loop.owning)
        rig.log.append(ONE, 5_000)
        rig.log.append(camera, 3)
        await until(lambda: len(rig.lanes["events.camera"].admitted) == 3)
        assert len(rig.lane.admitted) <= 200
        await rig.admitted(5_000)
        assert rig.lane.admitted == [(0, number) for number in range(5_000)]


async def test_a_topic_none_of_whose_partitions_is_owned_is_not_asked_for() -> None:
    """Asking for no partitions would mean all of them."""
    camera = TopicPartition("events.camera", 0)
    async with consuming(partitions=(ONE, camera)) as rig:
        await until(lambda: rig.loop.owning)
        await rig.consumer.rebalance([ONE])
        rig.log.append(ONE, 150)
        await rig.admitted(150)
        assert rig.lanes["events.camera"].admitted == []


async def test_too_much_in_flight_pauses_every_partition_until_half_of_it_is_answered() -> None:
    """Whatever the lanes say: their queues are bounded in tokens, not in bytes."""
    bounds = Bounds(events=1_000, size=8)
    async with consuming(records=4, partitions=(ONE, TWO), bounds=bounds) as rig:
        await rig.admitted(8)  # one poll, of records of two bytes each
        await until(lambda: rig.consumer.paused() == {ONE, TWO})
        rig.log.append(ONE, 1)
        rig.lane.finish(0, 1)
        await turns()
        assert len(rig.lane.admitted) == 8
        rig.lane.finish(2)
        await rig.admitted(9)
        assert rig.consumer.paused() == set()


@pytest.mark.parametrize("stale", [False, True])
async def test_records_of_a_poll_with_a_rebalance_inside_are_read_again(stale: bool) -> None:
    """They may be of the old assignment or the new one; each ends up admitted once, by the new."""
    async with consuming() as rig:
        await until(lambda: rig.loop.owning)
        rig.consumer.hands_out_stale = stale
        rig.consumer.in_next_poll = lambda: rig.consumer.rebalance([ONE])
        old = rig.ledger.tracker(ONE)
        rig.log.append(ONE, 4)
        await rig.admitted(4)
        assert rig.ledger.tracker(ONE) is not old
        assert rig.lane.admitted == [(0, number) for number in range(4)]
        rig.lane.finish()
        await rig.pass_time(COMMIT_INTERVAL_S)
        assert rig.log.committed == {ONE: 4}


async def test_records_of_the_old_assignment_do_not_hide_what_was_not_finished() -> None:
    """Begun by the new tracker, they would make the earlier ones look like repetitions."""
    async with consuming(records=4) as rig:
        await rig.admitted(4)
        rig.lane.finish(0, 1)
        rig.consumer.hands_out_stale = True
        rig.consumer.in_next_poll = lambda: rig.consumer.rebalance([ONE])
        rig.log.append(ONE, 2)
        await turns()
        await rig.pass_time(DRAIN_S)
        await rig.admitted(8)
        assert rig.lane.admitted[4:] == [(0, number) for number in range(2, 6)]


async def test_reading_again_begins_where_the_group_has_committed() -> None:
    """What an earlier owner has answered is not run again."""
    async with consuming(records=2, committed={ONE: 2}) as rig:
        await until(lambda: rig.loop.owning)
        rig.consumer.in_next_poll = lambda: rig.consumer.rebalance([ONE])
        rig.log.append(ONE, 2)
        await rig.admitted(2)
        assert rig.lane.admitted == [(0, 2), (0, 3)]


@pytest.mark.parametrize("reading_turns", range(1, 12))
async def test_nothing_is_skipped_while_it_is_found_out_where_to_read(reading_turns: int) -> None:
    """Polls go on meanwhile, and what they take is of nobody's partition yet."""
    async with consuming(committed={ONE: 0}, reading_turns=reading_turns) as rig:
        await until(lambda: rig.loop.owning)
        rebalancing = asyncio.create_task(rig.consumer.rebalance([ONE]))
        for _ in range(40):  # every poll finds something, whenever it comes
            rig.log.append(ONE, 1)
            await asyncio.sleep(0)
        await rebalancing
        await turns()
        latest = rig.lane.admitted[-40:]
        assert latest == [(0, number) for number in range(40)]


async def test_a_record_that_comes_twice_runs_once() -> None:
    """Within an assignment an offset begins once, whatever the consumer hands out."""
    async with consuming(records=3) as rig:
        await rig.admitted(3)
        rig.consumer.seek(ONE, 1)
        rig.log.append(ONE, 1)
        await rig.admitted(4)
        assert rig.lane.admitted == [(0, number) for number in range(4)]


async def test_revoked_partitions_finish_and_are_committed_before_they_go() -> None:
    """The next owner begins after the last answered event."""
    async with consuming(records=3) as rig:
        await rig.admitted(3)
        rebalancing = asyncio.create_task(rig.consumer.rebalance([]))
        await rig.pass_time(DRAIN_S / 2)
        assert not rebalancing.done()
        rig.lane.finish()
        await rebalancing
        assert rig.log.committed == {ONE: 3}
        assert rig.ledger.partitions == []


async def test_a_drain_ends_with_its_budget_and_commits_the_prefix() -> None:
    """One event that never ends does not hold the group up; it is the next owner's."""
    async with consuming(records=4) as rig:
        await rig.admitted(4)
        rebalancing = asyncio.create_task(rig.consumer.rebalance([ONE]))
        await turns()
        rig.lane.finish(0, 1, 3)
        await rig.pass_time(DRAIN_S * 0.99)
        assert not rebalancing.done()
        await rig.pass_time(DRAIN_S * 0.02)
        await rebalancing
        assert rig.log.committed == {ONE: 2}
        assert rig.lane.withdrawals == 1
        await rig.admitted(6)
        assert rig.lane.admitted[4:] == [(0, 2), (0, 3)]


async def test_a_failed_commit_is_made_up_for_by_the_next() -> None:
    """Nothing is lost by it, so it is no reason to stop."""
    async with consuming(records=2) as rig:
        await rig.admitted(2)
        rig.consumer.commit_errors = [CommitFailedError()]
        rig.lane.finish()
        await rig.pass_time(COMMIT_INTERVAL_S)
        assert rig.log.committed == {}
        await rig.pass_time(COMMIT_INTERVAL_S)
        assert rig.log.committed == {ONE: 2}
        assert not rig.running.done()


async def test_a_commit_that_nobody_answers_does_not_hold_up_the_stop() -> None:
    """Aiokafka would wait for a broker that is gone for as long as it is gone."""
    async with consuming(records=1) as rig:
        await rig.admitted(1)
        rig.consumer.commit_hangs = True
        rig.lane.finish()
        rig.loop.stop()
        await turns()
        assert not rig.running.done()
        await rig.pass_time(prefix.COMMIT_S)
        await rig.running
        assert rig.consumer.stopped


async def test_a_stop_drains_commits_and_leaves_the_group() -> None:
    """run() returns when the last event has ended, and the consumer is closed then."""
    async with consuming(records=2) as rig:
        await rig.admitted(2)
        rig.loop.stop()
        await turns()
        rig.log.append(ONE, 1)
        await turns()
        assert len(rig.lane.admitted) == 2
        assert not rig.running.done()
        rig.lane.finish()
        await rig.running
        assert rig.log.committed == {ONE: 2}
        assert rig.consumer.stopped
        assert not rig.loop.owning


@pytest.mark.parametrize("where", ["start", "poll"])
async def test_a_broker_that_refuses_ends_the_loop_in_order(where: str) -> None:
    """The error names what the broker said, and the group is left."""
    refusal = InvalidGroupIdError("headrace")

    def prepare(consumer: FakeConsumer) -> None:
        if where == "start":
            consumer.start_error = refusal
        else:
            consumer.poll_errors = [refusal]

    async with consuming(prepare=prepare) as rig:
        with pytest.raises(BrokerError, match="InvalidGroupIdError"):
            await rig.running
        assert rig.consumer.stopped


async def test_a_broker_that_went_away_before_the_consumer_started_is_tried_again() -> None:
    """With a new consumer, after a while, and not for ever."""
    away: list[KafkaError] = [KafkaConnectionError(), KafkaConnectionError()]

    def prepare(consumer: FakeConsumer) -> None:
        consumer.start_error = away.pop() if away else None

    async with consuming(records=1, prepare=prepare) as rig:
        await turns()
        for _ in range(2):
            await rig.pass_time(2 * patience.RETRY_MOST_S)
        await rig.admitted(1)
        assert len(rig.consumers) == 3


async def test_a_broker_that_stays_away_ends_the_loop() -> None:
    """Whoever runs the worker hears of it."""

    def prepare(consumer: FakeConsumer) -> None:
        consumer.start_error = KafkaConnectionError()

    async with consuming(prepare=prepare) as rig:
        await turns()
        await rig.pass_time(2 * patience.RETRY_MOST_S)
        rig.clock.advance(patience.PATIENCE_S)
        with pytest.raises(BrokerError, match="consumer: the broker did not do"):
            await rig.running


@pytest.mark.parametrize("where", ["start", "poll"])
async def test_a_member_that_may_not_join_tries_again_later(where: str) -> None:
    """With a new consumer: aiokafka's own does not get over it."""
    refusals: list[KafkaError] = [GroupAuthorizationFailedError("headrace")]

    def prepare(consumer: FakeConsumer) -> None:
        if where == "start":
            consumer.start_error = refusals.pop() if refusals else None
        else:
            consumer.poll_errors = [refusals.pop()] if refusals else []

    async with consuming(records=1, prepare=prepare) as rig:
        await until(lambda: rig.loop.refused)
        assert len(rig.consumers) == 1
        await turns()
        assert rig.consumer.stopped
        await rig.pass_time(REFUSED_S)
        await rig.admitted(1)
        assert len(rig.consumers) == 2


async def test_a_topic_that_may_not_be_read_does_not_keep_others_waiting() -> None:
    """The same consumer reads on; the worker is not ready meanwhile."""
    async with consuming(records=1) as rig:
        await rig.admitted(1)
        rig.consumer.poll_errors = [TopicAuthorizationFailedError("events.news")]
        rig.log.append(ONE, 1)
        await turns()
        assert rig.loop.refused
        assert len(rig.lane.admitted) == 1
        await rig.pass_time(consume.RETRY_S)
        await rig.admitted(2)
        assert len(rig.consumers) == 1


async def test_a_poll_that_may_succeed_later_is_tried_again() -> None:
    """Not at once: the broker gets a moment."""
    async with consuming(records=1) as rig:
        await rig.admitted(1)
        rig.consumer.poll_errors = [RequestTimedOutError()]
        rig.log.append(ONE, 1)
        await turns()
        assert len(rig.lane.admitted) == 1
        await rig.pass_time(consume.RETRY_S)
        await rig.admitted(2)


async def test_nothing_is_fetched_for_a_moment_after_an_empty_poll() -> None:
    """A broker that answers empty fetches at once must not be asked without end."""
    async with consuming(partitions=(ONE, TWO), idle_pause_s=IDLE_PAUSE_S) as rig:
        await until(lambda: rig.consumer.paused() == {ONE, TWO})
        before = rig.consumer.polls
        rig.log.append(ONE, 1)
        await turns()
        assert rig.consumer.polls == before
        await rig.pass_time(IDLE_PAUSE_S)
        await rig.admitted(1)


async def test_a_partition_that_goes_during_the_rest_is_not_resumed() -> None:
    """The consumer would refuse that with an error."""
    async with consuming(partitions=(ONE, TWO), idle_pause_s=IDLE_PAUSE_S) as rig:
        await until(lambda: rig.consumer.paused() == {ONE, TWO})
        await rig.consumer.rebalance([TWO])
        await rig.pass_time(IDLE_PAUSE_S)
        rig.log.append(TWO, 1)
        for _ in range(3):
            await rig.pass_time(IDLE_PAUSE_S)
        assert rig.lane.admitted == [(1, 0)]


async def test_a_rebuilt_consumer_reads_on_from_what_was_committed() -> None:
    """The old one is closed; what it had not finished comes again, once."""
    async with consuming(records=3) as rig:
        await rig.admitted(3)
        rig.lane.finish(0)
        rig.loop.rebuild()
        await turns()
        await rig.pass_time(DRAIN_S)
        await rig.admitted(5)
        assert [one.stopped for one in rig.consumers] == [True, False]
        assert rig.lane.admitted[3:] == [(0, 1), (0, 2)]


async def test_the_lag_counts_what_is_not_answered() -> None:
    """From the position where there is one, else from what was committed, else from the start."""
    three = TopicPartition("events.news", 2)
    partitions = (ONE, TWO, three)
    async with consuming(partitions=partitions, committed={TWO: 1}) as rig:
        await until(lambda: rig.loop.owning)
        rig.log.append(ONE, 3)
        await rig.admitted(3)
        rig.lane.finish(0)
        rig.lane.is_full, rig.lane.has_room_again = True, False
        await until(lambda: rig.consumer.paused() == set(partitions))
        rig.log.append(TWO, 5)
        rig.log.append(three, 6)
        assert await rig.loop.lag() == {ONE: 2, TWO: 4, three: 6}


async def test_marks_of_transactions_are_no_lag() -> None:
    """A consumer that has read everything would be taken for one that stands still."""
    async with consuming(records=2) as rig:
        await rig.admitted(2)
        rig.consumer.marks = 1
        assert await rig.loop.lag() == {ONE: 3}
        rig.lane.finish(0)
        assert await rig.loop.lag() == {ONE: 2}
        rig.lane.finish(1)
        assert await rig.loop.lag() == {ONE: 0}


async def test_without_partitions_there_is_no_lag() -> None:
    """A member that the group gave nothing to has nothing to catch up with."""
    async with consuming() as rig:
        await until(lambda: rig.loop.owning)
        await rig.consumer.rebalance([])
        assert await rig.loop.lag() == {}
