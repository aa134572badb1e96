"""What belongs together is answered together, with the slow stream or without it."""

import pytest

from schemas import Classification, Modality, Verdict
from schemas.fused import Fused, Incomplete
from streams.apps.entities import Entity, JoinKey
from streams.apps.fusing import FusionSettings
from streams.apps.fusion import fusion
from tests.unit.apps.fusing import HARBOUR, Run, told

NEWS, SPEECH, CAMERA = Modality.NEWS, Modality.TRANSCRIPT, Modality.CAMERA
TWO = FusionSettings()
THREE = FusionSettings(streams=(NEWS, SPEECH, CAMERA))


def run(settings: FusionSettings = TWO) -> Run:
    """Return a run of the app for one entity."""
    return Run(settings)


def offsets(answer: Fused) -> dict[str, int]:
    """Return which event of each stream is in an answer."""
    return {stream: int(part.result.split(":")[2]) for stream, part in answer.parts.items()}


def test_both_streams_make_an_answer_at_once() -> None:
    """Whichever comes first, it is named after the stream that is named first."""
    news, camera = told(NEWS, 7, 1.0), told(CAMERA, 3, 0.0, verdict=Verdict.LATE)
    for results in ([news, camera], [camera, news]):
        (answer,) = run().take(results)
        assert (answer.id, answer.revision, answer.key) == ("HBR:events.news:0:7", 0, "HBR")
        assert (answer.complete, answer.missing, answer.reason) == (True, (), None)
        assert (answer.event_time, answer.window_s) == (camera.event_time, 10.0)
        assert answer.parts[CAMERA].label == "positive"
        assert (answer.parts[CAMERA].score, answer.parts[CAMERA].verdict) == (0.9, Verdict.LATE)
        assert answer.parts[NEWS].result == "events.news:0:7:00:0"


def test_an_answer_waits_no_longer_than_it_may() -> None:
    """It says what is missing, and is revised under its id when that comes."""
    fused = run()
    assert fused.take([told(CAMERA, 3)]) == []
    assert fused.wait_until(1.9) == []
    (first,) = fused.wait_until(2.0)
    assert (first.id, first.revision) == ("HBR:events.camera:0:3", 0)
    assert (first.complete, first.missing, first.reason) == (False, (NEWS,), Incomplete.WAIT_OVER)
    (second,) = fused.take([told(NEWS, 7, 1.0, published=30.0)])
    assert (second.id, second.revision) == (first.id, 1)
    assert (second.complete, offsets(second)) == (True, {"news": 7, "camera": 3})
    assert fused.wait_until(60.0) == []


def test_the_wait_runs_from_the_first_part_of_several() -> None:
    """Not anew from each; two of three are answered together."""
    fused = run(THREE)
    fused.take([told(CAMERA, 3), told(NEWS, 7, published=1.5)])
    (answer,) = fused.wait_until(2.0)
    assert (set(answer.parts), answer.missing) == ({NEWS, CAMERA}, (SPEECH,))
    (whole,) = fused.take([told(SPEECH, 1, published=2.5)])
    assert (whole.id, whole.revision, whole.complete) == (answer.id, 1, True)


def test_a_second_answer_does_not_make_the_wait_longer() -> None:
    """What it replaces was published before it."""
    fused = run()
    fused.take([told(NEWS, 1), told(NEWS, 1, published=1.5, revision=1)])
    (answer,) = fused.wait_until(2.0)
    assert answer.parts[NEWS].result.endswith(":1")


def test_parts_further_apart_than_the_window_have_nothing_to_do_with_each_other() -> None:
    """Each is answered by itself."""
    fused = run()
    fused.take([told(NEWS, 1, 0.0), told(CAMERA, 1, 10.5)])
    assert [set(one.parts) for one in fused.wait_until(60.0)] == [{NEWS}, {CAMERA}]


def test_a_nearer_part_takes_the_place_of_another() -> None:
    """The other gets its own answer, as if they had come in their order."""
    fused = run()
    fused.take([told(NEWS, 1, 0.0), told(CAMERA, 1, 5.0)])
    (revised,) = fused.take([told(CAMERA, 2, 1.0)])
    assert (revised.id, revised.revision) == ("HBR:events.news:0:1", 1)
    assert offsets(revised) == {"news": 1, "camera": 2}
    (alone,) = fused.wait_until(60.0)
    assert (offsets(alone), alone.reason) == ({"camera": 1}, Incomplete.WAIT_OVER)


