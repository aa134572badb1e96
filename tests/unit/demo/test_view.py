"""What the demo's screen says."""

import io

import pytest
from rich.console import Console

from schemas.events import Modality
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
    assert "starting" in screen(Situation("a log", "a broker"), Tally([Modality.NEWS]))


def test_a_frame_shows_results_with_verdict_and_text() -> None:
    """The newest results, what was decided, how long it took, and on what."""
    tally = Tally([Modality.NEWS])
    tally.count_result(result(total_ms=42), "Harbour operator lifts forecast", now=1.0)
    tally.count_result(
        result(total_ms=170, verdict=Verdict.LATE, label="negative"), "Mill closes", now=1.0
    )
    shown = screen(Situation("a log", "a broker", sent=2, started=0.0, ended=2.0), tally)
    assert "Harbour operator lifts forecast" in shown
    assert "Mill closes" in shown
    assert "late" in shown
    assert "of 150 ms, whole run" in shown


def test_each_modality_has_its_line_and_its_commonest_label() -> None:
    """Latency of one says nothing about another: their budgets differ."""
    tally = Tally(Modality)
    tally.count_result(result(total_ms=42), "Harbour operator lifts forecast", now=1.0)
    long = "balance_not_updated_after_bank_transfer"
    tally.count_result(
        result(total_ms=55, label=long, modality=Modality.TRANSCRIPT, budget_ms=200),
        "my balance has not moved",
        now=1.0,
    )
    shown = screen(Situation("a log", "a broker", sent=2, started=0.0, ended=2.0), tally)
    lines = [line for line in shown.splitlines() if "whole run" in line]
    assert [line.split()[1] for line in lines] == ["news", "transcript"]
    assert "of 200 ms" in lines[1]
    assert "p99 55 ms" in lines[1]
    assert "balance_not_updated_a…" in shown


@pytest.mark.parametrize("modalities", [[Modality.NEWS], list(Modality)])
def test_a_frame_fits_the_terminal_at_common_sizes(modalities: list[Modality]) -> None:
    """A frame that is higher than the screen would scroll it away."""
    tally = Tally(modalities)
    for number in range(40):
        modality = modalities[number % len(modalities)]
        tally.count_result(result(modality=modality), f"headline {number}", now=1.0)
    for width, height in ((80, 24), (100, 30), (200, 60)):
        situation = Situation("a log", "a broker", sent=40, started=0.0, unserved=3, skipped=1)
        lines = screen(situation, tally, width=width, height=height).splitlines()
        assert len(lines) < height
        assert max(map(len, lines)) <= width


def test_markup_in_a_headline_is_shown_as_it_is() -> None:
    """A headline cannot colour the screen or break it."""
    tally = Tally([Modality.NEWS])
    tally.count_result(result(), "[bold red]Shares[/bold red] [/] rise", now=1.0)
    assert "[bold red]Shares[/bold red] [/] rise" in screen(Situation("t", "p"), tally)
