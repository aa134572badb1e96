"""Access rules of brokers: asked for before the start, and told by name where one is missing."""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import CoordinationType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from schemas.errors import BrokerError
from streams.clients import open_admin
from streams.connection import Connection
from streams.security.access_requests import GroupOperations, TopicOperations

log = structlog.get_logger(__name__)

REFUSALS = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
"""What a broker answers who may not do something; it may be allowed later."""

REFUSED_S = 4.0
"""A refusal is over when the broker has not repeated it for so long."""
_BITS = {"Read": 1 << 3, "Write": 1 << 4}
_ONLY_OTHERS = 1 << 31
"""Bits of what may not even be looked at: none of those that are asked for."""
_FLAGS = {"topic": "--topic", "group": "--group"}


class AccessRefusedError(BrokerError):
    """The broker knows who this is, and does not allow what is needed."""

    retriable = False


@dataclass(frozen=True, slots=True)
class Right:
    """An operation on something, as access rules name it."""

    operation: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.operation} on {self.kind} {self.name}"

    @property
    def flags(self) -> str:
        """How ``kafka-acls`` is told."""
        return f"--operation {self.operation} {_FLAGS[self.kind]} {self.name}"


async def check_access(
    connection: Connection, *, reads: Iterable[str], writes: Iterable[str], group: str | None
) -> None:
    """Make sure that a worker may do what it is going to do.

    A broker without access rules allows all, and one that cannot be asked is taken at its word
    later; topics that do not exist are left to whoever creates them.

    Args:
        connection: How to reach the broker.
        reads: Topics that are read.
        writes: Topics that are written.
        group: Joined, if any.

    Raises:
        AccessRefusedError: Rights are missing; names all.
        BrokerError: The broker cannot be reached.
    """
    needed = [Right("Read", "topic", name) for name in dict.fromkeys(reads)]
    needed += [Right("Write", "topic", name) for name in dict.fromkeys(writes)]
    async with open_admin(connection) as admin:
        missing = await _known(_missing_of_topics(admin, needed))
        if group is not None:
            missing += await _known(_missing_of_group(admin, group))
    if missing:
        raise AccessRefusedError(_told(missing, connection))


async def _known(asking: Awaitable[list[Right]]) -> list[Right]:
    """Return what is missing as far as the broker tells; a new one has no coordinator yet."""
    try:
        return await asking
    except (NotImplementedError, KafkaError, OSError, TimeoutError) as error:
        log.debug("access_unknown", error=repr(error))
        return []


async def _missing_of_topics(admin: AIOKafkaAdminClient, needed: list[Right]) -> list[Right]:
    names = list(dict.fromkeys(right.name for right in needed))
    answer = await admin._send_request(TopicOperations(names))  # noqa: SLF001
    operations: dict[str, int] = {}
    for code, name, _, _, bits in answer.topics:
        if code == TopicAuthorizationFailedError.errno:
            operations[name] = _ONLY_OTHERS
        elif code == 0:
            operations[name] = bits
    return [
        right
        for right in needed
        if right.name in operations and _lacks(operations[right.name], right.operation)
    ]


async def _missing_of_group(admin: AIOKafkaAdminClient, group: str) -> list[Right]:
    right = Right("Read", "group", group)
    try:
        coordinator = await admin._client.coordinator_lookup(CoordinationType.GROUP, group)  # noqa: SLF001
        answer = await admin._send_request(GroupOperations(group), coordinator)  # noqa: SLF001
    except GroupAuthorizationFailedError:
        return [right]
    code, *_, bits = answer.groups[0]
    if code == GroupAuthorizationFailedError.errno:
        return [right]
    return [right] if code == 0 and _lacks(bits, "Read") else []


def _lacks(bits: int, operation: str) -> bool:
    """Read a set of bits; empty, or with the sign, it was not filled in."""
    return bits > 0 and not bits & _BITS[operation]


def _told(missing: list[Right], connection: Connection) -> str:
    user = connection.security.username
    who = f"user {user!r}" if user else "this client"
    return (
        f"access: {who} lacks {', '.join(map(str, missing))}; grant it with `kafka-acls --add "
        f"--allow-principal User:{user or '…'} {missing[0].flags}`"
        + (" and so on" if len(missing) > 1 else "")
        + ", see docs/security.md"
    )


def explained(
    error: BaseException, *, doing: str = "Read or Write", on: str = "of an unknown name"
) -> str | None:
    """Put into words what a broker refused; ``None`` if the error is of another kind.

    Args:
        error: Of aiokafka.
        doing: The operation on topics that was tried.
        on: What it was tried on, where the error does not tell.
    """
    what = ", ".join(sorted(error.args[0])) if error.args and _several(error.args[0]) else None
    what = what or (str(error.args[0]) if error.args else on)
    match error:
        case TopicAuthorizationFailedError():
            return f"access: lacks {doing} on topic {what}"
        case GroupAuthorizationFailedError():
            return f"access: lacks Read on group {what}"
        case TransactionalIdAuthorizationFailed():
            return f"access: lacks Write and Describe on transactional id {what}"
        case ClusterAuthorizationFailedError():
            return (
                "access: lacks IdempotentWrite on the cluster, which brokers before 3.0 ask of "
                "every producer, and later ones of who may write to no topic"
            )
    return None


def _several(value: object) -> bool:
    return isinstance(value, set | frozenset | list | tuple)


class Refusal:
    """What a running client was refused, until nothing is refused any more for a while.

    Args:
        doing: What it does with topics.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self, doing: str = "Read", monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._doing = doing
        self._monotonic = monotonic
        self._last = -math.inf
        self._told: str | None = None

    @property
    def lasts(self) -> bool:
        """Whether something was refused lately."""
        lasts = self._monotonic() - self._last < REFUSED_S
        if not lasts and self._told is not None:
            log.info("access_granted", was=self._told)
            self._told = None
        return lasts

    def note(self, error: BaseException) -> bool:
        """Log a refusal, once; ``False`` if the error is of another kind."""
        why = explained(error, doing=self._doing)
        if why is None:
            return False
        self._last = self._monotonic()
        if why != self._told:
            self._told = why
            log.error("access_refused", error=why, remedy="grant it; the worker goes on by itself")
        return True

    async def pause(self, stopping: asyncio.Event) -> None:
        """Wait before the next try, if something was refused just now."""
        if self.lasts:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFUSED_S / 2):
                    await stopping.wait()
