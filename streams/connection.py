"""How to reach the broker: one value that every Kafka client in the project is made from."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Connection:
    """Address and client identity of a Kafka cluster.

    Attributes:
        bootstrap_servers: ``host:port``, several separated by commas.
        client_id: Shown in the broker's logs and quotas.
    """

    bootstrap_servers: str
    client_id: str = "headrace"

    def client_options(self) -> dict[str, Any]:
        """Return the keyword arguments that every aiokafka client takes."""
        return {"bootstrap_servers": self.bootstrap_servers, "client_id": self.client_id}
