"""The worker's Kafka clients, and the way of delivery that its settings ask for."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas.errors import BrokerError
from streams.clients import stop_client
from streams.delivery.at_least_once import AtLeastOnce
from streams.delivery.committed import GroupOffsets
from streams.delivery.exactly_once import ExactlyOnce
from streams.delivery.in_order import InKeyOrder
from streams.delivery.mode import DeliveryMode
from streams.delivery.partition_producer import TRANSACTION_S
from streams.delivery.protocol import Delivery, Outlet
from streams.group_answers import heed_errors
from streams.offsets import Ledger
from streams.routes import Route
from streams.sequences import take_back_refused
from streams.settings import Settings

BATCH_BYTES = 128 * 1024
HEARTBEAT_MS = 100
SPACING_S = 0.003
"""From one transaction of a worker to its next, over all of its partitions, unless told: each costs
client and broker a millisecond or two of work."""
MOST_OF_BUDGET = 0.15
"""What results wait for their partition's next transaction at most, likewise."""
HEADROOM_BYTES = 1024 * 1024
"""What a dead letter may need beyond the record that it is about: headers, the batch's fields."""


async def open_delivery(
    settings: Settings, ledger: Ledger, routes: list[Route], stack: AsyncExitStack
) -> Delivery:
    """Start what takes answers out and keeps the group's offsets, as the settings want it.

    Args:
        settings: Of the worker.
        ledger: Follows the partitions.
        routes: What is served.
        stack: Stops it.

    Raises:
        BrokerError: The broker cannot be reached.
    """
    offsets = GroupOffsets(settings.connection(), settings.group)
    if settings.delivery is DeliveryMode.EXACTLY_ONCE:
        exactly = ExactlyOnce(
            group=settings.group,
            ledger=ledger,
            make_producer=partial(make_producer, settings),
            offsets=offsets,
            interval_s=spacing(settings, routes),
        )
        stack.push_async_callback(exactly.close)
        return exactly
    producer = make_producer(settings)
    stack.push_async_exit(partial(_stop_producer, producer))
    await producer.start()
    delivery = AtLeastOnce(producer, ledger, offsets)
    delivery.start()
    stack.push_async_callback(delivery.close)
    return delivery


def spacing(settings: Settings, routes: list[Route]) -> Callable[[str, int], float]:
    """Return how far apart transactions of a partition are, by topic and partitions owned."""
    budgets_s = {route.topic: route.budget_ms / 1e3 for route in routes}

    def interval_s(topic: str, partitions: int) -> float:
        if settings.transaction_ms is not None:
            return settings.transaction_ms / 1e3
        return min(SPACING_S * partitions, MOST_OF_BUDGET * budgets_s[topic])

    return interval_s


def outlet_to(delivery: Delivery, settings: Settings) -> Outlet:
    """Return where lanes put their answers: before the delivery, in order of keys if asked for."""
    if not settings.preserve_ordering:
        return delivery
    # A transaction repeats all of its records in their order.
    in_transactions = settings.delivery is DeliveryMode.EXACTLY_ONCE
    return InKeyOrder(delivery, one_at_a_time=not in_transactions)


def make_consumer(settings: Settings) -> AIOKafkaConsumer:
    """Return a member of the worker's group, not started and not subscribed."""
    consumer = AIOKafkaConsumer(
        **settings.connection().client_options(),
        group_id=settings.group,
        enable_auto_commit=False,
        # A group that has committed nothing starts with the oldest event: none is skipped.
        auto_offset_reset="earliest",
        session_timeout_ms=settings.session_timeout_ms,
        # A rebalance waits until every member has heard of it, by its next heartbeat, and
        # all of them stand still meanwhile.
        heartbeat_interval_ms=min(HEARTBEAT_MS, max(1, settings.session_timeout_ms // 4)),
        group_instance_id=settings.group_instance_id,
        rebalance_timeout_ms=int(settings.drain_ms) + settings.session_timeout_ms,
        # A fetch that finds nothing is answered after this; events are answered at once.
        fetch_max_wait_ms=500,
        isolation_level="read_committed",
    )
    heed_errors(consumer._client)  # noqa: SLF001 - not to take a loading group for a new one
    return consumer


def make_producer(settings: Settings, transactional_id: str | None = None) -> AIOKafkaProducer:
    """Return a producer that neither loses nor doubles what it acknowledged."""
    transactional = (
        {}
        if transactional_id is None
        else {
            "transactional_id": transactional_id,
            "transaction_timeout_ms": int(TRANSACTION_S * 1e3),
            # Its waits are for the broker to be done with the transaction before: milliseconds.
            "retry_backoff_ms": 10,
        }
    )
    producer = AIOKafkaProducer(
        **settings.connection().client_options(),
        **transactional,
        enable_idempotence=True,
        acks="all",
        # Results leave when they are ready; under load they gather while a send is under way.
        linger_ms=0,
        # Of one partition: while a batch is full and another under way, all others have to wait.
        max_batch_size=BATCH_BYTES,
        request_timeout_ms=settings.request_timeout_ms,
        max_request_size=settings.max_record_bytes + HEADROOM_BYTES,
    )
    take_back_refused(producer)
    return producer


async def _stop_producer(producer: AIOKafkaProducer, kind: object, *_: object) -> None:
    """Close the producer at the worker's end.

    Raises:
        BrokerError: The broker did not acknowledge what was sent, and nothing else had failed.
    """
    if not await stop_client(producer) and kind is None:
        raise BrokerError(
            "the broker is gone: it did not acknowledge the last results, so their events are not "
            "committed and will be answered again; start a worker when the broker is back"
        )
