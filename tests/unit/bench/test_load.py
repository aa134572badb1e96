"""When a load's events are due."""

import json
from pathlib import Path

import numpy as np
import pytest
from load import Load


@pytest.mark.parametrize("arrivals", ["poisson", "bursts", "log"])
def test_a_load_keeps_its_rate_however_it_arrives(arrivals: str, tmp_path: Path) -> None:
    """And its times never go back; the same seed gives the same."""
    log = tmp_path / "log.jsonl"
    lines = [{"ts_ms": 60_000 * minute, "headline": f"News {minute}"} for minute in range(50)]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    load = Load("nowhere:9092", "events.news", log, seed=1)
    offsets = load._offsets(arrivals, 500.0, 4.0, seed=3)
    assert len(offsets) == pytest.approx(2_000, rel=0.1)
    assert (np.diff(offsets) >= 0).all()
    assert offsets[0] >= 0
    assert offsets[-1] == pytest.approx(4.0, abs=0.3)
    assert (load._offsets(arrivals, 500.0, 4.0, seed=3) == offsets).all()
