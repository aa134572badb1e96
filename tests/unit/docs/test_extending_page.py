"""docs/extending.md names what there is, and its example runs."""

import re
from pathlib import Path

import pytest

from inference.backends.dense import FAMILIES
from inference.precision import AUTO, Precision
from inference.registry import Group, names
from tests.fakes.hub_models import write_text_model

PAGE = (Path(__file__).parents[3] / "docs/extending.md").read_text()


def first_cells(heading: str) -> list[str]:
    """Return the code words in the first column of the table below a heading."""
    table = PAGE.partition(heading)[2].partition("\n| ")[2].partition("\n\n")[0]
    return re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)


def test_every_precision_has_its_row():
    """And no row is of one that there is not."""
    assert sorted(first_cells("### Precisions")) == sorted([AUTO, *Precision])


def test_every_strategy_has_its_row():
    """All that come with headrace."""
    assert sorted(first_cells("### Batch strategies")) == names(Group.BATCH_STRATEGIES)


def test_every_group_and_backend_and_family_is_named():
    """By the name that one would type."""
    assert first_cells("## Adding parts") == list(Group)
    for name in (*names(Group.BACKENDS), *FAMILIES):
        assert f"`{name}`" in PAGE


def test_the_first_example_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """On a classifier of the name that it uses."""
    write_text_model(tmp_path / "my-classifier")
    monkeypatch.chdir(tmp_path)
    code = PAGE.partition("```python\n")[2].partition("```")[0]
    exec(compile(code, "docs/extending.md", "exec"), {})  # noqa: S102 - the page's own
    assert re.search(r"'negative': 0\.\d+.* 1\.0$", capsys.readouterr().out.strip())
