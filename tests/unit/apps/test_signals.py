"""Results of news become signals, and are counted once."""

from datetime import timedelta

import msgspec

from schemas import Classification, Source, decode_signal
from streams.apps.signals import signals
from tests.fakes.results import MOMENT, result


def reported(offset: int, *tickers: str, revision: int = 0) -> Classification:
    """Make one result, a minute after the one before it."""
    return msgspec.structs.replace(
        result(),
        source=Source(topic="events.news", partition=0, offset=offset),
        event_time=MOMENT + timedelta(minutes=offset),
        tickers=tickers,
        revision=revision,
    )


def test_each_ticker_of_an_event_gets_its_signal() -> None:
    """One that is named twice gets one."""
    app = signals()
    parts = [list(app.spread(reported(number, "HBR", "TLL", "HBR"))) for number in range(2)]
    assert [[ticker for ticker, _ in each] for each in parts] == [["HBR", "TLL"]] * 2
    first = app.step("TLL", None, parts[0][1][1])
    assert first is not None
    assert first.derived == ()
    second = app.step("TLL", first.state, parts[1][1][1])
    assert second is not None
    (signal,) = [decode_signal(outbound.value or b"") for outbound in second.derived]
    assert (signal.ticker, signal.evidence) == ("TLL", 2)
    assert app.step("TLL", second.state, parts[0][1][1]) is None


def test_news_of_no_ticker_concern_nobody() -> None:
    """They are results all the same."""
    assert list(signals().spread(reported(0))) == []
