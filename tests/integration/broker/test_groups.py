"""Consumer groups keep offsets, share partitions, and survive members that leave or crash."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalGenerationError, for_code
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.structs import OffsetAndMetadata

from streams.broker import RunningBroker
from tests.conftest import TopicFactory
from tests.integration.broker.clients import Clients, read, until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(90)]

MEMBER = Path(__file__).with_name("member.py")
JOIN_S = 10.0


class Group:
    """Makes members of one group over a topic of two partitions."""

    def __init__(self, clients: Clients, topic: str, session_timeout_ms: int) -> None:
        self._clients = clients
        self.topic = topic
        self.name = f"group-{topic}"
        self.session_timeout_ms = session_timeout_ms

    async def member(self, **options: Any) -> AIOKafkaConsumer:
        """Start a member; it is assigned partitions in the background."""
        return await self._clients.consumer(self.topic, **self.options() | options)

    def options(self) -> dict[str, Any]:
        """Return the options of every member."""
        return {
            "group_id": self.name,
            "session_timeout_ms": self.session_timeout_ms,
            "rebalance_timeout_ms": 5000,
            "heartbeat_interval_ms": 300,
        }

    def partition(self, number: int) -> TopicPartition:
        """Return a partition of the topic."""
        return TopicPartition(self.topic, number)


@pytest.fixture
async def group(clients: Clients, topic_factory: TopicFactory, session_timeout_ms: int) -> Group:
    """Return a new group over a new topic of two partitions."""
    return Group(clients, await topic_factory(2), session_timeout_ms)


async def owns(member: AIOKafkaConsumer, count: int, *, within_s: float = JOIN_S) -> float:
    """Wait until a member owns so many partitions; return how many seconds it took."""
    return await until(
        lambda: len(member.assignment()) == count,
        within_s=within_s,
        what=f"a member that owns {count} partitions",
    )


@pytest.mark.capability("committed_offsets")
async def test_the_offsets_of_a_group_are_kept(group: Group, clients: Clients) -> None:
    """With their metadata, for any client of the group, also after the last member has left."""
    member = await group.member()
    await owns(member, 2)
    assert await member.committed(group.partition(0)) is None
    await member.commit({group.partition(0): OffsetAndMetadata(41, "first")})
    await member.commit({group.partition(0): OffsetAndMetadata(42, "second")})
    await member.stop()
    later = await clients.consumer(group_id=group.name)
    assert await later.committed(group.partition(0)) == 42
    admin = await clients.admin()
    listed = await admin.list_consumer_group_offsets(group.name)
    assert listed[group.partition(0)] == OffsetAndMetadata(42, "second")
    assert group.partition(1) not in listed


@pytest.mark.capability("start_at_committed")
async def test_a_new_member_starts_at_the_committed_offset(group: Group, clients: Clients) -> None:
    """What was read and not committed is read again; what was committed is not."""
    producer = await clients.producer()
    for number in range(6):
        await producer.send_and_wait(group.topic, b"%d" % number, partition=0)
    first = await group.member()
    assert len(await read(first, 6)) == 6
    await first.commit({group.partition(0): 4})
    await first.stop()
    second = await group.member()
    assert [record.value for record in await read(second, 2)] == [b"4", b"5"]


@pytest.mark.capability("sharing")
async def test_two_members_share_the_partitions(group: Group, clients: Clients) -> None:
    """Each owns one, and every record reaches exactly one of them."""
    first = await group.member()
    await owns(first, 2)
    second = await group.member()
    await owns(first, 1)
    await owns(second, 1)
    assert first.assignment().isdisjoint(second.assignment())
    producer = await clients.producer()
    for number in range(10):
        await producer.send_and_wait(group.topic, b"%d" % number, partition=number % 2)
    taken = [await read(first, 6, within_s=1), await read(second, 6, within_s=1)]
    assert [len(records) for records in taken] == [5, 5]


@pytest.mark.capability("handover")
async def test_a_member_that_leaves_hands_over_at_once(group: Group) -> None:
    """The other one does not wait for a session timeout."""
    group.session_timeout_ms = 30_000
    first, second = await group.member(), await group.member()
    await owns(first, 1)
    await owns(second, 1)
    await first.stop()
    assert await owns(second, 2) < 5


@pytest.mark.capability("eviction")
async def test_a_crashed_member_is_missed_after_its_session_timeout(
    group: Group, broker: RunningBroker
) -> None:
    """Its process is killed without a word; the survivor gets all partitions, and soon."""
    survivor = await group.member()
    await owns(survivor, 2)
    arguments = (broker.bootstrap_servers, group.topic, group.name, str(group.session_timeout_ms))
    async with member_process(*arguments) as victim:
        async with asyncio.timeout(20):
            assert victim.stdout
            assert await victim.stdout.readline() == b"1\n"
        await owns(survivor, 1)
        victim.kill()
        await victim.wait()
        await owns(survivor, 2, within_s=group.session_timeout_ms / 1000 + 6)


@asynccontextmanager
async def member_process(*arguments: str) -> AsyncIterator[Process]:
    """Start a member in a process of its own, and end it if the test has not."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(MEMBER), *arguments, stdout=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class CommitsWhatIsRevoked(ConsumerRebalanceListener):
    """Commits while partitions are being taken away, as a worker does.

    Attributes:
        accepted: How many commits the broker has accepted.
        failures: Of the others.
    """

    def __init__(self) -> None:
        self.member: AIOKafkaConsumer | None = None
        self.accepted = 0
        self.failures: list[BaseException] = []

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Commit offset 7 for each."""
        if self.member is None or not revoked:
            return
        try:
            async with asyncio.timeout(5):
                await self.member.commit(dict.fromkeys(revoked, 7))
        except (TimeoutError, CommitFailedError) as error:
            self.failures.append(error)
        else:
            self.accepted += 1

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Take note of nothing."""


