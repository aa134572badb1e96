"""Where events fail is told once for each place, without what they hold."""

import pytest

from streams.lane import crash_log
from streams.lane.crash_log import CrashLog


def fail(secret: str) -> None:
    """Fail with an event's text in the message."""
    raise ValueError(secret)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Return what is logged."""
    lines: list[dict[str, object]] = []

    class Lines:
        def error(self, event: str, **fields: object) -> None:
            lines.append({"event": event} | fields)

    monkeypatch.setattr(crash_log, "log", Lines())
    return lines


def test_each_place_is_told_once(told: list[dict[str, object]]) -> None:
    """With its stack, so that a digest can be looked up."""
    log = CrashLog()
    for digest in ("a", "b", "a"):
        with pytest.raises(ValueError, match="call 7") as raised:
            fail("the text of call 7")
        log.tell(raised.value, digest)
    assert [line["stack_digest"] for line in told] == ["a", "b"]
    line = told[0]
    assert line["error"] == "ValueError"
    assert "test_crash_log.py" in str(line["calls"])
    assert str(line["calls"]).endswith("fail']")
    assert "call 7" not in str(line)
