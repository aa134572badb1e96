"""What the screen says at the sizes that terminals have."""

import io

import pytest
from rich.console import Console

from schemas.results import Verdict
from streams.top.snapshot import Snapshot
from streams.top.view import View
from tests.unit.top.seen import answer, board, look, member, scraped


def busy(workers: int = 2, partitions: int = 16) -> Snapshot:
    """A group with work, some of it late."""
    each = partitions // workers
    members = [member(f"{n:02}", *range(n * each, (n + 1) * each)) for n in range(workers)]
    seen = board(*members)
    ends = tuple(range(1_000, 1_000 + partitions))
    seen.looked(look(*members, ends=ends, committed=(1_000,) * partitions), 101.0)
    for number in range(97):
        seen.take(answer(number % partitions, total_ms=number), 102.0)
    for verdict in (Verdict.DEGRADED, Verdict.LATE, Verdict.SHED):
        seen.take(answer(total_ms=170, verdict=verdict, label="negative"), 102.0)
    seen.scraped([scraped(1_000, on_time=500)], 101.0)
    seen.scraped([scraped(1_300, on_time=700, in_flight=3)], 103.0)
    seen.looked(look(*members, ends=ends, committed=(1_000,) * partitions), 103.0)
    return seen.snapshot(103.0)


def screen(snapshot: Snapshot, width: int = 80, height: int = 24) -> list[str]:
    """Render one frame as lines."""
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(View(snapshot, "q quits"), height=height)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("size", [(80, 24), (140, 40), (100, 16), (60, 20)])
@pytest.mark.parametrize("workers", [1, 2, 16])
def test_a_frame_fits_the_terminal(size: tuple[int, int], workers: int) -> None:
    """No line is too long, and none is pushed out below the frame."""
    lines = screen(busy(workers), *size)
    assert {len(line) for line in lines} == {size[0]}
    assert len(lines) <= size[1]
    assert "q quits" in lines[-1]


def test_a_narrow_frame_shows_all_that_matters() -> None:
    """Rates, lag, share in time, percentiles against the budget, verdicts, labels, workers."""
    shown = "\n".join(screen(busy()))
    assert "group desk" in shown
    assert "Stable" in shown
    (topic,) = [line for line in screen(busy()) if "events.news  " in line]
    for part in ("33", "120", "98.0%", "150 ms"):
        assert part in topic
    for part in ("late 1.0%", "shed 1.0%", "positive 97.0%", "negative 3.0%"):
        assert part in shown
    assert "localhost:9464" in shown
    assert "events.news/15" in shown


def test_partitions_stand_beside_the_workers_where_there_is_room() -> None:
    """All sixteen of them, then."""
    lines = screen(busy(), 140, 40)
    assert sum("events.news/" in line for line in lines) == 16
    (head,) = [line for line in lines if "worker, by" in line]
    assert "partition " in head


def test_what_has_no_room_is_counted() -> None:
    """Partitions and workers both."""
    shown = "\n".join(screen(busy(workers=16)))
    assert " more" in shown


def test_an_empty_group_says_what_to_do() -> None:
    """Whole, though the terminal is narrow."""
    shown = " ".join(
        line.strip("│ ") for line in screen(board().snapshot(101.0)) if line.startswith("│")
    )
    assert "headrace run --group desk" in shown


def test_hardly_none_is_not_none_and_hardly_all_is_not_all() -> None:
    """A few late results among many have to be seen."""
    seen = board(member("a", 0, 1))
    for _ in range(2_999):
        seen.take(answer(), 101.0)
    seen.take(answer(verdict=Verdict.LATE), 101.0)
    shown = "\n".join(screen(seen.snapshot(102.0)))
    assert "late <0.1%" in shown
    assert ">99.9%" in shown
