"""The clients' listener of our Kafka can ask for TLS or for a password."""

import asyncio
import shutil
import ssl
from pathlib import Path

import pytest
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.helpers import create_ssl_context

from streams.broker import RunningBroker
from tests.conftest import BrokerFactory
from tests.integration.broker.clients import Clients, read

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]


def protocols(client: str) -> str:
    """Return a map in which clients speak another protocol than the broker with itself."""
    return f"CLIENT:{client},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"


async def round_trip(broker: RunningBroker, **options: object) -> None:
    """Create a topic, write a record and read it back."""
    async with Clients(broker.bootstrap_servers, **options) as clients:
        admin, producer = await clients.admin(), await clients.producer()
        answer = await admin.create_topics([NewTopic("secured", 1, 1)])
        assert answer.topic_errors[0][1] == 0
        await producer.send_and_wait("secured", b"kept to ourselves")
        (record,) = await read(await clients.reader("secured"), 1)
        assert record.value == b"kept to ourselves"


async def test_a_listener_can_ask_for_a_password(kafka_factory: BrokerFactory) -> None:
    """SASL PLAIN: the right password opens, a wrong one does not."""
    login = "org.apache.kafka.common.security.plain.PlainLoginModule"
    properties = {
        "listener.security.protocol.map": protocols("SASL_PLAINTEXT"),
        "listener.name.client.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.client.plain.sasl.jaas.config": f'{login} required user_ada="s=e:c ret";',
    }
    options = {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "ada",
    }
    right, wrong = ({"sasl_plain_password": word} for word in ("s=e:c ret", "guessed"))
    async with kafka_factory(properties=properties) as broker:
        await round_trip(broker, **options, **right)
        with pytest.raises(KafkaError):
            await round_trip(broker, **options, **wrong)


async def test_a_listener_can_speak_tls(kafka_factory: BrokerFactory, tmp_path: Path) -> None:
    """With a certificate in PEM: who trusts it gets in, nobody else does."""
    certificate, key = await self_signed(tmp_path)
    properties = {
        "listener.security.protocol.map": protocols("SSL"),
        "listener.name.client.ssl.keystore.type": "PEM",
        "listener.name.client.ssl.keystore.certificate.chain": certificate.read_text(),
        "listener.name.client.ssl.keystore.key": key.read_text(),
    }
    trusting = create_ssl_context(cafile=str(certificate))
    doubting = ssl.create_default_context()
    async with kafka_factory(properties=properties) as broker:
        await round_trip(broker, security_protocol="SSL", ssl_context=trusting)
        with pytest.raises(KafkaConnectionError):
            await round_trip(broker, security_protocol="SSL", ssl_context=doubting)
        with pytest.raises(KafkaConnectionError):
            await round_trip(broker)


async def self_signed(directory: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that signs itself; return it and its key, in PEM."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl in PATH to make a certificate with")
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    process = await asyncio.create_subprocess_exec(
        openssl, *request, *subject, *files, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return certificate, key
