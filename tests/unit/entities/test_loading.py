"""A list of companies is exchanged when its file changes, and kept when the new one is wrong."""

from pathlib import Path

import msgspec
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from schemas.events import NewsEvent
from streams.entities import loading
from streams.entities.linker import Linker
from streams.entities.loading import Reloader, load_gazetteer, open_linker
from streams.entities.reading import GazetteerError
from streams.entities.settings import Entities

HEADER = "name,ticker\n"


class Rig:
    """A file of companies, what finds them, and what looks at the file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "mine.csv"
        self.write("Harbour Lines,HBR")
        self.settings = Entities(file=str(self.file), extend_default=False)
        linker = open_linker(self.settings)
        assert linker is not None
        self.linker: Linker = linker
        self.reloader = Reloader(linker, self.settings)

    def write(self, row: str) -> None:
        """Put one company into the file."""
        self.file.write_text(HEADER + row + "\n", encoding="utf-8")

    async def look(self, times: int = 2) -> None:
        """Let the file be looked at."""
        for _ in range(times):
            await self.reloader.look()

    def tickers(self, headline: str) -> tuple[str, ...]:
        """Return what a headline is linked to."""
        return self.linker.link(NewsEvent(id="n-1", headline=headline)).tickers


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Return one that has read a first file."""
    return Rig(tmp_path)


async def test_a_changed_file_takes_the_place_of_the_old(rig: Rig) -> None:
    """Its names are found, the old ones no more, and the metrics say so."""
    assert rig.tickers("Harbour Lines or Nova Lines") == ("HBR",)
    before = _metric("headrace_gazetteer_loads_total", outcome="loaded")
    old = rig.linker.gazetteer.version
    rig.write("Nova Lines,NOV")
    await rig.look()
    assert rig.tickers("Harbour Lines or Nova Lines") == ("NOV",)
    assert _metric("headrace_gazetteer_loads_total", outcome="loaded") == before + 1
    assert _metric("headrace_gazetteer_companies") == 1
    assert _metric("headrace_gazetteer_version", digest=old) == 0
    assert _metric("headrace_gazetteer_version", digest=rig.linker.gazetteer.version) == 1


async def test_a_file_that_is_still_being_written_is_left(rig: Rig) -> None:
    """It is read when it was the same twice."""
    rig.write("Nova Lines,NOV")
    await rig.look(1)
    rig.write("Nova Lines and more,NOVA")
    await rig.look(1)
    assert rig.tickers("Nova Lines and more") == ()
    await rig.look(1)
    assert rig.tickers("Nova Lines and more") == ("NOVA",)


async def test_a_change_while_the_worker_starts_is_not_missed(rig: Rig) -> None:
    """Loading a model takes longer than changing a file."""
    rig.write("Nova Lines,NOV")
    rig.reloader = Reloader(rig.linker, rig.settings)
    await rig.look()
    assert rig.tickers("Nova Lines") == ("NOV",)


async def test_whatever_a_list_does_the_old_one_stays(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even what nobody has thought of does not end the worker."""
    monkeypatch.setattr(loading, "compiled", lambda *_, **__: 1 // 0)
    rig.write("Nova Lines,NOV")
    with capture_logs() as logs:
        await rig.look()
    assert [one["error"] for one in logs] == ["integer division or modulo by zero"]
    assert rig.tickers("Harbour Lines") == ("HBR",)


async def test_a_broken_file_is_refused_and_the_old_list_kept(rig: Rig) -> None:
    """It is told once, with what to correct; a corrected one is taken."""
    before = _metric("headrace_gazetteer_loads_total", outcome="refused")
    rig.write("Nova Lines,nov")
    with capture_logs() as logs:
        await rig.look(5)
    (refused,) = [one for one in logs if one["event"] == "gazetteer_refused"]
    assert "mine.csv: row 2, ticker: value is 'nov'" in refused["error"]
    assert rig.tickers("Harbour Lines") == ("HBR",)
    assert _metric("headrace_gazetteer_loads_total", outcome="refused") == before + 1
    assert _metric("headrace_gazetteer_stale") == 1
    rig.write("Nova Lines,NOV")
    await rig.look()
    assert rig.tickers("Nova Lines") == ("NOV",)
    assert _metric("headrace_gazetteer_stale") == 0


async def test_a_file_that_is_gone_is_refused_until_it_is_back(rig: Rig) -> None:
    """The old list stays meanwhile."""
    rig.file.unlink()
    await rig.look()
    assert _metric("headrace_gazetteer_stale") == 1
    assert rig.tickers("Harbour Lines") == ("HBR",)
    rig.write("Harbour Lines,HBR")
    await rig.look()
    assert _metric("headrace_gazetteer_stale") == 0


async def test_a_file_that_is_only_touched_is_not_loaded_again(rig: Rig) -> None:
    """What it holds decides."""
    loaded = rig.linker.gazetteer
    rig.write("Harbour Lines,HBR")
    await rig.look()
    assert rig.linker.gazetteer is loaded


def test_a_file_extends_the_list_that_ships_unless_told_otherwise(tmp_path: Path) -> None:
    """And has another version."""
    file = tmp_path / "mine.csv"
    file.write_text(HEADER + "Harbour Lines,HBR\n", encoding="utf-8")
    shipped = load_gazetteer(Entities())
    extended = load_gazetteer(Entities(file=str(file)))
    alone = load_gazetteer(Entities(file=str(file), extend_default=False))
    assert len(extended) == len(shipped) + 1
    assert len(alone) == 1
    assert len({one.version for one in (shipped, extended, alone)}) == 3


def test_nothing_is_looked_for_when_it_is_switched_off() -> None:
    """Nor read: the file may be missing."""
    assert open_linker(Entities(enabled=False, file="/nowhere.csv")) is None
    with pytest.raises(GazetteerError, match="cannot be read"):
        open_linker(Entities(file="/nowhere.csv"))


def _metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_bad_rows_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    """With a warning that names each; otherwise one refuses the file."""
    file = tmp_path / "mine.csv"
    file.write_text(HEADER + "Harbour Lines,HBR\nGlow,glw\n,XYZ\n", encoding="utf-8")
    strict = Entities(file=str(file), extend_default=False)
    with pytest.raises(GazetteerError):
        load_gazetteer(strict)
    with capture_logs() as logs:
        made = load_gazetteer(msgspec.structs.replace(strict, skip_bad_rows=True))
    assert [row.ticker for row in made.rows] == ["HBR"]
    (warned,) = logs
    assert warned["event"] == "gazetteer_rows_skipped"
    assert (warned["kept"], warned["problems"]) == (1, 2)
    assert warned["told"][0].startswith("mine.csv: row 3, ticker: value is 'glw'")


def test_a_file_without_one_good_row_is_refused_all_the_same(tmp_path: Path) -> None:
    """A worker with no companies is not what was asked for."""
    file = tmp_path / "mine.csv"
    file.write_text(HEADER + "Glow,glw\n", encoding="utf-8")
    with pytest.raises(GazetteerError, match="row 2, ticker"):
        load_gazetteer(Entities(file=str(file), extend_default=False, skip_bad_rows=True))
