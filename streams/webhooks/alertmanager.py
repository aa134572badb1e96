"""Alerts as Alertmanager has them: for its API, and as it sends them on.

``POST /api/v2/alerts`` takes a list of alerts, as they are described in
https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml. Receivers are sent version
4 of the document in https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.

Two things about time. Alertmanager takes an alert for over once ``endsAt`` has passed, five minutes
after it came where there is none; who raises one only once must say a later time. And an alert is
cleared by an ``endsAt`` that has passed: a camera's clock that goes ahead must not keep it firing.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.derived import Alert, AlertState
from streams.webhooks.settings import Webhook

VERSION = "4"
NEVER = "0001-01-01T00:00:00Z"
"""How a Go program writes that there is no time."""


def v2_alerts(alert: Alert, webhook: Webhook, now: datetime) -> list[dict[str, Any]]:
    """Return the body of a request to Alertmanager's API."""
    # Who is cleared began at some time before, which Alertmanager knows.
    known = {"startsAt": _text(min(alert.event_time, now))} if _is_raised(alert) else {}
    found = {
        **known,
        "endsAt": _text(_ends_at(alert, webhook, now)),
        "labels": labels_of(alert, webhook),
        "annotations": annotations_of(alert),
    }
    if webhook.generator_url is not None:
        found["generatorURL"] = webhook.generator_url
    return [found]


def receiver_document(alert: Alert, webhook: Webhook, now: datetime) -> dict[str, Any]:
    """Return what a receiver of Alertmanager's webhooks is sent, with one alert in its group."""
    labels, annotations = labels_of(alert, webhook), annotations_of(alert)
    status = "firing" if _is_raised(alert) else "resolved"
    moment = _text(min(alert.event_time, now))
    group = {"alertname": alert.rule, "scope": alert.scope, "subject": alert.subject}
    named = ", ".join(f'{name}="{_quoted(value)}"' for name, value in group.items())
    return {
        "version": VERSION,
        "groupKey": f"{{}}:{{{named}}}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": webhook.name,
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": webhook.generator_url or "",
        "alerts": [
            {
                "status": status,
                "labels": labels,
                "annotations": annotations,
                "startsAt": moment,
                "endsAt": NEVER if _is_raised(alert) else moment,
                "generatorURL": webhook.generator_url or "",
                "fingerprint": fingerprint(labels),
            }
        ],
    }


def labels_of(alert: Alert, webhook: Webhook) -> dict[str, str]:
    """Return the labels: by them Alertmanager knows an alert, so they stay when it is cleared."""
    return {
        **webhook.alert_labels,
        "alertname": alert.rule,
        "scope": alert.scope,
        "subject": alert.subject,
    }


def annotations_of(alert: Alert) -> dict[str, str]:
    """Return what people are told."""
    goes = "reached" if _is_raised(alert) else "fell to"
    return {
        "summary": f"{alert.rule} of {alert.scope} {alert.subject}: {alert.value:g}",
        "description": (
            f"{alert.value:g} over {alert.evidence} events {goes} the threshold of "
            f"{alert.threshold:g}"
        ),
        "alert_id": alert.id,
    }


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return the number that Prometheus' programs give a set of labels: FNV-1a of 64 bits."""
    number = 0xCBF29CE484222325
    for name in sorted(labels):
        for byte in name.encode() + b"\xff" + labels[name].encode() + b"\xff":
            number = ((number ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{number:016x}"


def _ends_at(alert: Alert, webhook: Webhook, now: datetime) -> datetime:
    if _is_raised(alert):
        return now + timedelta(milliseconds=webhook.alert_lasts_ms)
    return min(alert.event_time, now)


def _is_raised(alert: Alert) -> bool:
    return alert.state is AlertState.RAISED


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
