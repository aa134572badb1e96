"""The settings of a single Apache Kafka node that is its own controller (KRaft)."""

from collections.abc import Mapping
from dataclasses import dataclass

CLIENT = "CLIENT"
INTERNAL = "INTERNAL"
CONTROLLER = "CONTROLLER"

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

_SMALL_AND_QUICK = {
    # One node: every internal topic has one copy, and few partitions to set up.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "5",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "5",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "5",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    # A topic nobody created is a mistake to hear of, not to hide.
    "auto.create.topics.enable": "false",
    # A group starts with its first member instead of waiting for a second.
    "group.initial.rebalance.delay.ms": "0",
    # Tests of lost members and forgotten transactions end in seconds.
    "group.min.session.timeout.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # After a kill the controller waits for the lost node's session to end: 9 s by default.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    # The cleaner would reserve 128 MB of the heap.
    "log.cleaner.dedupe.buffer.size": "2097152",
    "num.network.threads": "2",
    "num.io.threads": "4",
}


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of the three listeners.

    Attributes:
        client: What ``bootstrap_servers`` names; its protocol can be changed.
        internal: The broker talks to itself here, and readiness is asked for: plain text.
        controller: Metadata quorum of one.
        advertised: What clients are told instead of ``client``: where something in between
            listens for them.
    """

    client: int
    internal: int
    controller: int
    advertised: int | None = None


def node_properties(
    ports: Ports,
    *,
    log_dirs: str,
    bind: str,
    advertise: str,
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return all settings of the node.

    Args:
        ports: Of the listeners.
        log_dirs: Where the node keeps its data, as the node sees it.
        bind: Address to listen on.
        advertise: Host name that clients are told.
        extra: Settings that come on top and win. ``listener.security.protocol.map`` changes what
            the CLIENT listener speaks, ``listener.name.client.…`` configures it; INTERNAL and
            CONTROLLER stay PLAINTEXT.
    """
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{ports.controller}",
        "controller.listener.names": CONTROLLER,
        "inter.broker.listener.name": INTERNAL,
        "listeners": (
            f"{CLIENT}://{bind}:{ports.client},{INTERNAL}://{bind}:{ports.internal},"
            f"{CONTROLLER}://127.0.0.1:{ports.controller}"
        ),
        "advertised.listeners": (
            f"{CLIENT}://{advertise}:{ports.advertised or ports.client},"
            f"{INTERNAL}://{advertise}:{ports.internal}"
        ),
        "listener.security.protocol.map": (
            f"{CLIENT}:PLAINTEXT,{INTERNAL}:PLAINTEXT,{CONTROLLER}:PLAINTEXT"
        ),
        "log.dirs": log_dirs,
        **_SMALL_AND_QUICK,
        **(extra or {}),
    }


def escape(value: str) -> str:
    r"""Write a value as a Java properties file has it: PEM text keeps its line ends as ``\n``."""
    for character, escaped in _ESCAPES.items():
        value = value.replace(character, escaped)
    if value.startswith(" "):
        value = "\\" + value
    return "".join(map(_ascii, value))


def _ascii(character: str) -> str:
    if character.isascii():
        return character
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def render(properties: Mapping[str, str]) -> str:
    """Return the text of a ``server.properties`` file."""
    return "".join(f"{name}={escape(value)}\n" for name, value in properties.items())
