"""Alerts of cameras, lines and sessions, from results to records."""

from datetime import timedelta
from typing import Any

import msgspec

from schemas import Alert, AlertState, Classification, Modality, Source, decode_alert
from streams.apps.alerts import defects, turns
from streams.apps.keyed import KeyedApp
from streams.apps.registry import APPS
from streams.apps.settings import AlertsSettings, AppsSettings, ConversationsSettings
from tests.fakes.results import MOMENT, result


def seen(offset: int, label: str | None, **changes: Any) -> Classification:
    """Make one result, a second after the one before it."""
    return msgspec.structs.replace(
        result(label=label, modality=Modality.CAMERA),
        source=Source(topic="events.camera", partition=0, offset=offset),
        event_time=MOMENT + timedelta(seconds=offset),
        **changes,
    )


def alerts_of(app: KeyedApp, results: list[Classification]) -> list[Alert]:
    """Take all steps in order; return what was raised and cleared."""
    states: dict[str, bytes] = {}
    found = []
    for one in results:
        for key, part in app.spread(one):
            step = app.step(key, states.get(key), part)
            if step is not None:
                states[key] = step.state
                found += [decode_alert(outbound.value or b"") for outbound in step.derived]
    return found


def test_a_line_is_watched_over_its_cameras() -> None:
    """Too few images of each camera, enough of both."""
    results = [
        seen(offset, "cracking", camera_id=f"hall-2/cam-{offset % 2}") for offset in range(10)
    ]
    (alert,) = alerts_of(defects(), results)
    assert (alert.scope, alert.subject, alert.state) == ("line", "hall-2", AlertState.RAISED)
    assert (alert.rule, alert.value, alert.evidence) == ("defect_rate", 1.0, 10)


def test_alerts_are_named_as_the_settings_say() -> None:
    """Who watches labels of his own sees what an alert is about."""
    app = APPS["alerts"](AppsSettings(alerts=AlertsSettings(labels=("rust",), rule="rust_rate")))
    results = [seen(offset, "rust", camera_id="gate") for offset in range(10)]
    (alert,) = alerts_of(app, results)
    assert (alert.rule, alert.id.split(":")[0]) == ("rust_rate", "rust_rate")


def test_a_camera_of_no_line_is_watched_by_itself() -> None:
    """Good images clear its alert again."""
    results = [seen(offset, "cell", camera_id="gate") for offset in range(10)]
    results += [seen(offset, "no_anomaly", camera_id="gate") for offset in range(10, 320)]
    raised, cleared = alerts_of(defects(), results)
    assert (raised.scope, raised.subject) == ("camera", "gate")
    assert (cleared.state, cleared.id) == (AlertState.CLEARED, raised.id)


def test_only_the_labels_that_are_asked_for_are_defects() -> None:
    """For models that know no good image."""
    results = [seen(offset, "red_iron", camera_id="gate") for offset in range(10)]
    assert alerts_of(defects(frozenset({"surface_scratch"})), results) == []
    assert len(alerts_of(defects(frozenset({"red_iron"})), results)) == 1


def test_shed_images_count_for_nothing() -> None:
    """Nobody looked at them."""
    assert list(defects().spread(seen(1, None, camera_id="gate"))) == []


def test_a_session_turns_once_its_final_texts_do() -> None:
    """Interim texts of a segment count once, and the last of them counts."""
    interim = [
        seen(offset, "negative", session_id="call-7", segment=offset // 5) for offset in range(15)
    ]
    assert alerts_of(turns(), interim) == []
    more = [seen(20, "negative", session_id="call-7", segment=9)]
    (alert,) = alerts_of(turns(), interim + more)
    assert (alert.scope, alert.subject, alert.evidence) == ("session", "call-7", 4)
    final = [
        seen(30 + number, "positive", session_id="call-7", segment=number) for number in range(3)
    ]
    assert [one.state for one in alerts_of(turns(), interim + more + final)] == [
        AlertState.RAISED,
        AlertState.CLEARED,
    ]


def test_labels_that_mean_the_same_are_sure_together() -> None:
    """An unsure segment is evidence, and none of what was watched for."""
    app = turns(frozenset({"lost_card", "stolen_card"}))
    split = {"stolen_card": 0.4, "lost_card": 0.35}
    results = [
        seen(number, "stolen_card", session_id="call-7", scores=split) for number in range(4)
    ]
    (alert,) = alerts_of(app, results)
    assert alert.evidence == 4
    unsure = [
        msgspec.structs.replace(one, scores={"stolen_card": 0.4, "lost_card": 0.05})
        for one in results
    ]
    assert alerts_of(app, unsure) == []


def test_what_others_say_in_a_session_is_no_evidence() -> None:
    """Where it is said whose segments are."""
    app = APPS["conversations"](
        AppsSettings(conversations=ConversationsSettings(speakers=("customer",)))
    )
    results = [
        seen(number, "negative", session_id="call-7", speaker="agent") for number in range(8)
    ]
    assert alerts_of(app, results) == []
    theirs = [msgspec.structs.replace(one, speaker="customer") for one in results[:4]]
    (alert,) = alerts_of(app, results + theirs)
    assert alert.evidence == 4
