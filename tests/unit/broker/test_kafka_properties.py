"""The settings of our Kafka: what they hold, how they are written, how they reach a container."""

import pytest

from streams.broker.docker import container_environment, variable
from streams.broker.kafka_properties import Ports, escape, node_properties, render

PORTS = Ports(client=1001, internal=1002, controller=1003)


def settings(**extra: str) -> dict[str, str]:
    """Return the node's settings; underscores in names stand for dots."""
    dotted = {name.replace("_", "."): value for name, value in extra.items()}
    return node_properties(
        PORTS, log_dirs="/data", bind="127.0.0.1", advertise="127.0.0.1", extra=dotted
    )


def test_a_node_listens_on_the_loopback_interface_only() -> None:
    """Nothing here asks who is there."""
    node = settings()
    addresses = [each.split("://")[1] for each in node["listeners"].split(",")]
    assert {address.split(":")[0] for address in addresses} == {"127.0.0.1"}
    assert [int(address.split(":")[1]) for address in addresses] == [1001, 1002, 1003]


def test_clients_are_told_the_ports_that_they_can_reach() -> None:
    """The controller's is not among them."""
    assert settings()["advertised.listeners"] == "CLIENT://127.0.0.1:1001,INTERNAL://127.0.0.1:1002"


def test_settings_on_top_win_over_ours() -> None:
    """Those that nobody gave stay."""
    node = settings(auto_create_topics_enable="true", log_retention_ms="1000")
    assert node["auto.create.topics.enable"] == "true"
    assert node["log.retention.ms"] == "1000"
    assert node["default.replication.factor"] == "1"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        ("a=b:c#d!e", "a=b:c#d!e"),
        ("two\nlines\n", "two\\nlines\\n"),
        ("back\\slash", "back\\\\slash"),
        (" leading", "\\ leading"),
        ("tab\there", "tab\\there"),
        ("r\u00e9gion", "r\\u00e9gion"),
        ("\U0001f600", "\\ud83d\\ude00"),
        ("", ""),
    ],
)
def test_values_are_written_so_that_java_reads_them_back(value: str, written: str) -> None:
    """Line ends of certificates, backslashes, leading blanks and what is not ASCII."""
    assert escape(value) == written


def test_a_file_holds_one_setting_a_line() -> None:
    """Whatever the values hold."""
    text = render({"a": "1\n2", "b": "3"})
    assert text == "a=1\\n2\nb=3\n"


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("log.dirs", "KAFKA_LOG_DIRS"),
        ("listener.name.client.ssl.keystore.key", "KAFKA_LISTENER_NAME_CLIENT_SSL_KEYSTORE_KEY"),
        ("a_b", "KAFKA_A__B"),
        ("a-b", "KAFKA_A___B"),
    ],
)
def test_a_container_is_given_settings_as_variables(name: str, spelled: str) -> None:
    """As the image spells them."""
    assert variable(name) == spelled


def test_a_container_is_the_node_that_we_describe() -> None:
    """It listens on all of its own interfaces, and tells clients the loopback address."""
    environment = container_environment(PORTS, {"log.retention.ms": "1\n"})
    assert environment["KAFKA_LISTENERS"].startswith("CLIENT://0.0.0.0:1001,")
    assert environment["KAFKA_ADVERTISED_LISTENERS"].startswith("CLIENT://127.0.0.1:1001,")
    assert environment["KAFKA_LOG_RETENTION_MS"] == "1\\n"
    assert environment["CLUSTER_ID"]
