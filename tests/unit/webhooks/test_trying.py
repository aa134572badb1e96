"""A new webhook is tried with one example of what it is for."""

from datetime import datetime, timedelta

import orjson
import pytest
from click.testing import CliRunner

from schemas.derived import decode_alert, decode_signal
from schemas.errors import ConfigurationError
from schemas.kafka import decode_result
from streams.commands.webhooks import command
from streams.webhooks.retrying import Outcome
from streams.webhooks.settings import Format, Webhook
from streams.webhooks.trying import try_out
from tests.fakes.receiver import Reply, receiving

DECODERS = {
    "results.news": decode_result,
    "signals.news": decode_signal,
    "alerts.camera": decode_alert,
}


@pytest.mark.parametrize("topic", DECODERS)
async def test_the_example_is_of_the_kind_that_the_topics_hold(topic: str) -> None:
    """Its names say that it is none of the real ones; filters do not keep it back."""
    async with receiving() as receiver:
        tried = await try_out(Webhook(name="desk", url=receiver.url, topics=(topic,)))
        assert tried.answer.outcome is Outcome.DELIVERED
        (came,) = receiver.requests
    assert DECODERS[topic](came.body)
    assert b"headrace-test" in came.body
    assert "headrace-test" in came.id


async def test_an_alert_that_is_only_an_example_is_over_in_a_minute() -> None:
    """Alertmanager would otherwise keep it for a day."""
    async with receiving() as receiver:
        webhook = Webhook(
            name="desk", url=receiver.url, topics=("alerts.camera",), format=Format.ALERTMANAGER
        )
        await try_out(webhook)
        (came,) = receiver.requests
    assert came.path == "/hook/api/v2/alerts"
    (alert,) = orjson.loads(came.body)
    begins, ends = (datetime.fromisoformat(alert[name]) for name in ("startsAt", "endsAt"))
    assert ends - begins == timedelta(minutes=1)


async def test_an_endpoint_that_refuses_is_told_with_its_answer() -> None:
    """Status and the beginning of what it says."""
    async with receiving() as receiver:
        receiver.replies.append(Reply(422, body=b"no such desk"))
        tried = await try_out(
            Webhook(name="desk", url=receiver.url, topics=("results.news",), filters={})
        )
    assert tried.answer.outcome is Outcome.REFUSED
    assert tried.answer.told == "422 Unprocessable Entity: no such desk"


def test_a_name_that_is_no_webhooks_is_refused_with_those_that_are() -> None:
    """Before anything is sent."""
    done = CliRunner().invoke(command, ["--test", "disk"])
    assert isinstance(done.exception, ConfigurationError)
    assert str(done.exception) == "webhooks: there is no 'disk'; the settings have none"
    done = CliRunner().invoke(command, [])
    assert isinstance(done.exception, ConfigurationError)
    assert "[[webhooks]]" in str(done.exception)
