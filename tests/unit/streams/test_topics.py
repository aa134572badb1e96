"""Names of topics, and making sure that the topics are there."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    InvalidReplicationFactorError,
    NotControllerError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
)

from schemas.errors import BrokerError
from schemas.events import Modality
from streams import topics
from streams.connection import Connection
from streams.topics import TopicKind, TopicRefusedError, ensure_topics, kind_of, modality_of

CONNECTION = Connection("broker:9092")


class FakeAdmin:
    """Implements what :mod:`streams.topics` asks of an ``AIOKafkaAdminClient``.

    Attributes:
        leaders: Of each partition, by topic; -1 while there is none yet.
        codes: What becomes of the next creations, by topic; 0 where nothing is said.
        requested: Topics that were asked for, as they were asked for.
        looks_until_led: How often topics are listed before new ones have leaders.
    """

    def __init__(self, *existing: str, brokers: int = 1) -> None:
        self.leaders: dict[str, list[int]] = {name: [0] for name in existing}
        self.codes: dict[str, int] = {}
        self.requested: list[Any] = []
        self.looks_until_led = 0
        self._brokers = brokers

    async def describe_topics(self) -> list[dict[str, Any]]:
        """List what is there."""
        if self.looks_until_led:
            self.looks_until_led -= 1
            shown = {name: [-1] * len(found) for name, found in self.leaders.items()}
        else:
            shown = self.leaders
        return [
            {
                "topic": name,
                "is_internal": False,
                "partitions": [{"leader": leader} for leader in found],
            }
            for name, found in shown.items()
        ]

    async def describe_cluster(self) -> dict[str, Any]:
        """Name the brokers."""
        return {"brokers": list(range(self._brokers))}

    async def create_topics(self, wanted: Sequence[Any]) -> Any:
        """Create topics, or refuse them."""
        self.requested.extend(wanted)
        for topic in wanted:
            if self.codes.get(topic.name, 0) in (0, TopicAlreadyExistsError.errno):
                self.leaders[topic.name] = [0] * topic.num_partitions
        outcomes = [(topic.name, self.codes.get(topic.name, 0), None) for topic in wanted]
        return SimpleNamespace(topic_errors=outcomes)


def use(admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an administration client be this one."""

    @asynccontextmanager
    async def opened(_: Connection) -> AsyncIterator[FakeAdmin]:
        yield admin

    monkeypatch.setattr(topics, "open_admin", opened)
    monkeypatch.setattr(topics, "SETTLE_POLL_S", 0.0)


@pytest.mark.parametrize("modality", list(Modality))
def test_a_name_tells_modality_and_kind(modality: Modality) -> None:
    """What headrace names it can read again."""
    names = topics.topics_of(modality)
    assert {modality_of(name) for name in names} == {modality}
    assert [kind_of(name) for name in names] == [
        TopicKind.EVENTS,
        TopicKind.RESULTS,
        TopicKind.DEAD_LETTERS,
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("signals.news", TopicKind.SIGNALS),
        ("alerts.camera", TopicKind.ALERTS),
        ("sessions.transcripts", TopicKind.SESSIONS),
        ("fused.news", TopicKind.FUSED),
        ("alerts.camera.dlq", TopicKind.DEAD_LETTERS),
        ("alerts", TopicKind.OTHER),
        ("alertsX.camera", TopicKind.OTHER),
        ("", TopicKind.OTHER),
    ],
)
def test_what_is_derived_is_known_by_its_prefix(name: str, kind: TopicKind) -> None:
    """Up to the first dot; dead letters of it are dead letters."""
    assert kind_of(name) is kind


def test_other_peoples_topics_are_theirs() -> None:
    """Nothing is guessed of them."""
    assert modality_of("orders") is None
    assert kind_of("orders") is TopicKind.OTHER


async def test_only_missing_topics_are_created(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once each, with the partitions asked for; those that exist are left alone."""
    admin = FakeAdmin("a")
    use(admin, monkeypatch)
    created = await ensure_topics(CONNECTION, ["a", "b", "b", "c"], partitions=6)
    assert created == ["b", "c"]
    assert [(topic.name, topic.num_partitions) for topic in admin.requested] == [("b", 6), ("c", 6)]
    assert await ensure_topics(CONNECTION, ["a", "b", "c"]) == []
    assert len(admin.requested) == 2


@pytest.mark.parametrize(("brokers", "copies"), [(1, 1), (2, 2), (5, 3)])
async def test_topics_have_three_copies_where_there_are_brokers(
    brokers: int, copies: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single broker cannot hold more than one."""
    admin = FakeAdmin(brokers=brokers)
    use(admin, monkeypatch)
    await ensure_topics(CONNECTION, ["a"], max_message_bytes=77)
    assert admin.requested[0].replication_factor == copies
    assert admin.requested[0].topic_configs == {"max.message.bytes": "77"}


async def test_a_topic_that_another_worker_has_just_created_will_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is there; this one has not created it."""
    admin = FakeAdmin()
    admin.codes = {"a": TopicAlreadyExistsError.errno}
    use(admin, monkeypatch)
    assert await ensure_topics(CONNECTION, ["a", "b"]) == ["b"]


async def test_a_new_topic_is_waited_for_until_it_has_leaders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client that comes earlier would fail."""
    admin = FakeAdmin()
    use(admin, monkeypatch)
    admin.looks_until_led = 4
    await ensure_topics(CONNECTION, ["a"])
    assert admin.looks_until_led == 0


async def test_a_topic_without_leaders_is_told_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker's log says more."""
    admin = FakeAdmin()
    use(admin, monkeypatch)
    monkeypatch.setattr(topics, "SETTLE_S", 0.01)
    admin.looks_until_led = 10**9
    with pytest.raises(BrokerError, match="no leaders"):
        await ensure_topics(CONNECTION, ["a"])


async def test_missing_topics_are_an_error_where_creating_is_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of them are named, nothing is created, and trying again would not help."""
    admin = FakeAdmin("a")
    use(admin, monkeypatch)
    with pytest.raises(TopicRefusedError, match="b, c: do not exist") as caught:
        await ensure_topics(CONNECTION, ["a", "b", "c"], allow_create=False)
    assert not caught.value.retriable
    assert admin.requested == []


@pytest.mark.parametrize(
    ("refusal", "retriable", "said"),
    [
        (TopicAuthorizationFailedError, False, "ask for the right"),
        (InvalidReplicationFactorError, False, "create it by hand"),
        (NotControllerError, True, "could not be created"),
    ],
)
async def test_a_refusal_says_whether_to_try_again(
    refusal: Any, retriable: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A controller that has moved is found again; a right that is missing is not."""
    admin = FakeAdmin()
    admin.codes = {"a": refusal.errno}
    use(admin, monkeypatch)
    with pytest.raises(BrokerError, match=f"topic a: .*{said}") as caught:
        await ensure_topics(CONNECTION, ["a"])
    assert caught.value.retriable is retriable
