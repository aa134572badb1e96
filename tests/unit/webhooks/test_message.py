"""What is posted: CloudEvents over HTTP, and alerts in both of Alertmanager's shapes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import orjson
import pytest

from schemas.derived import Alert, AlertState, encode_alert
from schemas.kafka import Outbound, Record, encode_result
from streams.subscription.seen import Seen
from streams.webhooks.alertmanager import fingerprint
from streams.webhooks.message import Message, message_of
from streams.webhooks.picking import Picker
from streams.webhooks.settings import Format, Webhook
from tests.fakes.derived import alert
from tests.fakes.results import MOMENT, result

NOW = MOMENT + timedelta(seconds=5)
DAY = timedelta(days=1)
# What Alertmanager's description of its API asks of a posted alert.
POSTABLE_ALERTS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["labels"],
        "additionalProperties": False,
        "properties": {
            "startsAt": {"type": "string", "format": "date-time"},
            "endsAt": {"type": "string", "format": "date-time"},
            "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "generatorURL": {"type": "string", "format": "uri"},
        },
    },
}


def posted(outbound: Outbound, now: datetime = NOW, **fields: Any) -> Message:
    """Write a record as a webhook posts it."""
    topic = fields.pop("topic", "alerts.camera")
    webhook = Webhook(name="desk", url="https://desk.example", topics=(topic,), **fields)
    record = Record(
        topic=topic, key=outbound.key, value=outbound.value, headers=list(outbound.headers)
    )
    picked = Picker(webhook).pick(record, Seen())
    assert picked is not None
    return message_of(picked, webhook, now)


def v2(one: Alert, now: datetime = NOW, **fields: Any) -> dict[str, Any]:
    """Write an alert for Alertmanager's API."""
    message = posted(encode_alert(one), now, format=Format.ALERTMANAGER, **fields)
    found = orjson.loads(message.body)
    jsonschema.validate(found, POSTABLE_ALERTS, format_checker=jsonschema.FormatChecker())
    (only,) = found
    return dict(only)


def moment(text: str) -> datetime:
    """Read a time."""
    return datetime.fromisoformat(text)


def test_a_result_is_posted_as_it_lies_in_the_topic() -> None:
    """Attributes become headers, the value is the body; other headers stay where they are."""
    sent = encode_result(result(), key=b"k", traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01")
    sent.headers.append(("internal", b"x"))
    message = posted(sent, topic="results.news")
    assert message.body == sent.value
    assert message.headers["ce-id"] == "events.news:0:0:00:0"
    assert message.headers["ce-type"] == "headrace.result.v1"
    assert message.headers["content-type"] == "application/json"
    assert message.headers["traceparent"] == message.headers["ce-traceparent"]
    assert "internal" not in message.headers


def test_names_that_producers_chose_cannot_break_headers_or_the_signature() -> None:
    """Blanks, quotes, line ends, other scripts and full stops are escaped as percent and hex."""
    subject = 'gate.3 "nörd"\r\nx: y%'
    message = posted(encode_alert(alert(id=f"r:{subject}", subject=subject)))
    assert message.headers["ce-subject"] == "gate.3%20%22n%C3%B6rd%22%0D%0Ax:%20y%25"
    assert message.headers["ce-id"] == f"r:{message.headers['ce-subject']}:raised"
    assert "." not in message.id
    assert message.id == message.headers["ce-id"].replace(".", "%2E")


def test_an_alert_for_alertmanager_fires_until_it_is_cleared() -> None:
    """Long after the five minutes that it would give an alert without an end."""
    found = v2(alert(), alert_labels={"severity": "page"}, generator_url="https://headrace.example")
    assert found["labels"] == {
        "alertname": "defect_rate",
        "scope": "camera",
        "subject": "hall-2/gate-3",
        "severity": "page",
    }
    assert moment(found["startsAt"]) == MOMENT
    assert moment(found["endsAt"]) == NOW + DAY
    assert found["generatorURL"] == "https://headrace.example"
    assert found["annotations"]["alert_id"] == alert().id


def test_clearing_it_ends_the_same_alert() -> None:
    """Its labels are those that it was raised with; the time of its start is left to the other."""
    raised, cleared = v2(alert()), v2(alert(state=AlertState.CLEARED, value=0.05))
    assert cleared["labels"] == raised["labels"]
    assert moment(cleared["endsAt"]) == MOMENT
    assert "startsAt" not in cleared


@pytest.mark.parametrize("state", list(AlertState))
def test_a_camera_whose_clock_goes_ahead_keeps_nothing_firing(state: AlertState) -> None:
    """An end that has not come yet would clear nothing, a start no more raise anything."""
    found = v2(alert(state=state, event_time=NOW + DAY))
    if state is AlertState.CLEARED:
        assert moment(found["endsAt"]) == NOW
    else:
        assert moment(found["startsAt"]) == NOW


def test_a_receiver_of_alertmanagers_gets_its_document() -> None:
    """Version 4, with one alert in a group of its own."""
    message = posted(encode_alert(alert()), format=Format.ALERTMANAGER_WEBHOOK)
    found = orjson.loads(message.body)
    assert set(found) == {
        "version",
        "groupKey",
        "truncatedAlerts",
        "status",
        "receiver",
        "groupLabels",
        "commonLabels",
        "commonAnnotations",
        "externalURL",
        "alerts",
    }
    assert (found["version"], found["status"], found["receiver"]) == ("4", "firing", "desk")
    assert found["groupKey"] == (
        '{}:{alertname="defect_rate", scope="camera", subject="hall-2/gate-3"}'
    )
    (one,) = found["alerts"]
    assert (one["status"], one["endsAt"]) == ("firing", "0001-01-01T00:00:00Z")
    cleared = posted(
        encode_alert(alert(state=AlertState.CLEARED)), format=Format.ALERTMANAGER_WEBHOOK
    )
    (other,) = orjson.loads(cleared.body)["alerts"]
    assert (other["status"], moment(other["endsAt"])) == ("resolved", MOMENT)
    assert other["fingerprint"] == one["fingerprint"]


def test_labels_have_the_fingerprint_that_alertmanager_gives_them() -> None:
    """As Alertmanager 0.25 answered when it was sent these."""
    labels = {
        "alertname": "defect_rate",
        "scope": "camera",
        "severity": "page",
        "subject": "hall-2/gate-3",
    }
    assert fingerprint(labels) == "cf61cb60f8e6e43f"


def test_what_came_from_dead_letters_is_delivered_whatever_was_seen() -> None:
    """It was wanted once; filters and memory are for what is new."""
    webhook = Webhook(
        name="desk",
        url="https://desk.example",
        topics=("results.news",),
        filters={"labels": ("negative",)},
    )
    picker, seen = Picker(webhook), Seen()
    sent = encode_result(result(label="positive"), key=b"k")
    record = Record(topic="results.news", value=sent.value, headers=sent.headers)
    again = Record(topic="webhooks.desk", value=sent.value, headers=sent.headers)
    assert picker.pick(record, seen) is None
    assert picker.pick(again, seen) is not None
    assert picker.pick(again, seen) is not None


def test_a_record_without_an_id_is_named_by_its_place() -> None:
    """So that repetitions can be told all the same."""
    sent = encode_result(result(), key=b"k")
    bare = [header for header in sent.headers if header[0] != "ce_id"]
    message = posted(Outbound(key=None, value=sent.value, headers=bare), topic="results.news")
    assert message.headers["ce-id"] == "results.news:0:0"
    assert NOW.tzinfo is UTC
