"""A few thousand damaged records: the fuzzer itself works, and finds nothing."""

from pathlib import Path

from schemas.events import Modality
from tests.fuzz.mutating import Mutator
from tests.fuzz.run import fuzz

RECORDS = 3_000


def test_a_seed_gives_the_same_records_again() -> None:
    """Otherwise a finding could not be looked at twice."""
    first, second = Mutator(7), Mutator(7)
    assert [first.draw() for _ in range(50)] == [second.draw() for _ in range(50)]


def test_every_record_ends_once(tmp_path: Path) -> None:
    """Of every modality, many are taken and many are refused; nothing escapes."""
    found = fuzz(RECORDS, 7, out=tmp_path)
    assert found.broken == {}
    assert found.records == found.outcomes.total() == RECORDS
    for modality in Modality:
        assert found.outcomes[modality, "taken"] > 100
        for refusal in ("undecodable", "invalid", "oversized"):
            assert found.outcomes[modality, refusal] > 5
