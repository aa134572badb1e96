"""What lanes have learned of costs outlives the worker."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from inference.work import OverloadPolicy
from streams.worker.cost_keeping import KEEP_EVERY_S, CostKeeping
from streams.worker.cost_state import CostStates
from tests.fakes.engine import FakeEngine
from tests.unit.lane.test_lane import Rig, opened


async def test_costs_are_kept_while_the_worker_runs(tmp_path: Path) -> None:
    """A worker that is killed has no time to write anything."""
    async with opened() as rig:
        states = CostStates(str(tmp_path))
        watching = asyncio.create_task(CostKeeping([rig.lane], states).watch(second_s=0.0))
        for _ in range(2 * KEEP_EVERY_S):
            await asyncio.sleep(0)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert states.load(rig.engine) == rig.lane.scheduler.learned_costs


async def test_topics_of_one_model_keep_its_costs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """They learn them together; each would write the same file."""
    async with opened() as rig:
        other = Rig(FakeEngine(), OverloadPolicy.LATE)
        states = CostStates(None)
        kept: list[Any] = []
        monkeypatch.setattr(states, "save", lambda engine, _: kept.append(engine))
        CostKeeping([rig.lane, rig.lane, other.lane], states).keep()
        await other.lane.scheduler.close()
    assert kept == [rig.engine, other.engine]
