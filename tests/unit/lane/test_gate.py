"""A lane whose events become dead letters takes none in, keeps what it has, and recovers."""

import asyncio

import orjson
import pytest
from prometheus_client import REGISTRY

from inference.settings import SchedulerSettings
from inference.work import OverloadPolicy
from streams.health import Health
from streams.lane.breaker import PROBES, BreakerSettings
from streams.lane.gate import Gates
from tests.fakes.crashing_engine import CrashingEngine
from tests.fakes.lane import LaneRig
from tests.fakes.routes import route_of

ROUTE = route_of(on_overload=OverloadPolicy.LATE)
SETTINGS = BreakerSettings(events=8, retry_ms=5_000)
ONE_BY_ONE = SchedulerSettings(max_batch_events=4)
TOPIC = "events.news"


class Sick(LaneRig):
    """A lane whose model fails on everything until it is mended."""

    def __init__(self, **fields: object) -> None:
        self.sick = CrashingEngine(sick=True)
        super().__init__(ROUTE, engine=self.sick, settings=ONE_BY_ONE, breaker=SETTINGS, **fields)
        self.health = Health()
        self.gates = Gates([self.lane.gate], self.health)

    def send(self, count: int) -> None:
        """Admit so many events."""
        first = self.admitted
        self.admit(*(headline(f"n-{first + number}") for number in range(count)))

    async def until_answered(self, count: int) -> None:
        """Wait until so many events have a result."""
        async with asyncio.timeout(10):
            while len(self.results()) < count:  # noqa: ASYNC110 - the device is a thread
                await asyncio.sleep(0.01)

    @property
    def ended(self) -> int:
        """Events that became a result or a letter."""
        return len(self.publisher.parcels)

    def is_open(self) -> float | None:
        """Read the gauge."""
        return REGISTRY.get_sample_value("headrace_breaker_open", {"topic": TOPIC})


def headline(event_id: str) -> bytes:
    """Write an event."""
    return orjson.dumps({"id": event_id, "headline": "The ferry keeps its timetable"})


async def test_what_waits_is_kept_and_nothing_more_is_taken_in() -> None:
    """Of 40 events those die that were counted or on the device; the others have no end."""
    rig = Sick()
    async with rig.started():
        rig.send(40)
        await rig.drained()
        assert 8 <= rig.ended <= 16
        assert rig.lane.is_full
        assert not rig.lane.has_room_again
        assert rig.lane.gate.held == 40 - rig.ended
        rig.gates.look()
        assert rig.is_open() == 1
        assert not rig.health.ready
        (reason,) = rig.health.reasons.values()
        assert reason == "8 of 8 events became dead letters (8 poison)"
        ended = rig.ended
        rig.send(5)  # they were in the poll already
        await rig.drained()
        assert rig.ended == ended
        rig.publisher.acknowledge()
        tracker = rig.ledger.tracker(rig.partition)
        assert tracker
        assert tracker.position == ended


async def test_it_goes_on_where_it_was_once_a_few_are_answered() -> None:
    """Ten are tried; then all that was kept is answered, in order, once each."""
    rig = Sick()
    async with rig.started():
        rig.send(40)
        await rig.drained()
        buried = rig.ended
        rig.sick.sick = False
        rig.clock.advance(4.9)
        rig.gates.look()
        assert rig.lane.gate.held == 40 - buried
        rig.clock.advance(0.2)
        rig.gates.look()
        assert rig.lane.gate.held == 40 - buried - PROBES
        await rig.until_answered(40 - buried)
        assert [one.event_id for one in rig.results()] == [f"n-{n}" for n in range(buried, 40)]
        rig.gates.look()
        assert rig.health.ready
        assert rig.is_open() == 0
        assert not rig.lane.is_full
        rig.publisher.acknowledge()
        assert rig.ledger.in_flight == 0


async def test_a_probe_that_fails_costs_ten_events() -> None:
    """Not all that waits."""
    rig = Sick()
    async with rig.started():
        rig.send(40)
        await rig.drained()
        buried = rig.ended
        rig.clock.advance(5.1)
        rig.gates.look()
        await rig.drained()
        assert rig.ended == buried + PROBES
        assert rig.lane.is_full


async def test_an_empty_lane_lets_events_come_for_a_probe() -> None:
    """What was bad never got as far as the queue."""
    rig = Sick()
    async with rig.started():
        rig.admit(*[b"no json"] * 20)
        assert rig.lane.is_full
        rig.sick.sick = False
        rig.clock.advance(5.1)
        rig.gates.look()
        assert not rig.lane.is_full
        assert not rig.health.ready
        rig.send(25)
        assert not rig.lane.is_full
        await rig.until_answered(25)


async def test_what_is_kept_is_forgotten_when_the_partition_goes() -> None:
    """The next owner reads it again."""
    rig = Sick()
    async with rig.started():
        rig.send(40)
        await rig.drained()
        ended = rig.ended
        rig.lane.withdraw_all()
        assert rig.lane.gate.held == 0
        rig.sick.sick = False
        rig.clock.advance(5.1)
        rig.gates.look()
        await rig.drained()
        assert rig.ended == ended


@pytest.mark.parametrize("errors", [1, 3])
async def test_some_bad_events_among_good_ones_shut_nothing(errors: int) -> None:
    """A share of up to a half goes by."""
    rig = Sick()
    rig.sick.sick = False
    async with rig.started():
        for _ in range(30):
            good = [headline(f"n-{number}") for number in range(errors)]
            rig.admit(*[b"no json"] * errors, *good)
            await rig.drained()
        assert not rig.lane.is_full
        assert rig.is_open() == 0


async def test_switched_off_it_lets_everything_through() -> None:
    """Whoever wants the letters gets them."""
    rig = LaneRig(
        ROUTE, engine=CrashingEngine(sick=True), breaker=BreakerSettings(enabled=False, events=1)
    )
    async with rig.started():
        rig.admit(*(headline(f"n-{number}") for number in range(40)))
        await rig.drained()
        assert len(rig.publisher.parcels) == 40