@pytest.mark.capability("commit_while_revoked")
async def test_a_commit_while_partitions_are_revoked_is_accepted(
    group: Group, clients: Clients
) -> None:
    """The new owner starts where the old one ended."""
    listener = CommitsWhatIsRevoked()
    first = await clients.consumer(**group.options())
    first.subscribe([group.topic], listener=listener)
    await owns(first, 2)
    listener.member = first
    second = await group.member()
    await owns(first, 1)
    await owns(second, 1)
    listener.member = None
    assert (listener.accepted, listener.failures) == (1, [])
    (taken,) = second.assignment()
    assert await second.committed(taken) == 7


@pytest.mark.capability("commit_during_rebalance")
async def test_commits_during_a_rebalance_end(group: Group) -> None:
    """Accepted or refused, none hangs; and when the group has settled they are accepted."""
    first = await group.member()
    await owns(first, 2)
    second = asyncio.create_task(group.member())
    outcomes = []
    try:
        async with asyncio.timeout(15):
            while not second.done() or {len(first.assignment()), settled(second)} != {1}:
                outcomes.append(await outcome_of_a_commit(first, group))
                await asyncio.sleep(0.01)
            assert outcomes
            # A slow machine's group may rebalance once more after both own their part.
            outcome = ""
            while outcome != "accepted":
                await asyncio.sleep(0.1)
                outcome = await outcome_of_a_commit(first, group, offset=9)
            (kept,) = first.assignment()
            assert await first.committed(kept) == 9
    finally:
        await asyncio.gather(second, return_exceptions=True)


def settled(member: "asyncio.Task[AIOKafkaConsumer]") -> int:
    """Return how many partitions a started member owns."""
    return len(member.result().assignment())


async def outcome_of_a_commit(member: AIOKafkaConsumer, group: Group, offset: int = 8) -> str:
    """Commit whatever the member owns, with 5 s of patience."""
    owned = member.assignment() & {group.partition(0), group.partition(1)}
    try:
        async with asyncio.timeout(5):
            await member.commit(dict.fromkeys(owned, offset))
    except CommitFailedError:
        return "refused"
    return "accepted"


@pytest.mark.capability("expelled_commit")
async def test_a_commit_from_an_expelled_member_is_refused(group: Group) -> None:
    """A member that gave no sign of life cannot move the offsets of its successor."""
    silent = await group.member(heartbeat_interval_ms=60_000)
    await owns(silent, 2)
    successor = await group.member(heartbeat_interval_ms=300)
    await owns(successor, 2, within_s=group.session_timeout_ms / 1000 + 10)
    await successor.commit({group.partition(0): 20})
    with pytest.raises(CommitFailedError):
        await silent.commit({group.partition(0): 10})
    assert await successor.committed(group.partition(0)) == 20


@pytest.mark.capability("stale_commit")
async def test_a_commit_of_an_older_generation_is_refused(group: Group) -> None:
    """A member that missed a rebalance has to join again before it may commit."""
    member = await group.member()
    await owns(member, 2)
    await member.commit({group.partition(0): 20})
    coordinator = member._coordinator
    # The client would take the refusal for its own and join again.
    answer = await coordinator._send_req(
        OffsetCommitRequest(
            group.name,
            coordinator.generation - 1,
            coordinator.member_id,
            OffsetCommitRequest.DEFAULT_RETENTION_TIME,
            [(group.topic, [(0, 10, "")])],
        )
    )
    ((_, ((_, error_code),)),) = answer.topics
    assert for_code(error_code) is IllegalGenerationError
    assert await member.committed(group.partition(0)) == 20
