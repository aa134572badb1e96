"""The account at the end of a demo."""

from schemas.events import Modality
from schemas.results import Verdict
from streams.demo.audit import Audit
from streams.demo.report import Report
from tests.fakes.results import result

REST = {
    "unserved": 0,
    "skipped": 0,
    "interrupted": False,
    "speed": "1",
    "workers": 1,
    "broker": "b",
    "cpu": "c",
}


def audit(*latencies_ms: float, label: str = "rise", late: int = 0, letters: int = 0) -> Audit:
    """Return an audit in which every event was answered; the last results were late."""
    found = Audit(events_in=len(latencies_ms) + letters, dead_letters=letters)
    for number, latency_ms in enumerate(latencies_ms):
        is_late = number >= len(latencies_ms) - late
        verdict = Verdict.LATE if is_late else Verdict.ON_TIME
        found.count(result(total_ms=latency_ms, label=label, verdict=verdict))
    return found


def report(**found: Audit) -> Report:
    """Make a report of ten seconds."""
    audits = {Modality(name): part for name, part in found.items()}
    return Report.of(audits, wall_s=10.0, **REST)


def test_modalities_are_accounted_for_apart_and_together() -> None:
    """Sums are of all; percentiles and shares are of all results, not means of means."""
    made = report(news=audit(10, 20, 30, letters=1), camera=audit(200, label="scratch", late=1))
    news, camera = made.modalities["news"], made.modalities["camera"]
    assert (made.events_in, made.results, made.dead_letters) == (5, 4, 1)
    assert (news.events_in, camera.events_in) == (4, 1)
    assert (made.p50_ms, news.p50_ms, camera.p50_ms) == (20, 20, 200)
    assert (made.within_budget, news.within_budget, camera.within_budget) == (0.75, 1.0, 0.0)
    assert (news.label, camera.label) == ("rise", "scratch")
    assert (news.budget_ms, news.model, news.labels) == (150, "m 1", 1)
    assert made.events_per_s == 0.5
    assert "5 in, 4 results, 1 dead letters: each event answered once" in made.in_words()


def test_a_loss_in_one_modality_is_a_loss() -> None:
    """The others' being clean does not make up for it."""
    lost = audit(10)
    lost.lost = 1
    made = report(news=audit(10), camera=lost)
    assert made.modalities["news"].is_clean
    assert not made.is_clean
    assert "1 lost" in made.in_words()


def test_a_modality_without_results_has_no_figures() -> None:
    """None is not zero."""
    made = report(news=audit(10), camera=Audit())
    camera = made.modalities["camera"]
    assert (camera.p50_ms, camera.within_budget, camera.label, camera.model) == (None,) * 4
    assert made.as_dict()["modalities"]["camera"]["p99_ms"] is None
