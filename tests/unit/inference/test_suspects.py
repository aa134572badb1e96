"""What a dead process was at is known to those who come after it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inference.journal import PLACES, Journal
from inference.suspects import KEEP_S, TRIAL, Suspect, Suspects

DIES = """
import os, signal, sys
from pathlib import Path
from inference.suspects import Suspects
journal = Suspects(Path(sys.argv[1]), "one").open_journal(place_bytes=1_000)
done = journal.enter([b"done/0/1"])
journal.enter([b"running/0/1", b"running/0/2"])
journal.leave(done)
journal.enter([b"next/0/7"])
{end}
"""
KILL = "os.kill(os.getpid(), signal.SIGKILL)"


class Wall:
    """A wall clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1e9

    def __call__(self) -> float:
        """Return seconds since the epoch."""
        return self.seconds


def let_go(journal: Journal) -> None:
    """Give the lock back, as the kernel does at a process's end."""
    journal._map.close()
    os.close(journal._file)


def die(folder: Path, end: str = KILL) -> None:
    """Let a process end in the middle of its work."""
    subprocess.run([sys.executable, "-c", DIES.format(end=end), str(folder)], check=False)


@pytest.mark.parametrize("end", [KILL, "os.abort()", "os._exit(1)"])
def test_what_a_dead_process_was_at_is_suspect(tmp_path: Path, end: str) -> None:
    """What was done is not, however the process ended."""
    die(tmp_path, end)
    known = Suspects(tmp_path, "one").look()
    assert set(known) == {b"running/0/1", b"running/0/2", b"next/0/7"}
    assert {one.deaths for one in known.values()} == {1}


def test_all_who_look_see_the_same_and_deaths_add_up(tmp_path: Path) -> None:
    """The journal is gone after the first look, and what it said is not."""
    first, second = (Suspects(tmp_path, "one") for _ in range(2))
    die(tmp_path)
    assert first.look().keys() == second.look().keys()
    die(tmp_path)
    assert {one.deaths for one in second.look().values()} == {2}
    assert list(tmp_path.glob("*.journal")) == []


def test_the_living_are_left_alone(tmp_path: Path) -> None:
    """What they work on is nobody's concern; nor is it once they have ended well."""
    suspects = Suspects(tmp_path, "one")
    journal = suspects.open_journal(place_bytes=100)
    place = journal.enter([b"t/0/1"])
    assert Suspects(tmp_path, "one").look() == {}
    journal.leave(place)
    journal.close()
    assert Suspects(tmp_path, "one").look() == {}
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_an_end_in_the_middle_of_a_batch_leaves_it(tmp_path: Path) -> None:
    """A device that hangs ends the worker in good order, but not the batch."""
    suspects = Suspects(tmp_path, "one")
    journal = suspects.open_journal(place_bytes=100)
    journal.enter([b"t/0/1"])
    journal.close()
    let_go(journal)
    assert set(suspects.look()) == {b"t/0/1"}


def test_what_a_process_gives_up_is_suspect_at_once(tmp_path: Path) -> None:
    """It hangs in it, and somebody else is about to get it; its death is no second one."""
    suspects = Suspects(tmp_path, "one")
    journal = suspects.open_journal(place_bytes=100)
    journal.enter([b"t/0/1", b"t/0/2"])
    assert journal.give_up(older_than_s=60) == []
    suspects.accuse(journal.give_up())
    assert {one.deaths for one in Suspects(tmp_path, "one").look().values()} == {1}
    let_go(journal)
    assert {one.deaths for one in suspects.look().values()} == {1}
    assert len(suspects.look()) == 2


def test_another_scope_has_suspects_of_its_own(tmp_path: Path) -> None:
    """Whoever looks first sorts them."""
    die(tmp_path)
    assert Suspects(tmp_path, "other").look() == {}
    assert len(Suspects(tmp_path, "one").look()) == 3


def test_suspects_are_forgotten_one_by_one_or_with_time(tmp_path: Path) -> None:
    """Answered, or met by nobody for a week."""
    wall = Wall()
    suspects = Suspects(tmp_path, "one", wall=wall)
    suspects.accuse([b"t/0/1"])
    suspects.accuse([TRIAL + b"t/0/1"])
    assert suspects.look() == {b"t/0/1": Suspect(deaths=2, trials=1, since=wall.seconds)}
    wall.seconds += 60
    suspects.accuse([b"t/0/2"])
    wall.seconds += KEEP_S - 30
    assert set(suspects.look()) == {b"t/0/2"}
    suspects.forget(b"t/0/2")
    suspects.forget(b"t/0/3")
    assert suspects.look() == {}
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_what_has_no_room_is_left_out_whole(tmp_path: Path) -> None:
    """A cut name would be another event's."""
    suspects = Suspects(tmp_path, "one")
    journal = suspects.open_journal(place_bytes=20)
    journal.enter([b"topic/0/1", b"topic/0/22", b"topic/0/333"])
    let_go(journal)
    assert set(suspects.look()) == {b"topic/0/1", b"topic/0/22"}


def test_a_damaged_list_accuses_nobody(tmp_path: Path) -> None:
    """It is replaced by the next one."""
    (tmp_path / "one.suspects").write_bytes(b'[{"name": 7}]')
    suspects = Suspects(tmp_path, "one")
    assert suspects.look() == {}
    suspects.accuse([b"t/0/1"])
    assert set(suspects.look()) == {b"t/0/1"}


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """In a directory that all may write to, it may be a trap."""
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(PermissionError, match="own"):
        Suspects(tmp_path / "link", "one")


def test_places_are_used_again(tmp_path: Path) -> None:
    """Any number of batches, one after another."""
    journal = Suspects(tmp_path, "one").open_journal(place_bytes=100)
    for number in range(3 * PLACES):
        with journal.holding([b"t/0/%d" % number]):
            pass
    journal.close()
