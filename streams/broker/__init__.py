"""A Kafka broker to develop and test against: given, or started for the occasion.

Example:
    >>> async with open_broker("maven") as broker:
    ...     connection = Connection(broker.bootstrap_servers)
"""

from streams.broker.providers import (
    ADDRESS_VARIABLE,
    AUTO,
    PROVIDERS,
    available,
    choose,
    open_broker,
)
from streams.broker.running import RunningBroker

__all__ = [
    "ADDRESS_VARIABLE",
    "AUTO",
    "PROVIDERS",
    "RunningBroker",
    "available",
    "choose",
    "open_broker",
]
