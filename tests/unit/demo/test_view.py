"""What the demo's screen says."""

import io

from rich.console import Console

from schemas.results import Verdict
from streams.demo.tally import Tally
from streams.demo.view import Situation, View
from tests.fakes.clock import ManualClock
from tests.fakes.results import result


def screen(situation: Situation, tally: Tally, *, width: int = 100, height: int = 30) -> str:
    """Render one frame as text."""
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(View(situation, tally, ManualClock()))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_an_empty_frame_can_be_drawn() -> None:
    """Before the first event there is nothing to divide by."""
    assert "starting" in screen(Situation("a log", "a broker"), Tally())


def test_a_frame_shows_results_with_verdict_and_text() -> None:
    """The newest results, what was decided, how long it took, and on what."""
    tally = Tally()
    tally.count_result(result(total_ms=42), "Harbour operator lifts forecast", now=1.0)
    tally.count_result(
        result(total_ms=170, verdict=Verdict.LATE, label="negative"), "Mill closes", now=1.0
    )
    shown = screen(Situation("a log", "a broker", sent=2, started=0.0, ended=2.0), tally)
    assert "Harbour operator lifts forecast" in shown
    assert "Mill closes" in shown
    assert "late" in shown
    assert "of 150 ms, whole run" in shown


def test_a_frame_fits_the_terminal_at_common_sizes() -> None:
    """A frame that is higher than the screen would scroll it away."""
    tally = Tally()
    for number in range(40):
        tally.count_result(result(), f"headline {number}", now=1.0)
    for width, height in ((80, 24), (100, 30), (200, 60)):
        situation = Situation("a log", "a broker", sent=40, started=0.0, unserved=3, skipped=1)
        lines = screen(situation, tally, width=width, height=height).splitlines()
        assert len(lines) < height
        assert max(map(len, lines)) <= width


def test_markup_in_a_headline_is_shown_as_it_is() -> None:
    """A headline cannot colour the screen or break it."""
    tally = Tally()
    tally.count_result(result(), "[bold red]Shares[/bold red] [/] rise", now=1.0)
    assert "[bold red]Shares[/bold red] [/] rise" in screen(Situation("t", "p"), tally)