def test_of_two_that_are_as_near_the_earlier_is_taken() -> None:
    """Whichever came first."""
    cameras = [told(CAMERA, 1, 2.0), told(CAMERA, 2, 0.0)]
    for order in (cameras, cameras[::-1]):
        fused = run()
        fused.take([*order, told(NEWS, 1, 1.0)])
        assert offsets(fused.last["HBR:events.news:0:1"])["camera"] == 2


def test_what_happens_twice_is_told_apart_by_all_of_it() -> None:
    """To take the nearest pair first would leave the two others far apart."""
    fused = run()
    fused.take([told(NEWS, 1, 0.0), told(NEWS, 2, 1.0), told(CAMERA, 1, 0.9), told(CAMERA, 2, 2.0)])
    assert {offsets(one)["news"]: offsets(one)["camera"] for one in fused.last.values()} == {
        1: 1,
        2: 2,
    }


def test_a_pair_that_is_near_is_not_torn_apart_for_two_that_are_far() -> None:
    """Of each of them the other part may never have come."""
    fused = run()
    fused.take([told(NEWS, 1, 0.0), told(CAMERA, 1, 9.0), told(NEWS, 2, 9.1), told(CAMERA, 2, 18)])
    fused.wait_until(60.0)
    assert {"news": 2, "camera": 1} in [offsets(one) for one in fused.last.values()]


def test_crowds_are_matched_all_the_same() -> None:
    """Each image that a headline is left for has one, within the window."""
    fused = run()
    crowd = [told(NEWS, number, number / 7) for number in range(30)]
    crowd += [told(CAMERA, number, number / 7 + 0.05) for number in range(30)]
    fused.take(crowd)
    assert sum(one.complete for one in fused.last.values()) == 30


def test_of_two_answers_that_become_one_the_other_names_it() -> None:
    """And goes on under its name when its part is set free again."""
    merged = run(FusionSettings(window_s=5.0))
    merged.take([told(NEWS, 1, 0.0), told(CAMERA, 1, 6.0)])
    assert len(merged.wait_until(20.0)) == 2
    # A better time for the news, of a second answer, brings the two together.
    moved = told(NEWS, 1, 4.0, published=30.0, revision=1)
    new, old = merged.take([moved])
    assert (new.id, new.revision, set(new.parts)) == ("HBR:events.news:0:1", 1, {NEWS, CAMERA})
    assert (old.id, old.revision, old.parts) == ("HBR:events.camera:0:1", 1, {})
    assert (old.reason, old.superseded_by) == (Incomplete.SUPERSEDED, new.id)
    nearer = told(CAMERA, 2, 4.0, published=31.0)
    freed = {one.id: one for one in merged.take([nearer])}
    assert offsets(freed["HBR:events.news:0:1"]) == {"news": 1, "camera": 2}
    assert freed["HBR:events.camera:0:1"].revision == 2
    assert set(freed["HBR:events.camera:0:1"].parts) == {CAMERA}


def test_classified_parts_come_before_nearer_ones_that_were_shed() -> None:
    """What was shed is taken where there is nothing else, and says so."""
    shed = told(CAMERA, 1, 0.0, label=None, scores={}, verdict=Verdict.SHED)
    fused = run()
    (first,) = fused.take([told(NEWS, 1, 0.0), shed])
    assert (first.complete, first.parts[CAMERA].label) == (True, None)
    (second,) = fused.take([told(CAMERA, 2, 1.0)])
    assert offsets(second)["camera"] == 2


def test_second_answers_and_final_texts_revise() -> None:
    """The last of a segment's texts counts, and a repetition changes nothing."""
    fused = run(FusionSettings(streams=(NEWS, SPEECH)))
    interim, final = told(SPEECH, 1, segment=4), told(SPEECH, 2, segment=4, label="negative")
    fused.take([told(NEWS, 1), interim])
    (revised,) = fused.take([final])
    assert (revised.revision, offsets(revised)["transcript"]) == (1, 2)
    assert fused.take([interim, final, told(NEWS, 1)]) == []


