"""One example, sent as any other record would be: what a new webhook is tried with."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from schemas.errors import ConfigurationError
from schemas.records import Outbound, Record
from streams.topics import kind_of
from streams.webhooks.endpoint import Endpoint
from streams.webhooks.examples import EXAMPLES, NAME
from streams.webhooks.message import Message, message_of
from streams.webhooks.picking import Picker
from streams.webhooks.retrying import Answer
from streams.webhooks.settings import Webhook

LASTS_MS = 60_000.0
"""So that an example is over soon where an alert would otherwise go on until it is cleared."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What was sent and what came of it.

    Attributes:
        seconds: From the request to the answer.
    """

    message: Message
    answer: Answer
    seconds: float


async def try_out(webhook: Webhook) -> Tried:
    """Send one example.

    Raises:
        ConfigurationError: The webhook's settings or files cannot be used.
    """
    picker = Picker(webhook)  # what would end the start ends the trial
    kind = kind_of(webhook.topics[0])
    if kind not in EXAMPLES:
        raise ConfigurationError(
            f"--test: there is no example of {kind}; try a webhook of " + ", ".join(EXAMPLES)
        )
    now = datetime.now(UTC)
    record = _record(EXAMPLES[kind](now))
    short = msgspec.structs.replace(webhook, alert_lasts_ms=LASTS_MS)
    message = message_of(picker.read(record), short, now)
    async with Endpoint(webhook) as endpoint:
        began = time.perf_counter()
        answer = await endpoint.post(message)
        return Tried(message, answer, time.perf_counter() - began)


def _record(outbound: Outbound) -> Record:
    return Record(topic=NAME, key=outbound.key, value=outbound.value, headers=outbound.headers)
