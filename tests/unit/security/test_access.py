"""What a broker refuses is put into the words of access rules, and forgotten when it is granted."""

import asyncio

import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from structlog.testing import capture_logs

from streams.security.access import REFUSED_S, Refusal, explained


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (TopicAuthorizationFailedError("events.news"), "lacks Write on topic events.news"),
        (TopicAuthorizationFailedError({"b", "a"}), "lacks Write on topic a, b"),
        (GroupAuthorizationFailedError("desk"), "lacks Read on group desk"),
        (
            TransactionalIdAuthorizationFailed("headrace-1"),
            "lacks Write and Describe on transactional id headrace-1",
        ),
        (ClusterAuthorizationFailedError(), "lacks IdempotentWrite on the cluster"),
    ],
)
def test_a_refusal_names_the_right_and_what_it_is_on(error: Exception, told: str) -> None:
    """As they are written in a rule."""
    assert told in (explained(error, doing="Write") or "")


def test_other_errors_are_none_of_its_business() -> None:
    """They are told as they were before."""
    assert explained(KafkaConnectionError("gone")) is None
    assert not Refusal().note(KafkaConnectionError("gone"))


def test_a_refusal_is_told_once_and_ends_when_it_is_not_repeated() -> None:
    """Each repetition keeps it up; another one is told too."""
    now = [100.0]
    refusal = Refusal(monotonic=lambda: now[0])
    assert not refusal.lasts
    with capture_logs() as lines:
        for _ in range(3):
            assert refusal.note(TopicAuthorizationFailedError("a"))
            now[0] += REFUSED_S - 0.1
            assert refusal.lasts
        assert refusal.note(GroupAuthorizationFailedError("g"))
        now[0] += REFUSED_S
        assert not refusal.lasts
        assert not refusal.lasts
    assert [line["event"] for line in lines] == [
        "access_refused",
        "access_refused",
        "access_granted",
    ]


async def test_only_a_refusal_is_waited_after() -> None:
    """And a stop ends the wait."""
    stopping = asyncio.Event()
    refusal = Refusal()
    await asyncio.wait_for(refusal.pause(stopping), 0.5)
    refusal.note(GroupAuthorizationFailedError("g"))
    stopping.set()
    await asyncio.wait_for(refusal.pause(stopping), 0.5)
