"""Counting what comes back."""

import pytest

from schemas.events import Modality
from schemas.results import Verdict
from streams.demo.tally import Tally, percentile
from tests.fakes.results import result


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0)]
)
def test_percentiles_are_values_that_were_seen(share: float, expected: float) -> None:
    """Nearest rank: no interpolation between two latencies."""
    assert percentile([float(number) for number in range(1, 101)], share) == expected


def test_there_is_no_percentile_of_nothing() -> None:
    """An empty run has no latency, not one of zero."""
    assert percentile([], 0.5) is None


def test_rates_are_measured_over_the_last_moments() -> None:
    """A burst at the start does not colour the rate a while later."""
    tally = Tally([Modality.NEWS])
    for number in range(41):
        tally.sample(number * 0.25, sent=1000 + number * 5)
    rate_in, rate_out = tally.rates()
    assert rate_in == pytest.approx(20)
    assert rate_out == 0


def test_one_sample_is_no_rate() -> None:
    """The first moment shows zero instead of failing."""
    tally = Tally([Modality.NEWS])
    tally.sample(0.0, 10)
    assert tally.rates() == (0.0, 0.0)


def test_live_latencies_forget_what_is_old() -> None:
    """The live percentiles are of the last seconds, the final ones of all."""
    tally = Tally([Modality.NEWS])
    tally.count_result(result(total_ms=900), "early", now=0.0)
    tally.count_result(result(total_ms=20), "late", now=8.0)
    news = tally.of[Modality.NEWS]
    assert news.recent_ms(8.0) == [20]
    assert list(news.latencies_ms) == [900, 20]


def test_results_and_dead_letters_are_both_answers() -> None:
    """A dead letter answers its event too, without a label."""
    tally = Tally([Modality.NEWS])
    tally.count_result(result(), "a", now=1.0)
    tally.count_dead_letter(Modality.NEWS, 2.0)
    assert (tally.answered, tally.results, tally.dead_letters) == (2, 1, 1)
    assert tally.last_answer == 2.0
    assert tally.of[Modality.NEWS].labels == {"positive": 1}


def test_modalities_are_counted_apart() -> None:
    """And what was late or shed was not within its budget."""
    tally = Tally(Modality)
    tally.count_result(result(budget_ms=100, modality=Modality.CAMERA), "a", now=1.0)
    tally.count_result(result(verdict=Verdict.DEGRADED), "b", now=1.0)
    tally.count_result(result(verdict=Verdict.LATE), "c", now=1.0)
    tally.count_dead_letter(Modality.TRANSCRIPT, 2.0)
    assert [part.results for part in tally.of.values()] == [2, 0, 1]
    assert [part.within_budget for part in tally.of.values()] == [1, 0, 1]
    assert [part.dead_letters for part in tally.of.values()] == [0, 1, 0]
    assert [part.budget_ms for part in tally.of.values()] == [150, None, 100]
    assert (tally.results, tally.answered) == (3, 4)
