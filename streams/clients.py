"""Kafka clients of the commands for people: opened, closed, and their failures put into words."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from schemas.errors import BrokerError, ConfigurationError
from streams.connection import Connection
from streams.group_answers import heed_errors
from streams.security.refusals import refusal
from streams.sequences import take_back_refused

STOP_S = 5.0
"""How long closing a client may take; a broker that answers needs milliseconds."""

T = TypeVar("T")


def silence_client_logs() -> None:
    """Keep aiokafka's own log lines off a person's terminal; our errors say what matters."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def pass_over_client_futures() -> None:
    """Keep futures of aiokafka's own, which fail with a batch or connection, out of the log.

    Nobody reads them, and asyncio would show the traceback of each. What they tell reaches us
    through the futures that we hold.
    """
    asyncio.get_running_loop().set_exception_handler(_without_client_futures)


def _without_client_futures(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if "future" in context and isinstance(error, KafkaError | ConnectionError):
        logging.getLogger("aiokafka").debug("%s: %r", context["message"], error)
    else:
        loop.default_exception_handler(context)


async def stop_client(client: Any, timeout_s: float = STOP_S) -> bool:
    """Close a consumer or producer; ``False`` if a broker that is gone kept it from ending.

    aiokafka waits without end for the acknowledgement of what an idempotent producer has sent, and
    lets the cancellation of its own tasks out where a fetch was being retried (0.14). Hence a time
    limit, and a task of its own.
    """
    stopping = asyncio.create_task(client.stop())
    done, _ = await asyncio.wait([stopping], timeout=timeout_s)
    if stopping in done and not stopping.cancelled():
        stopping.result()
        return True
    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)
    # It did not come as far as its connections.
    await _connections(client).close()
    return bool(done)


async def undisturbed(work: Coroutine[Any, Any, T]) -> T:
    """Do what may open a connection; a cancellation waits for its end, :data:`STOP_S` at most.

    aiokafka forgets a connection whose opening is cancelled, and leaves it open (0.14).
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=STOP_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


@asynccontextmanager
async def open_admin(connection: Connection) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect an administration client.

    Raises:
        BrokerError: No broker answers.
        ConfigurationError: The address is not one, or brokers refuse this client.
    """
    admin = _made(AIOKafkaAdminClient, connection)
    try:
        await _start(admin, connection)
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def open_producer(
    connection: Connection, *, max_request_size: int, transactional_id: str | None = None
) -> AsyncIterator[AIOKafkaProducer]:
    """Connect a producer that neither loses nor doubles what the broker acknowledged.

    Args:
        connection: How to reach the broker.
        max_request_size: Largest record in bytes.
        transactional_id: Lets it write in transactions, and fences an earlier one of the same id.

    Raises:
        BrokerError: No broker answers.
        ConfigurationError: The address is not one.
    """
    producer = _made(
        AIOKafkaProducer,
        connection,
        enable_idempotence=True,
        acks="all",
        linger_ms=0,
        max_request_size=max_request_size,
        transactional_id=transactional_id,
    )
    take_back_refused(producer)
    try:
        await _start(producer, connection)
        yield producer
    finally:
        await stop_client(producer)


@asynccontextmanager
async def open_consumer(connection: Connection, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """Connect a consumer that belongs to no group unless ``group_id`` says so.

    Raises:
        BrokerError: No broker answers.
        ConfigurationError: The address is not one.
    """
    defaults: dict[str, Any] = {
        "enable_auto_commit": False,
        "isolation_level": "read_committed",
        "auto_offset_reset": "earliest",
    }
    consumer = _made(AIOKafkaConsumer, connection, **defaults | options)
    try:
        await _start(consumer, connection)
        # Stopping a consumer whose tasks have not run yet raises CancelledError (aiokafka 0.14).
        await asyncio.sleep(0)
        yield consumer
    finally:
        await stop_client(consumer)


def _made(client: Any, connection: Connection, **options: Any) -> Any:
    try:
        made = client(**connection.client_options(), **options)
    except ValueError as error:
        raise _no_address(connection, error) from error
    heed_errors(_connections(made))
    return made


async def _start(client: Any, connection: Connection) -> None:
    try:
        await undisturbed(client.start())
        await _let_in(client, connection)
    except ValueError as error:
        raise _no_address(connection, error) from error
    except (KafkaError, OSError, TimeoutError) as error:
        if isinstance(error, KafkaConnectionError) and (why := await refusal(connection)):
            raise why from error
        # A failed bootstrap only repeats the address; other errors (authorisation) tell more.
        details = "" if isinstance(error, KafkaConnectionError) else f" ({error!r})"
        raise BrokerError(
            f"bootstrap_servers: no broker answers at {connection.bootstrap_servers}{details}; "
            "start one with `headrace broker`, or give another address with --bootstrap-servers"
        ) from error


async def _let_in(client: Any, connection: Connection) -> None:
    """Look at what the broker said; aiokafka 0.14 overlooks that a token was refused."""
    if not _connections(client).cluster.brokers() and (why := await refusal(connection)):
        raise why


def _connections(client: Any) -> Any:
    return client.client if isinstance(client, AIOKafkaProducer) else client._client  # noqa: SLF001


def _no_address(connection: Connection, error: ValueError) -> ConfigurationError:
    return ConfigurationError(
        f"bootstrap_servers: {connection.bootstrap_servers!r} is not an address ({error}); "
        "give host:port, several separated by commas"
    )
