"""Free ports on the loopback interface."""

import socket
from contextlib import ExitStack

from schemas.errors import BrokerError

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now; another process may still be faster."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in sockets]


def require_free(port: int) -> None:
    """Refuse a port that somebody listens on: a broker there would be taken for ours.

    Raises:
        BrokerError: The port is in use, or may not be used.
    """
    with socket.socket() as probe:
        # As brokers do: a port whose last connections are still winding down can be used.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise BrokerError(
                f"port: {port} cannot be had on {LOOPBACK} ({error.strerror}); stop what listens "
                "there, or choose another with --port"
            ) from error
