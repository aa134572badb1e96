"""What is written to the log, and what is left out."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError

from streams.clients import pass_over_client_futures
from streams.logs import Throttle, configure
from tests.fakes.clock import ManualClock


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers, logger.level
    yield logger
    logger.handlers = handlers
    logger.setLevel(level)


def line(text: str = "Unable connect to node %s", *arguments: object) -> logging.LogRecord:
    """Make a record of aiokafka's."""
    return logging.LogRecord("aiokafka", logging.ERROR, "client.py", 1, text, arguments, None)


def refuse(password: str) -> None:
    """Fail with a value at hand that must stay out of the log."""
    raise RuntimeError(f"{len(password)} characters were refused")


def test_a_line_that_repeats_is_written_once_in_a_while_with_a_count() -> None:
    """Same wording, whatever its values: the next one written says how many were not."""
    clock = ManualClock()
    throttle = Throttle(10.0, clock.monotonic)
    assert [throttle.filter(line("Unable connect to node %s", node)) for node in (1, 2, 3)] == [
        True,
        False,
        False,
    ]
    clock.advance(10.0)
    later = line("Unable connect to node %s", 4)
    assert throttle.filter(later)
    assert later.getMessage() == "Unable connect to node 4 (and 2 more like it)"


def test_another_wording_is_not_held_back() -> None:
    """News is written at once."""
    throttle = Throttle(10.0, ManualClock().monotonic)
    assert throttle.filter(line("Unable connect to node %s", 1))
    assert throttle.filter(line("Marking the coordinator dead (node %s)", 1))


def test_a_percent_sign_in_a_counted_line_is_kept() -> None:
    """The count is added to the finished text, not to its template."""
    clock = ManualClock()
    throttle = Throttle(1.0, clock.monotonic)
    throttle.filter(line("at %s", "100%"))
    throttle.filter(line("at %s", "100%"))
    clock.advance(1.0)
    last = line("at %s", "100%")
    assert throttle.filter(last)
    assert last.getMessage() == "at 100% (and 1 more like it)"


@pytest.mark.parametrize("style", ["console", "json"])
def test_tracebacks_tell_where_and_not_what(
    style: str, root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Variables may hold a password or a customer's words: none of their values is logged."""
    configure(style)
    try:
        refuse("correct-horse")
    except RuntimeError:
        root.exception("it failed")
    written = capsys.readouterr().err
    assert "13 characters were refused" in written
    assert "in refuse" in written or '"name":"refuse"' in written.replace(" ", "")
    assert "correct-horse" not in written.replace('refuse("correct-horse")', "")


@pytest.mark.usefixtures("root")
def test_what_aiokafka_says_of_the_brokers_errors_takes_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its own stack tells nobody anything; that of other errors is kept."""
    configure("console", "info")
    client = logging.getLogger("aiokafka.producer.sender")
    for error in (KafkaConnectionError("closed"), ValueError("of ours")):
        try:
            raise error
        except type(error):
            client.exception(type(error).__name__)
    told = capsys.readouterr().err
    assert "KafkaConnectionError: KafkaConnectionError('closed')" in told
    assert told.count("Traceback") == 1
    assert "ValueError: of ours" in told


async def test_futures_of_aiokafkas_own_are_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody reads them, and asyncio would show a traceback for each."""
    pass_over_client_futures()
    loop = asyncio.get_running_loop()
    failing: asyncio.Future[None] = loop.create_future()
    with caplog.at_level(logging.ERROR):
        loop.call_exception_handler({"message": "m", "exception": KafkaError(), "future": failing})
        assert caplog.records == []
        loop.call_exception_handler({"message": "m", "exception": KeyError(), "future": failing})
        loop.call_exception_handler({"message": "m", "exception": KafkaError()})
        assert len(caplog.records) == 2
    failing.cancel()
