"""Progress on a terminal and in a file."""

import io

from rich.console import Console

from streams.terminal.bars import Bars, PlainLines


def test_a_file_gets_lines_with_the_time_to_go():
    """One a minute; a stage that is taken up again says where."""
    lines: list[str] = []
    now = [0.0]
    with PlainLines(lines.append, lambda: now[0]) as report:
        report.begin("teacher", 70, 40)
        for _ in range(30):
            now[0] += 6.5
            report.step()
        report.end()
        report("teacher: done")
    assert lines == [
        "teacher: taken up again after step 40 of 70",
        "teacher: step 50 of 70, about 2 min to go",
        "teacher: step 60 of 70, about 1 min to go",
        "teacher: step 70 of 70, less than a minute to go",
        "teacher: done",
    ]


def test_a_terminal_gets_bars_below_the_lines():
    """With the stage and how far it is; square brackets in a line are no markup."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=100, highlight=False)
    with Bars(console) as report:
        report.begin("student", 4, 1)
        report.step()
        report("labels [a], [b]")
        report.end()
    shown = written.getvalue()
    assert "labels [a], [b]" in shown
    assert "student" in shown
    assert "2/4" in shown