def test_a_part_that_comes_too_late_is_answered_by_itself_and_marked() -> None:
    """Once; it joins nothing, though what it belongs to may still be kept."""
    fused = run(FusionSettings(lateness_s=60.0))
    fused.take([told(NEWS, 1, 0.0), told(NEWS, 2, 61.0)])
    late = told(CAMERA, 1, 0.5, published=62.0)
    (answer,) = fused.take([late])
    assert (answer.id, answer.reason) == ("HBR:events.camera:0:1:late", Incomplete.LATE)
    assert (answer.complete, answer.missing) == (False, (NEWS,))
    assert fused.take([late]) == []


def test_what_is_given_up_was_answered_and_is_known_when_it_is_repeated() -> None:
    """Event time may go on faster than the clock, as in a replay."""
    fused = run(FusionSettings(lateness_s=60.0))
    first = told(NEWS, 1, 0.0, published=100.0)
    assert fused.take([first]) == []
    (given_up,) = fused.take([told(NEWS, 2, 90.0, published=100.1)])
    assert (given_up.id, given_up.reason) == ("HBR:events.news:0:1", Incomplete.GIVEN_UP)
    assert fused.take([first]) == []


def test_a_clock_that_is_ahead_does_not_make_all_others_late() -> None:
    """Nothing happened after its result was published."""
    fused = run()
    fused.take([told(CAMERA, 1, 50_000.0, published=1.0)])
    assert len(fused.take([told(NEWS, 1, 1.0), told(CAMERA, 2, 1.0)])) == 1


def test_no_more_parts_are_kept_than_asked_for() -> None:
    """The oldest are answered before they are given up."""
    fused = run(FusionSettings(most_parts=3))
    answers = fused.take([told(CAMERA, number, 20.0 * number, published=0) for number in range(5)])
    assert [(offsets(one), one.reason) for one in answers] == [
        ({"camera": 0}, Incomplete.GIVEN_UP),
        ({"camera": 1}, Incomplete.GIVEN_UP),
    ]


def test_streams_that_are_required_are_what_answers_are_about() -> None:
    """Images that no news belong to are passed over, late ones too."""
    fused = run(FusionSettings(required=(NEWS,), lateness_s=60.0))
    fused.take([told(CAMERA, number, 20.0 * number) for number in range(20)])
    assert fused.take([told(CAMERA, 99, 0.0)]) == []
    assert fused.wait_until(1_000.0) == []
    (answer,) = fused.take([told(NEWS, 1, 381.0)])
    assert offsets(answer) == {"news": 1, "camera": 19}


@pytest.mark.parametrize(
    ("key", "changes", "keys"),
    [
        (JoinKey.TICKER, {"tickers": ("HBR", "TLL", "HBR")}, ["HBR", "TLL"]),
        (JoinKey.CAMERA_ID, {"camera_id": "harbour/gate-3"}, ["harbour/gate-3"]),
        (JoinKey.SESSION_ID, {"session_id": "hbr-q1"}, ["hbr-q1"]),
        (JoinKey.SESSION_ID, {}, []),
        (JoinKey.ENTITY, {"tickers": ("HBR", "TLL")}, ["HBR", "toll"]),
        (JoinKey.ENTITY, {"camera_id": "harbour/toll/2"}, ["toll", "HBR"]),
        (JoinKey.ENTITY, {"camera_id": "harbour-2"}, []),
        (JoinKey.ENTITY, {"session_id": "hbr-q1"}, ["HBR"]),
        (JoinKey.ENTITY, {"session_id": "hbr"}, []),
    ],
)
def test_results_are_joined_by_a_field_or_an_entity(
    key: JoinKey, changes: dict[str, object], keys: list[str]
) -> None:
    """A camera belongs to its line and to its site, a session to what its id begins with."""
    toll = Entity("toll", tickers=("TLL",), cameras=("harbour/toll",))
    app = fusion(key=key, entities=(HARBOUR, toll))
    bare: Classification = told(NEWS, 1, **({"tickers": ()} | changes))
    assert [name for name, _ in app.spread(bare)] == keys


