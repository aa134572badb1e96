"""What is seen of a group comes to rates, shares and percentiles of the span that is looked at."""

import pytest
from aiokafka import TopicPartition

from schemas.results import Verdict
from streams.top.group import Standing
from streams.top.scrape import Scraped
from streams.top.snapshot import Verdicts
from tests.unit.top.seen import URL, answer, board, look, member, scraped


def test_a_topic_says_what_comes_in_goes_out_and_waits() -> None:
    """Rates between two looks; lag as the broker has it."""
    seen = board(member("a", 0, 1))
    for number in range(30):
        seen.take(answer(number % 2), 101.0)
    seen.looked(look(member("a", 0, 1), ends=(150, 130), committed=(140, 130)), 104.0)
    (topic,) = seen.snapshot(104.0).topics
    assert (topic.rate_in, topic.rate_out, topic.lag) == (20.0, 7.5, 10)
    assert topic.share_in_budget == 1.0


def test_verdicts_latencies_and_labels_are_those_of_the_topic() -> None:
    """Degraded answers are in time; shed ones have no latency and no label."""
    seen = board(member("a", 0, 1))
    for latency_ms in range(1, 99):
        seen.take(answer(total_ms=latency_ms), 105.0)
    seen.take(answer(total_ms=120, verdict=Verdict.DEGRADED, label="negative"), 105.0)
    seen.take(answer(total_ms=180, verdict=Verdict.LATE, label="negative"), 105.0)
    for _ in range(100):
        seen.take(answer(total_ms=9_999, verdict=Verdict.SHED, label=None), 105.0)
    (topic,) = seen.snapshot(105.0).topics
    assert topic.verdicts == Verdicts(on_time=98, degraded=1, late=1, shed=100)
    assert topic.share_in_budget == pytest.approx(99 / 200)
    assert (topic.p50_ms, topic.p99_ms, topic.budget_ms) == (50, 120, 150)
    assert [(one.label, one.share) for one in topic.labels] == [
        ("positive", 0.98),
        ("negative", 0.02),
    ]


def test_results_count_for_whoever_has_the_partition_of_their_event() -> None:
    """They do not say themselves who made them."""
    seen = board(member("a", 0), member("b", 1))
    seen.take(answer(0), 101.0)
    seen.take(answer(1, verdict=Verdict.LATE), 101.0)
    seen.looked(look(member("b", 0, 1)), 102.0)
    seen.take(answer(0), 103.0)
    (worker,) = seen.snapshot(104.0).workers
    assert worker.member == "headrace-desk-b"
    assert (worker.partitions, worker.lag) == (2, 10)
    assert worker.verdicts == Verdicts(on_time=1, late=1)


def test_what_is_older_than_the_span_counts_no_more() -> None:
    """Neither results nor rates."""
    seen = board(member("a", 0, 1), window_s=5.0)
    seen.take(answer(verdict=Verdict.LATE), 101.0)
    seen.looked(look(member("a", 0, 1), ends=(900, 900), committed=(900, 900)), 104.0)
    seen.looked(look(member("a", 0, 1), ends=(910, 900), committed=(900, 900)), 114.0)
    snapshot = seen.snapshot(114.0)
    (topic,) = snapshot.topics
    assert topic.verdicts.total == 0
    assert topic.share_in_budget is None
    assert topic.rate_in == 1.0
    assert snapshot.window_s == 5.0


def test_no_rate_is_told_before_there_is_one() -> None:
    """A tenth of a second says nothing."""
    seen = board(member("a", 0, 1))
    seen.take(answer(), 100.05)
    snapshot = seen.snapshot(100.1)
    assert snapshot.topics[0].rate_in is None
    assert snapshot.topics[0].rate_out is None
    assert snapshot.workers[0].rate_out is None


def test_second_answers_are_not_counted() -> None:
    """Their events were answered already."""
    seen = board(member("a", 0, 1))
    seen.take(answer(revision=1), 101.0)
    assert seen.snapshot(102.0).topics[0].verdicts.total == 0


