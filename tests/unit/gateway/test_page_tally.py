"""What the live page adds up, and what it forgets."""

from datetime import timedelta

import msgspec
import pytest

from schemas.derived import AlertState, Signal
from schemas.events import Modality
from schemas.results import Classification, Verdict
from streams.gateway.page.boards import CLEARED_MS, CURVE, MOST_CAMERAS, STRIP, Board
from streams.gateway.page.tally import HISTORY_S, NEWEST, WINDOW_S, Tally
from streams.gateway.page.windows import BUCKETS, Sliding, bucket, edge, percentile
from tests.fakes.derived import alert, signal
from tests.fakes.results import MOMENT, result

NOW_S = 1_800_000_000
NOW_MS = NOW_S * 1_000


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = float(NOW_S)

    def __call__(self) -> float:
        """Return the seconds that it was set to."""
        return self.now


def image(label: str | None, confidence: float = 0.9, camera: str = "cam-1") -> Classification:
    """Return the result of a camera's image."""
    scores = {label: confidence} if label else {}
    return msgspec.structs.replace(
        result(label=label, modality=Modality.CAMERA), scores=scores, camera_id=camera
    )


def acme(number: int, sentiment: float, minutes: int, revision: int = 0) -> Signal:
    """Return a signal of one instrument."""
    return signal(
        id=f"ACME:{number}",
        revision=revision,
        ticker="ACME",
        sentiment=sentiment,
        event_time=MOMENT + timedelta(minutes=minutes),
    )


def test_rates_are_means_of_full_seconds() -> None:
    """The second that is not over would pull them down."""
    tally = Tally(Clock())
    for second in range(1, 6):
        for _ in range(10):
            tally.take_result(result(), "results.news", NOW_MS - second * 1_000)
    tally.take_result(result(), "results.news", NOW_MS)
    (topic,) = tally.totals()["topics"]
    assert (topic["topic"], topic["rate"], sum(topic["curve"])) == ("results.news", 10.0, 50)


def test_verdicts_are_counted_in_the_seconds_of_their_records() -> None:
    """Also those read late; those that are too old are passed over."""
    clock = Clock()
    tally = Tally(clock)
    for age_s, verdict in ((1, Verdict.LATE), (HISTORY_S, Verdict.SHED), (400, Verdict.SHED)):
        tally.take_result(result(verdict=verdict), "results.news", NOW_MS - age_s * 1_000)
    late, shed = tally.totals()["verdicts"][1], tally.totals()["verdicts"][3]
    assert (late[-1], sum(late), shed[0], sum(shed)) == (1, 1, 1, 1)
    clock.now += 2 * HISTORY_S
    assert sum(map(sum, tally.totals()["verdicts"])) == 0


def test_a_record_of_the_future_counts_as_of_now() -> None:
    """A producer's clock may be ahead; its results are not to be lost for that."""
    tally = Tally(Clock())
    row = tally.take_result(result(), "results.news", NOW_MS + 60_000)
    assert row.at_ms == NOW_MS


def test_latency_and_effort_look_a_minute_back() -> None:
    """Shed results have neither; where answers came from is told of all."""
    clock = Clock()
    tally = Tally(clock)
    tally.take_result(result(total_ms=20.0), "results.news", NOW_MS)
    tally.take_result(result(verdict=Verdict.SHED, label=None), "results.news", NOW_MS)
    news = tally.totals()["modalities"]["news"]
    assert news["latency"] == [(bucket(20.0), 1)]
    assert news["budget_ms"] == 150
    assert (news["layers"], news["experts"]) == ([(2, 1)], [(2, 1)])
    assert news["from"] == [("model", 2)]
    clock.now += WINDOW_S + 2
    assert tally.totals()["modalities"] == {}


def test_a_second_answer_is_a_row_and_no_more() -> None:
    """It came after the event's verdict was given."""
    tally = Tally(Clock())
    second = msgspec.structs.replace(result(), revision=1)
    row = tally.take_result(second, "results.news", NOW_MS - 1_000)
    assert row.revision == 1
    assert tally.totals()["topics"] == []


