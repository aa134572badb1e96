"""A few faults of each sort on real workers and a real broker: the suite itself works."""

from pathlib import Path

import pytest

from tests.conftest import BrokerFactory
from tests.fakes.small_model import write_small_checkpoint
from tests.faults.run import Plan, run
from tests.faults.schedule import Fault, Kind

pytestmark = [pytest.mark.real_kafka, pytest.mark.slow, pytest.mark.timeout(180)]

FAULTS: list[tuple[float, Kind, str, dict[str, float | str]]] = [
    (0.1, Kind.POISON, "input", {}),
    (0.2, Kind.UNDECODABLE, "input", {}),
    (0.3, Kind.INVALID, "input", {}),
    (0.5, Kind.KILL, "worker 0", {}),
    (4.5, Kind.CUT, "line", {"share": 1.0}),
    (5.5, Kind.HICCUP, "line", {"way": "down", "seconds": 0.5}),
    (6.5, Kind.BROKER_KILL, "broker", {"away": 0.0}),
]


async def test_no_event_is_lost_whatever_dies(kafka_factory: BrokerFactory, tmp_path: Path) -> None:
    """A worker, the line, the broker; what cannot be classified ends as it should."""
    plan = Plan(
        faults=[
            Fault(number, at_s, kind, victim, parameters)
            for number, (at_s, kind, victim, parameters) in enumerate(FAULTS, 1)
        ],
        seed=1,
        workers=2,
        model=str(write_small_checkpoint(tmp_path / "model")),
        rate=100.0,
        open_broker=kafka_factory,
        directory=tmp_path,
    )
    outcome = await run(plan)
    assert outcome.broken == []
    assert len(outcome.done) == len(FAULTS)
    assert outcome.found.letters == {"poison": 1, "undecodable": 1, "invalid": 1}
    assert outcome.found.events > 500
    assert outcome.found.samples > 10
    (killed,) = outcome.kills
    assert killed.seconds is not None
