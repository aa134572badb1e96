"""A new webhook is tried with one example of what it is for."""

from datetime import datetime, timedelta

import orjson
import pytest
from click.testing import CliRunner

from schemas.errors import ConfigurationError
from schemas.events import Modality
from schemas.records import Record
from streams.commands.webhooks import command
from streams.subscription.kinds import KINDS
from streams.topics import TopicKind
from streams.webhooks.picking import event_id_of, modality_of
from streams.webhooks.retrying import Outcome
from streams.webhooks.settings import Format, Webhook
from streams.webhooks.trying import try_out
from tests.fakes.receiver import Reply, receiving

TOPICS = {
    TopicKind.RESULTS: "results.news",
    TopicKind.SIGNALS: "signals.news",
    TopicKind.ALERTS: "alerts.camera",
    TopicKind.SESSIONS: "sessions.transcripts",
    TopicKind.FUSED: "fused.entities",
}


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {TopicKind.DEAD_LETTERS}))
async def test_the_example_is_of_the_kind_that_the_topics_hold(kind: TopicKind) -> None:
    """Every kind has one, and its names say that it is none of the real ones."""
    async with receiving() as receiver:
        tried = await try_out(Webhook(name="desk", url=receiver.url, topics=(TOPICS[kind],)))
        assert tried.answer.outcome is Outcome.DELIVERED
        (came,) = receiver.requests
    value = KINDS[kind].wanted.decode(Record(topic=TOPICS[kind], value=came.body))
    assert modality_of(value) in Modality
    assert event_id_of(value)
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