def test_dead_letters_are_told_by_their_topic() -> None:
    """Of those that come while it is looked at."""
    seen = board(member("a", 0, 1))
    seen.looked(look(member("a", 0, 1), letters=6), 103.0)
    assert seen.snapshot(103.0).topics[0].dead_letters_per_s == 2.0


def test_metrics_show_how_they_grew() -> None:
    """A worker that was started anew counts from nothing, and is not shown to go backwards."""
    seen = board(member("a", 0, 1))
    seen.scraped([scraped(1000, on_time=900, late=100)], 101.0)
    assert seen.snapshot(101.0).instances[0].rate_in is None
    seen.scraped([scraped(1100, on_time=980, late=120, in_flight=7, restarts=1)], 103.0)
    (instance,) = seen.snapshot(103.0).instances
    assert (instance.rate_in, instance.ready, instance.in_flight) == (50.0, 1, 7)
    assert instance.restarts == 1
    assert instance.verdicts == Verdicts(on_time=80, late=20)
    seen.scraped([scraped(3, on_time=3)], 105.0)
    assert seen.snapshot(105.0).instances[0].verdicts == Verdicts()


def test_an_instance_that_does_not_answer_is_told_and_the_others_are_shown() -> None:
    """With its address and the reason."""
    seen = board(member("a", 0, 1))
    gone = Scraped("http://b/metrics", "no answer in 2 s")
    seen.scraped([scraped(10), gone], 101.0)
    snapshot = seen.snapshot(101.0)
    assert [(one.url, one.problem) for one in snapshot.instances] == [
        (URL, None),
        ("http://b/metrics", "no answer in 2 s"),
    ]
    assert "http://b/metrics: no answer in 2 s" in snapshot.notes


@pytest.mark.parametrize(
    ("members", "note"),
    [
        ((), "group 'desk' has no worker: start one with `headrace run --group desk`"),
        ((member("a", 0, 1), member("b")), "1 of 2 workers have no partition"),
        ((member("a", 0),), "1 of 2 partitions are nobody's at the moment"),
    ],
)
def test_what_is_wrong_with_the_group_is_said(members: tuple[object, ...], note: str) -> None:
    """And what to do."""
    notes = board(*members).snapshot(101.0).notes
    assert any(one.startswith(note) for one in notes)


def test_a_group_that_works_has_no_notes() -> None:
    """Silence means well."""
    assert board(member("a", 0), member("b", 1)).snapshot(101.0).notes == ()


def test_a_topic_that_the_settings_do_not_name_is_shown_and_told() -> None:
    """Its lag is known; where its results go is not."""
    seen = board(member("a", 0, 1))
    found = look(member("a", 0, 1))
    other = {TopicPartition("calls", 0): Standing(end=5, committed=2, lag=3, member=None)}
    seen.looked(type(found)(found.state, found.members, {**found.standings, **other}), 101.0)
    snapshot = seen.snapshot(102.0)
    assert [(one.topic, one.lag) for one in snapshot.topics] == [("calls", 3), ("events.news", 10)]
    assert any("results of calls" in note and "--config" in note for note in snapshot.notes)


def test_the_broker_s_silence_is_told_until_it_is_over() -> None:
    """The last that was seen stays."""
    seen = board(member("a", 0, 1))
    seen.problem = "group desk: the broker does not tell"
    assert seen.snapshot(101.0).notes == ("group desk: the broker does not tell",)
    seen.looked(look(member("a", 0, 1)), 102.0)
    assert seen.snapshot(102.0).notes == ()


def test_partitions_furthest_behind_come_first() -> None:
    """With where the group stands in them."""
    first, second = board(member("a", 0, 1)).snapshot(101.0).partitions
    assert (first.partition, first.lag, first.committed, first.end) == (0, 10, 90, 100)
    assert (second.partition, second.lag) == (1, 0)