def test_streams_that_are_not_expected_are_passed_over() -> None:
    """They may be on a topic that is read."""
    assert list(run().app.spread(told(SPEECH, 1))) == []


def test_what_may_belong_elsewhere_is_said_with_its_rivals() -> None:
    """Until it is settled: the answer is revised both times."""
    fused = run()
    fused.take([told(NEWS, 1, 0.0), told(CAMERA, 1, 0.1)])
    assert not fused.answers[-1].ambiguous
    (revised,) = fused.take([told(NEWS, 2, 0.2)])
    assert (revised.id, revised.revision, revised.ambiguous) == ("HBR:events.news:0:1", 1, True)
    assert revised.confidence in (0.4, 0.5)
    assert revised.rivals == ("events.news:0:2:00:0",)
    fused.wait_until(5.0)
    alone = fused.last["HBR:events.news:0:2"]
    assert (alone.ambiguous, alone.rivals) == (True, ("events.camera:0:1:00:0",))


def test_parts_that_are_unlike_each_other_are_joined_and_marked() -> None:
    """The window says that they belong together, their times do not."""
    fused = run()
    (answer,) = fused.take([told(NEWS, 1, 0.0), told(CAMERA, 1, 9.5)])
    assert (answer.complete, answer.ambiguous, answer.rivals) == (True, True, ())


def test_how_a_stream_dates_things_is_learned() -> None:
    """Cameras that are always 4 s late are told apart by that, although others are nearer."""
    fused = run(FusionSettings(lateness_s=20.0))
    for number in range(20):
        at = 100.0 * number
        fused.take([told(NEWS, number, at), told(CAMERA, number, at + 4.0)])
    last = [told(NEWS, 50, 3_000.0), told(NEWS, 51, 3_003.5)]
    fused.take([*last, told(CAMERA, 50, 3_004.0), told(CAMERA, 51, 3_007.5)])
    found = [offsets(one) for one in fused.last.values()]
    assert {"news": 50, "camera": 50} in found
    assert {"news": 51, "camera": 51} in found


def test_when_events_came_in_is_learned() -> None:
    """Two that are dated alike are told apart by when their events were written."""
    fused = run(FusionSettings(lateness_s=20.0))
    for number in range(20):
        at = 100.0 * number
        fused.take(
            [
                told(NEWS, number, at, published=at + 5.0),
                told(CAMERA, number, at, published=at + 5.2),
            ]
        )
    fused.take(
        [
            told(NEWS, 50, 3_000.0, published=3_005.0),
            told(CAMERA, 50, 3_000.3, published=3_005.2),
            told(NEWS, 51, 3_000.4, published=3_006.4),
            told(CAMERA, 51, 3_000.0, published=3_006.6),
        ]
    )
    found = [offsets(one) for one in fused.last.values()]
    assert {"news": 50, "camera": 50} in found
    assert {"news": 51, "camera": 51} in found


def test_images_that_repeat_a_label_are_one_part() -> None:
    """The first of a second, in whatever order they come; another label is another part."""
    images = [told(CAMERA, number, 10.0 + number / 10) for number in range(10)]
    images.append(told(CAMERA, 10, 10.5, label="negative", published=11.0))
    for order in (images, images[::-1]):
        fused = run(FusionSettings(repeat_s=1.0))
        fused.take(order)
        assert [offsets(one) for one in fused.wait_until(60.0)] == [{"camera": 0}, {"camera": 10}]
        assert fused.take([told(CAMERA, 5, 10.5), told(CAMERA, 11, 10.95)]) == []


def test_a_second_answer_to_the_image_that_counts_revises() -> None:
    """A headline is no image: each is a part of its own."""
    fused = run(FusionSettings(repeat_s=1.0))
    fused.take([told(CAMERA, 1, 0.1), told(NEWS, 1, 0.1), told(NEWS, 2, 0.2)])
    fused.take([told(CAMERA, 1, 0.1, revision=1)])
    assert fused.last["HBR:events.news:0:1"].parts[CAMERA].result.endswith(":1")
    fused.wait_until(60.0)
    assert {offsets(one)["news"] for one in fused.last.values()} == {1, 2}
