"""What a lane shows of the costs that its scheduler counts on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import REGISTRY

from inference.engine import EffortLevel
from inference.work import OverloadPolicy, Work
from streams.lane.lane import MOST_LEAD
from tests.fakes.engine import FakeEngine, encode_words
from tests.unit.lane.test_lane import Rig, headline

LABELS = {"modality": "news", "model": "fake"}
BY_BATCH = ("batch_predicted_seconds_total", "batch_seconds_sum", "batch_predicted_ratio_count")
FULL = LABELS | {"effort": "full"}
OF_TOPIC = FULL | {"topic": "events.news"}
EXAMPLES = [encode_words(["word"] * number) for number in (2, 5, 9)]


def seconds(tokens: int, events: int, effort: EffortLevel) -> float:
    """Return 4 ms, and 1 for each token."""
    del events, effort
    return 0.004 + 0.001 * tokens


def value(name: str, labels: dict[str, str]) -> float:
    """Read a sample."""
    return REGISTRY.get_sample_value(f"headrace_{name}", labels) or 0.0


@asynccontextmanager
async def opened() -> AsyncIterator[Rig]:
    """Start a lane that has measured what its batches cost."""
    engine = FakeEngine(cost=seconds)
    rig = Rig(engine, OverloadPolicy.LATE)
    engine.spend = rig.clock.advance
    await rig.lane.scheduler.start(warmup=EXAMPLES)
    try:
        yield rig
    finally:
        await rig.lane.scheduler.close()


async def test_predictions_and_costs_are_shown() -> None:
    """Batches beside what was expected of them, and the curve behind that."""
    before = {name: value(name, OF_TOPIC) for name in BY_BATCH}
    async with opened() as rig:
        for number in range(3):
            rig.admit(headline(str(number), "one two three four five six"))
            await rig.drained()
        rig.lane.gauge_costs()
    gained = {name: value(name, OF_TOPIC) - known for name, known in before.items()}
    assert gained["batch_seconds_sum"] == pytest.approx(0.030)
    assert 0.030 < gained["batch_predicted_seconds_total"] < 0.040
    assert gained["batch_predicted_ratio_count"] == 3
    fixed, token, event = (
        value(f"cost_{each}_seconds", FULL) for each in ("fixed", "token", "event")
    )
    assert fixed == pytest.approx(0.004, rel=0.1)
    assert fixed + 54 * token + 10 * event == pytest.approx(0.058, rel=0.05)
    assert 1.0 < value("cost_tail_ratio", LABELS) < 1.2


@pytest.mark.parametrize(
    ("lead_s", "brought_forward_s"), [(0.003, 0.0), (0.015, 0.010), (9.0, MOST_LEAD * 0.150)]
)
async def test_deadlines_are_brought_forward_by_the_way_to_the_broker(
    lead_s: float, brought_forward_s: float
) -> None:
    """What the publish reserve has no room for, and not so much that nothing could be met."""
    async with opened() as rig:
        rig.publisher.lead_s = lead_s
        offered: list[Work] = []
        rig.lane.scheduler.offer = offered.extend  # type: ignore[method-assign]
        rig.admit(headline("a"))
        (work,) = offered
        left_s = work.deadline - rig.clock.monotonic()
        assert left_s == pytest.approx(0.150 - brought_forward_s, abs=1e-3)


async def test_an_answer_acknowledged_after_its_deadline_is_counted() -> None:
    """Its verdict may have been untrue, which its subscribers cannot know."""
    name = "headrace_overdue_results_total"
    labels = {"topic": "events.news", "modality": "news"}
    before = REGISTRY.get_sample_value(name, labels) or 0.0
    async with opened() as rig:
        rig.admit(headline("a"))
        await rig.drained()
        (parcel,) = rig.publisher.parcels
        parcel.make()
        rig.clock.advance(0.2)
        parcel.acknowledged()
        assert REGISTRY.get_sample_value(name, labels) == before + 1
