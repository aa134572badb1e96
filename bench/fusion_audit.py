"""Holds fused answers against the truth of a log."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations, pairwise

from fusion_log import Log, id_of

from schemas.events import Modality
from schemas.fused import Fused, Incomplete

Published = tuple[float, Fused]
"""When an answer was published, in seconds from the start, and the answer."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found; pairs are of two results, of the answers that hold in the end.

    Attributes:
        pairs: Pairs that belong together.
        right: Those of them that are in one answer.
        wrong: Pairs in one answer that do not belong together.
        right_marked: Right pairs in answers that say that they are ambiguous.
        wrong_marked: Wrong ones in such.
        crowded: Pairs of incidents that another of the same entity lies within the window of.
        right_crowded: Those of them that are in one answer.
        timeouts: Incidents that lacked a result when the wait was over.
        told: Those of them of which an answer said so then, with what was missing.
        hidden: Those of them whose results were in an answer with another incident's then.
        hidden_marked: Those of them of which the answer that holds in the end says that it is
            ambiguous.
        unsure: Incidents of which a result came so close to the end of the wait that it may be
            in or not.
        unmarked: Answers that lack a modality and do not say so, or say so and lack none.
        late: Answers to results that came too late to be joined.
        answers: Answers, revisions not counted.
        revisions: Revisions.
        superseded: Answers that became one with another.
    """

    pairs: int
    right: int
    wrong: int
    right_marked: int
    wrong_marked: int
    crowded: int
    right_crowded: int
    timeouts: int
    told: int
    hidden: int
    hidden_marked: int
    unsure: int
    unmarked: int
    late: int
    answers: int
    revisions: int
    superseded: int


def audit(
    log: Log, answers: list[Published], *, wait_s: float, window_s: float, unsure_s: float = 0.0
) -> Audit:
    """Compare.

    Args:
        log: What was sent, at which times.
        answers: All that was published, in order.
        wait_s: How long was waited for what is missing.
        window_s: Most seconds between two parts of an answer.
        unsure_s: How far times of arrival may be off.
    """
    last = {answer.id: answer for _, answer in answers}
    truth = _pairs_of_truth(log)
    crowded = _crowded(log, window_s)
    found = [
        (log.incident_of[one], log.incident_of[other], answer.ambiguous)
        for answer in last.values()
        for one, other in combinations(sorted(part.result for part in answer.parts.values()), 2)
    ]
    right = [one for one, other, _ in found if one == other]
    marked = [one == other for one, other, is_ambiguous in found if is_ambiguous]
    timeouts, told, hidden, hidden_marked, unsure = _timeouts(log, answers, wait_s, unsure_s)
    return Audit(
        pairs=sum(truth.values()),
        right=len(right),
        wrong=len(found) - len(right),
        right_marked=sum(marked),
        wrong_marked=len(marked) - sum(marked),
        crowded=sum(count for incident, count in truth.items() if incident in crowded),
        right_crowded=sum(incident in crowded for incident in right),
        timeouts=timeouts,
        told=told,
        hidden=hidden,
        hidden_marked=hidden_marked,
        unsure=unsure,
        unmarked=sum(not _is_marked(answer) for _, answer in answers),
        late=sum(answer.reason is Incomplete.LATE for answer in last.values()),
        answers=len(last),
        revisions=sum(answer.revision > 0 for _, answer in answers),
        superseded=sum(answer.superseded_by is not None for answer in last.values()),
    )


def arrivals(log: Log) -> dict[int, dict[Modality, float]]:
    """Return when each incident's first result of each modality arrived."""
    first: dict[int, dict[Modality, float]] = defaultdict(dict)
    for delivery in log.deliveries:
        incident = log.incident_of[id_of(delivery.result)]
        first[incident].setdefault(delivery.result.modality, delivery.at)
    return first


def _pairs_of_truth(log: Log) -> dict[int, int]:
    return {one: len(came) * (len(came) - 1) // 2 for one, came in arrivals(log).items()}


def _crowded(log: Log, window_s: float) -> set[int]:
    """Return the incidents of which others may be taken for a part."""
    by_entity: dict[str, list[int]] = defaultdict(list)
    for incident in sorted(range(len(log.happened)), key=log.happened.__getitem__):
        by_entity[log.entity_of[incident]].append(incident)
    return {
        each
        for incidents in by_entity.values()
        for one, other in pairwise(incidents)
        if log.happened[other] - log.happened[one] <= window_s
        for each in (one, other)
    }


def _timeouts(
    log: Log, answers: list[Published], wait_s: float, unsure_s: float
) -> tuple[int, int, int, int, int]:
    saying: dict[int, list[Published]] = defaultdict(list)
    for at, answer in answers:
        for incident in {log.incident_of[part.result] for part in answer.parts.values()}:
            saying[incident].append((at, answer))
    last = {answer.id: answer for _, answer in answers}
    timeouts = told = hidden = hidden_marked = unsure = 0
    for incident, came in arrivals(log).items():
        over = min(came.values()) + wait_s
        if any(abs(at - over) <= unsure_s for at in came.values()):
            unsure += 1
            continue
        present = {modality for modality, at in came.items() if at <= over}
        if len(present) == len(Modality):
            continue
        timeouts += 1
        if any(
            set(answer.parts) == present and _owned(log, answer, incident) and _says_so(answer)
            for _, answer in saying[incident]
        ):
            told += 1
        elif any(not _owned(log, answer, incident) for _, answer in saying[incident]):
            hidden += 1
            hidden_marked += any(last[answer.id].ambiguous for _, answer in saying[incident])
    return timeouts, told, hidden, hidden_marked, unsure


def _owned(log: Log, answer: Fused, incident: int) -> bool:
    return {log.incident_of[part.result] for part in answer.parts.values()} == {incident}


def _says_so(answer: Fused) -> bool:
    return answer.reason in (Incomplete.WAIT_OVER, Incomplete.LATE) and _is_marked(answer)


def _is_marked(answer: Fused) -> bool:
    lacks = set(Modality) - set(answer.parts)
    return (
        set(answer.missing) == lacks
        and answer.complete is (not lacks)
        and (answer.reason is None) is (not lacks)
    )


def share(part: int, whole: int) -> str:
    """Write a share in per cent."""
    return f"{100 * part / whole:.2f} %" if whole else "-"


def rows(audits: Iterable[tuple[str, Audit]]) -> list[str]:
    """Write the table of several runs."""
    head = (
        "| run | pairs | right | wrong | wrong, ambiguous | right, ambiguous "
        "| right of the unambiguous | timeouts | told | hidden | hidden, ambiguous | unmarked "
        "| late | answers | revisions | superseded |"
    )
    lines = [head, "|" + "---|" * (head.count("|") - 1)]
    for name, one in audits:
        clear, clear_wrong = one.right - one.right_marked, one.wrong - one.wrong_marked
        cells = (
            *(name, f"{one.pairs:,}", share(one.right, one.pairs), f"{one.wrong:,}"),
            *(share(one.wrong_marked, one.wrong), share(one.right_marked, one.right)),
            *(share(clear, clear + clear_wrong), f"{one.timeouts:,}", f"{one.told:,}"),
            *(f"{one.hidden:,}", f"{one.hidden_marked:,}", f"{one.unmarked:,}"),
            *(f"{one.late:,}", f"{one.answers:,}", f"{one.revisions:,}", f"{one.superseded:,}"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines
