"""However results come, the same belong together in the end, and everything is accounted for."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import Classification, Modality
from schemas.fused import Fused, Incomplete
from streams.apps import matching
from streams.apps.fusing import SURE, FusionSettings
from streams.apps.fusion import part_of
from streams.apps.likeness import learned, likeness
from streams.apps.matching import clusters, groups
from tests.unit.apps.fusing import Run, told

STREAMS = (Modality.NEWS, Modality.TRANSCRIPT, Modality.CAMERA)
WINDOW_S = 5.0
LATENESS_S = 20.0


@st.composite
def logs(draw: st.DrawFn, longest_s: int = 40) -> list[Classification]:
    """Draw results of three streams, by their numbers; several may happen at the same time."""
    drawn = draw(
        st.lists(
            st.tuples(st.sampled_from(STREAMS), st.integers(0, longest_s * 2), st.booleans()),
            min_size=1,
            max_size=14,
        )
    )
    return [
        told(
            stream,
            offset,
            half / 2,
            **({} if is_classified else {"label": None, "scores": {}}),
        )
        for offset, (stream, half, is_classified) in enumerate(drawn)
    ]


def run(lateness_s: float = 10_000.0) -> Run:
    """Return a run of the app over three streams."""
    chosen = FusionSettings(streams=STREAMS, window_s=WINDOW_S, lateness_s=lateness_s)
    return Run(chosen)


def together(answers: dict[str, Fused]) -> set[frozenset[str]]:
    """Return which results are together in the answers that hold."""
    return {
        frozenset(part.result for part in one.parts.values())
        for one in answers.values()
        if one.reason is not Incomplete.SUPERSEDED
    }


def truth(results: list[Classification], lateness_s: float = 10_000.0) -> set[frozenset[str]]:
    """Return which results belong together, looking at all of them at once, by time."""
    parts = [part_of(one, 0.0) for one in results]
    newest, memory = max(one.at for one in parts), {}
    together = set()
    for cluster in clusters(parts, WINDOW_S):
        by = likeness(memory, STREAMS, window_s=WINDOW_S, tail_s=lateness_s)
        for group in groups(cluster, by):
            together.add(frozenset(part.rank[-1] for part in group.parts))
            is_past = cluster[-1].at < newest - lateness_s - WINDOW_S
            is_clear = group.is_plain or group.confidence >= SURE
            if is_past and is_clear and len(group.parts) > 1:
                memory = learned(memory, group.parts, by)
    return together


@pytest.mark.parametrize("most_states", [0, matching.MOST_STATES])
@given(log=logs(), data=st.data())
def test_groups_are_those_of_the_set(
    most_states: int, log: list[Classification], data: st.DataObject
) -> None:
    """Each part in one, one of a stream at most, within the window, and none that could be one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "MOST_STATES", most_states)
        matching._groups.cache_clear()
        check_groups(log, data)
    matching._groups.cache_clear()


def check_groups(log: list[Classification], data: st.DataObject) -> None:
    """Check what must hold whichever way groups are found."""
    assert truth(log) == truth(data.draw(st.permutations(log)))
    parts = [part_of(one, 0.0) for one in log]
    by = likeness({}, STREAMS, window_s=WINDOW_S, tail_s=LATENESS_S)
    found = [group.parts for each in clusters(parts, WINDOW_S) for group in groups(each, by)]
    assert Counter(one.event for group in found for one in group) == Counter(
        one.event for one in parts
    )
    for number, group in enumerate(found):
        assert len({one.stream for one in group}) == len(group)
        assert group[-1].at - group[0].at <= WINDOW_S
        for other in found[number + 1 :]:
            both = sorted(one.at for one in [*group, *other])
            streams = {one.stream for one in [*group, *other]}
            assert len(streams) < len(both) or both[-1] - both[0] > WINDOW_S


@settings(max_examples=200, deadline=None)
@given(logs(), st.data())
def test_any_order_repetition_and_pause_give_the_same_groups(
    log: list[Classification], data: st.DataObject
) -> None:
    """Waits may end anywhere between."""
    repeated = log + data.draw(st.lists(st.sampled_from(log), max_size=6))
    fused = run()
    for one in data.draw(st.permutations(repeated)):
        fused.take([one])
        if data.draw(st.booleans()):
            fused.wait_until(data.draw(st.integers(0, 60)))
    fused.wait_until(1_000.0)
    assert together(fused.last) == truth(log)


@settings(max_examples=200, deadline=None)
@given(logs(longest_s=60), st.data())
def test_forgetting_changes_nothing_for_what_is_not_late(
    log: list[Classification], data: st.DataObject
) -> None:
    """Each part is at most as far behind as it may be."""
    delay = st.sampled_from([0.0, LATENESS_S - 3, LATENESS_S - 0.5])
    delays = data.draw(st.lists(delay, min_size=len(log), max_size=len(log)))
    order = sorted(
        range(len(log)), key=lambda number: log[number].event_time.timestamp() + delays[number]
    )
    fused = run(LATENESS_S)
    fused.take(log[number] for number in order)
    fused.wait_until(1_000.0)
    assert together(fused.last) == truth(log, LATENESS_S)


@settings(max_examples=200, deadline=None)
@given(logs(), st.data())
def test_every_answer_is_accounted_for(log: list[Classification], data: st.DataObject) -> None:
    """Each revision says something new; what is missing is told, and what was superseded by."""
    fused = run()
    for one in data.draw(st.permutations(log)):
        fused.take([one])
        if data.draw(st.booleans()):
            fused.wait_until(data.draw(st.integers(0, 60)))
    fused.wait_until(1_000.0)
    revisions: dict[str, list[int]] = {}
    before: dict[str, Fused] = {}
    for answer in fused.answers:
        assert msgspec.structs.replace(answer, revision=answer.revision - 1) != before.get(
            answer.id
        )
        before[answer.id] = answer
        revisions.setdefault(answer.id, []).append(answer.revision)
        assert {*answer.parts, *answer.missing} == set(STREAMS)
        assert answer.complete is (not answer.missing) is (answer.reason is None)
    assert all(found == list(range(len(found))) for found in revisions.values())
    for answer in fused.last.values():
        assert answer.reason is not Incomplete.WAITING
        if answer.superseded_by is not None:
            holder = fused.last[answer.superseded_by]
            names = {f"HBR:{part.result.rsplit(':', 2)[0]}" for part in holder.parts.values()}
            assert answer.id in names


@settings(max_examples=100, deadline=None)
@given(logs(), st.data())
def test_reading_again_changes_nothing(log: list[Classification], data: st.DataObject) -> None:
    """From any earlier offset on."""
    cut = data.draw(st.integers(0, len(log)))
    once, again = run(LATENESS_S), run(LATENESS_S)
    once.take(log)
    again.take([*log[:cut], *log[data.draw(st.integers(0, cut)) :]])
    assert again.answers == once.answers
    assert again.states == once.states