def test_memory_is_bounded() -> None:
    """Whatever comes, and however long: rows, cameras, strips and seconds."""
    clock = Clock()
    tally = Tally(clock)
    for number in range(3 * NEWEST):
        clock.now += 1
        camera = f"cam-{number % (MOST_CAMERAS + 50)}"
        tally.take_result(image("ok", camera=camera), "results.camera", int(clock.now * 1_000))
        if number % 100 == 0:
            tally.totals()
    tally.totals()
    assert len(tally.newest) == NEWEST
    assert len(tally.boards.cameras) == MOST_CAMERAS
    assert len(tally._topics["results.camera"]._rows) <= HISTORY_S + 1
    assert len(tally._recent._parts) <= WINDOW_S + 1


def test_a_camera_shows_its_last_images() -> None:
    """Defects below zero, shed ones as nothing, by their confidence in per cent."""
    tally = Tally(Clock())
    for _ in range(STRIP):
        tally.take_result(image("no_defect", 0.5), "results.camera", NOW_MS)
    tally.take_result(image(None), "results.camera", NOW_MS)
    tally.take_result(image("crack", 0.8), "results.camera", NOW_MS)
    tile = tally.boards.cameras.get("cam-1")
    assert tile is not None
    assert (tile.is_defect, tile.label, len(tile.strip)) == (True, "crack", STRIP)
    assert tile.strip[-3:] == [50, 0, -80]


def test_the_newest_event_s_signal_stands() -> None:
    """A correction takes the place of what it corrects; an older event's changes nothing."""
    tally = Tally(Clock())
    for one in (acme(1, 0.1, 1), acme(2, 0.2, 2), acme(2, 0.4, 2, 1), acme(0, 0.9, 0)):
        tally.take_signal(one, NOW_MS)
    ticker = tally.boards.tickers.get("ACME")
    assert ticker is not None
    assert (ticker.sentiment, ticker.curve) == (0.4, [0.1, 0.4])
    for number in range(2 * CURVE):
        tally.take_signal(acme(10 + number, 0.0, 10 + number), NOW_MS)
    assert len(ticker.curve) == 2
    newest = tally.boards.tickers.get("ACME")
    assert newest is not None
    assert len(newest.curve) == CURVE


def test_a_cleared_alert_goes_after_a_while_and_is_not_raised_by_a_repetition() -> None:
    """Who looks sees that it is over."""
    clock = Clock()
    tally = Tally(clock)
    for state in (AlertState.RAISED, AlertState.CLEARED, AlertState.RAISED):
        tally.take_alert(alert(state=state), NOW_MS)
    assert [one.state for one in tally.boards.alerts.all] == [AlertState.CLEARED]
    clock.now += CLEARED_MS / 1e3 + 1
    tally.totals()
    assert tally.boards.alerts.all == []


def test_a_board_tells_once_what_changed() -> None:
    """What is dropped is gone, not changed; the one longest without news makes room."""
    board: Board[int] = Board(2)
    for name, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        board.put(name, value)
    new, gone = board.changes()
    assert (sorted(new), gone) == ([3, 4], ["b"])
    assert board.changes() == ([], [])


@pytest.mark.parametrize("milliseconds", [0.0, 1.0, 1.1, 7.7, 150.0, 99_999.0])
def test_a_latency_lies_in_its_bucket(milliseconds: float) -> None:
    """The first and the last take what is beyond."""
    number = bucket(milliseconds)
    assert 0 <= number < BUCKETS
    if 0 < number < BUCKETS - 1:
        assert edge(number) <= milliseconds < edge(number + 1)


def test_percentiles_are_right_to_a_bucket() -> None:
    """Of none there is none."""
    latencies = [float(number) for number in range(1, 1_001)]
    sliding: Sliding[int] = Sliding(10)
    sliding.add(0, map(bucket, latencies))
    counts = sliding.totals
    for share in (0.5, 0.95, 0.99):
        assert percentile(counts, share) == pytest.approx(1_000 * share, rel=0.1)
    assert percentile({}, 0.5) is None
