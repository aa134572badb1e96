"""The log that the demo brings along."""

import base64
import json
from collections import Counter
from pathlib import Path

import pytest

from inference.pixels import PixelFormat
from schemas.events import Modality
from streams.demo.log import own_log
from streams.demo.sending import MixedMapper
from streams.replay.mapping import Mapper, Prepared


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Write the log and read it."""
    return own_log(tmp_path_factory.mktemp("log")).read_bytes().splitlines()


def prepared(lines: list[bytes]) -> list[Prepared]:
    """Map all lines as the demo does."""
    mapper = MixedMapper({each: Mapper(each) for each in Modality}, Modality.NEWS)
    return [mapper.prepare(line, number) for number, line in enumerate(lines, 1)]


def test_it_holds_events_of_all_modalities(lines: list[bytes]) -> None:
    """Enough of each to see percentiles of it."""
    counts = Counter(one.modality for one in prepared(lines))
    assert min(counts[each] for each in Modality) >= 40


def test_it_runs_forward_and_ends_within_half_a_minute(lines: list[bytes]) -> None:
    """At its own speed nobody waits long."""
    times = [one.time_ms or 0.0 for one in prepared(lines)]
    assert times == sorted(times)
    assert 10_000 < times[-1] - times[0] < 30_000


def test_every_event_has_an_id_of_its_own(lines: list[bytes]) -> None:
    """The audit tells answers apart by them, too."""
    ids = [json.loads(line)["id"] for line in lines]
    assert len(set(ids)) == len(ids)


def test_pictures_are_drawn_and_say_of_what(lines: list[bytes], tmp_path: Path) -> None:
    """What the repository holds is a description; what is sent is a PNG, the same each time."""
    camera = [event for event in map(json.loads, lines) if "cameraid" in event]
    files = [base64.b64decode(event["data_base64"]) for event in camera]
    assert len(set(files)) == len(files)
    for event, file in zip(camera, files, strict=True):
        assert PixelFormat(64, 64, 1).decode(file).shape == (1, 64, 64)
        assert event["subject"].startswith(event["cameraid"])
        assert "drawing" not in event
    assert own_log(tmp_path).read_bytes().splitlines() == lines
