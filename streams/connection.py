"""How to reach the broker: one value that every Kafka client in the project is made from."""

from dataclasses import dataclass, field
from typing import Any

from streams.security import Security


@dataclass(frozen=True, slots=True)
class Connection:
    """Address and client identity of a Kafka cluster.

    Attributes:
        bootstrap_servers: ``host:port``, several separated by commas.
        client_id: Shown in the broker's logs and quotas.
        security: How both sides prove who they are.
    """

    bootstrap_servers: str
    client_id: str = "headrace"
    security: Security = field(default_factory=Security)

    def client_options(self) -> dict[str, Any]:
        """Return the keyword arguments that every aiokafka client takes; never log them.

        Raises:
            ConfigurationError: The settings of ``security``, or files that they name, are wrong.
        """
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": self.client_id,
            **self.security.client_options(),
        }
