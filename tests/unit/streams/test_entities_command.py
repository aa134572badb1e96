"""``headrace entities``: what a list holds, and what would be found in a text."""

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from schemas.errors import ConfigurationError
from streams.commands.entities import command

HEADER = "name,ticker,also_word\n"


def run(*arguments: str) -> Result:
    """Run the command; errors of ours are raised, as the command line words them."""
    done = CliRunner().invoke(command, arguments)
    if isinstance(done.exception, ConfigurationError):
        raise done.exception
    return done


@pytest.fixture
def companies(tmp_path: Path) -> Path:
    """Return a list of two companies, one with a doubtful name."""
    file = tmp_path / "mine.csv"
    file.write_text(HEADER + "Harbour Lines,HBR,\nGlow,GLW,Glow\n", encoding="utf-8")
    return file


def test_a_good_list_is_counted(companies: Path) -> None:
    """Alone, or with what ships, and with the version that the workers' metrics show."""
    alone = run("check", str(companies), "--alone")
    assert alone.exit_code == 0
    first, second = alone.stdout.splitlines()
    assert first == f"{companies}: 2 companies by 2 forms of names, 1 with names that need context"
    assert second.startswith("version ")
    assert ": 2 companies; with what ships, " in run("check", str(companies)).stdout


def test_a_bad_list_is_refused_with_every_problem(companies: Path) -> None:
    """And exit code 1."""
    companies.write_text(HEADER + "Harbour,hbr,\n,GLW,\n", encoding="utf-8")
    done = run("check", str(companies))
    assert done.exit_code == 1
    assert "mine.csv: row 2, ticker: value is 'hbr'" in done.stderr
    assert "mine.csv: row 3, name: value is ''; write the company's name" in done.stderr
    assert done.stderr.splitlines()[-1] == "2 to correct"


def test_what_is_found_is_shown_with_its_reason(companies: Path) -> None:
    """And what is not, with what there is to say for it."""
    own = ("--file", str(companies), "--alone")
    lines = run("link", "Glow shares drop; Harbour Lines too", *own).stdout.splitlines()
    assert lines == [
        "GLW           'Glow' at 0: Glow; before 'shares'",
        "HBR           'Harbour Lines' at 18: Harbour Lines; a name that only it has",
    ]
    (line,) = run("link", "Glow of the evening", *own).stdout.splitlines()
    assert line == (
        "not linked    'Glow' at 0: may be Glow, or something else; nothing in the text says so"
    )
    (line,) = run("link", "Glow of the evening", *own, "--ticker", "GLW").stdout.splitlines()
    assert line.endswith("Glow; the feed gives its ticker")


def test_a_ticker_in_no_row_is_said_to_be_in_none(companies: Path) -> None:
    """It is linked as it is written."""
    (line,) = run("link", "$QRST", "--file", str(companies)).stdout.splitlines()
    assert line == "QRST          '$QRST' at 0: in no row; a ticker as the text writes it"


def test_nothing_found_is_said() -> None:
    """To people; scripts get no line."""
    done = run("link", "Ferry keeps its timetable")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "No company of the list is named here.\n"
    assert run("link", "Ferry keeps its timetable", "--json").output == ""


def test_scripts_get_a_json_object_a_line() -> None:
    """With places in the text."""
    document = orjson.loads(run("link", "Why YouTube pays", "--json").stdout)
    assert document == {
        "text": "YouTube",
        "start": 4,
        "end": 11,
        "taken": True,
        "ticker": "GOOGL",
        "name": "YouTube",
        "how": "name",
        "why": [],
    }


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    """A text of blanks, and a list that is not there."""
    with pytest.raises(ConfigurationError, match="TEXT: is blank; give a headline"):
        run("link", " ")
    with pytest.raises(ConfigurationError, match=r"mine\.csv: cannot be read: No such file"):
        run("link", "Harbour", "--file", str(tmp_path / "mine.csv"))
