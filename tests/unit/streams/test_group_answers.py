"""A broker that loads a group says so; that is not a group without offsets."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import GroupLoadInProgressError, NotCoordinatorForGroupError
from aiokafka.protocol.commit import OffsetFetchRequest, OffsetFetchResponse_v3

from streams.clients import open_consumer
from streams.connection import Connection
from streams.group_answers import heed_errors

PARTITION = TopicPartition("events.news", 0)
LOADING, MOVED = GroupLoadInProgressError.errno, NotCoordinatorForGroupError.errno


class Broker:
    """Implements what is asked of an ``AIOKafkaClient``: answers with these errors, then an offset.

    Attributes:
        codes: Of the whole answers.
    """

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)

    async def send(self, node_id: int, request: Any, **options: Any) -> Any:
        """Answer a question for offsets."""
        del node_id, options
        if not isinstance(request, OffsetFetchRequest):
            return SimpleNamespace(error_code=LOADING)
        code = self.codes.pop(0) if self.codes else 0
        topics = [] if code else [("events.news", [(0, 17, "", 0)])]
        return OffsetFetchResponse_v3(0, topics, code)


@pytest.mark.parametrize("code", [LOADING, MOVED])
async def test_an_error_of_the_whole_answer_is_raised(code: int) -> None:
    """So that the client asks again, which it does for errors that may pass."""
    broker = Broker(code)
    heed_errors(broker)
    admin = SimpleNamespace(_send_request=lambda request, node: broker.send(node, request))

    async def ask() -> Any:
        return await AIOKafkaAdminClient.list_consumer_group_offsets(admin, "g", 1, [PARTITION])

    with pytest.raises((GroupLoadInProgressError, NotCoordinatorForGroupError)) as error:
        await ask()
    assert error.value.retriable
    assert (await ask())[PARTITION].offset == 17


async def test_without_it_a_loading_group_has_no_offsets() -> None:
    """If this fails, aiokafka has learnt it and ``heed_errors`` can go."""
    broker = Broker(LOADING)
    coordinator = SimpleNamespace(
        group_id="g", _send_req=lambda request: broker.send(1, request), coordinator_dead=print
    )
    found = await GroupCoordinator._do_fetch_commit_offsets(coordinator, [PARTITION])
    assert found == {}


async def test_other_answers_are_left_alone() -> None:
    """Clients look at their errors themselves."""
    broker = Broker()
    heed_errors(broker)
    assert (await broker.send(1, object())).error_code == LOADING


async def test_our_consumers_heed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the commands; the worker's is made in the same way."""
    heeded: list[Any] = []
    monkeypatch.setattr("streams.clients.heed_errors", heeded.append)
    with pytest.raises(Exception, match="no broker answers"):
        async with open_consumer(Connection("127.0.0.1:1")):
            pass
    assert len(heeded) == 1
