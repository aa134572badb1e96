"""Where brokers keep data: given directories stay, temporary ones never pile up."""

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from streams.broker.directory import PREFIX, data_directory


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Have temporary directories below the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_given_directory_is_made_and_stays(temporary: Path) -> None:
    """With what the broker wrote into it."""
    given = temporary / "a" / "b"
    with data_directory(given) as directory:
        assert directory == given
        (directory / "log").write_text("kept")
    assert (given / "log").read_text() == "kept"


def test_a_temporary_directory_goes_with_its_broker(temporary: Path) -> None:
    """Also where the broker failed."""
    with suppress(RuntimeError), data_directory(None) as directory:
        (directory / "log").write_text("swept")
        raise RuntimeError
    assert list(temporary.iterdir()) == []


def test_what_a_killed_parent_left_goes_when_the_next_broker_starts(temporary: Path) -> None:
    """Its lock went with it. Directories of brokers that live, and of others, are left alone."""
    abandoned = temporary / f"{PREFIX}abandoned"
    abandoned.mkdir()
    (abandoned / ".lock").touch()
    stranger = temporary / f"{PREFIX}stranger"
    stranger.mkdir()
    with data_directory(None) as living, data_directory(None):
        assert not abandoned.exists()
        assert living.exists()
        assert stranger.exists()
