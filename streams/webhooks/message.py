"""What is posted for a record: headers and body of one request."""

import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

import orjson

from schemas.derived import Alert
from schemas.payload import JSON
from streams.webhooks.alertmanager import receiver_document, v2_alerts
from streams.webhooks.picking import Picked
from streams.webhooks.settings import Format, Webhook

_ATTRIBUTE = re.compile(r"ce_([a-z0-9]{1,20})")
_TRACE = frozenset({"traceparent", "tracestate"})
# Of CloudEvents' HTTP binding, 3.1.3.2: what is no printable ASCII is escaped, and so are blanks,
# double quotes and the escape itself.
_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


@dataclass(frozen=True, slots=True)
class Message:
    """One request before it is signed.

    Attributes:
        id: The same whenever the same is sent again.
    """

    id: str
    headers: dict[str, str]
    body: bytes


def message_of(picked: Picked, webhook: Webhook, now: datetime) -> Message:
    """Write a record in the webhook's format.

    Args:
        picked: The record.
        webhook: Says how.
        now: When it is sent; a receiver of alerts is told until when they last.
    """
    if isinstance(picked.value, Alert) and webhook.format.is_for_alerts:
        write = v2_alerts if webhook.format is Format.ALERTMANAGER else receiver_document
        headers = {"content-type": JSON}
        body = orjson.dumps(write(picked.value, webhook, now))
        return Message(message_id(picked.name), headers, body)
    return Message(message_id(picked.name), _binary_headers(picked), picked.record.value or b"")


def message_id(name: str) -> str:
    """Return a name as the header ``webhook-id`` has it.

    Full stops stand between the parts of what is signed, and names hold what producers chose, such
    as a camera's id; so there is none in it.
    """
    return escaped(name).replace(".", "%2E")


def escaped(text: str) -> str:
    """Write a text as CloudEvents' HTTP binding has it in headers."""
    return quote(text, safe=_SAFE, errors="replace")


def _binary_headers(picked: Picked) -> dict[str, str]:
    headers = {"content-type": JSON}
    for name, value in picked.record.headers:
        text = (value or b"").decode("utf-8", "replace")
        if found := _ATTRIBUTE.fullmatch(name):
            headers[f"ce-{found[1]}"] = escaped(text)
        elif name == "content-type" or name in _TRACE:
            headers[name] = escaped(text) if name in _TRACE else _plain(text)
    headers["ce-id"] = escaped(picked.name)
    return headers


def _plain(text: str) -> str:
    """Return a content type, or JSON's where a producer's could break a header."""
    return text if text.isascii() and text.isprintable() else JSON
