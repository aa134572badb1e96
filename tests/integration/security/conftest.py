"""An Apache Kafka that lets nobody in who cannot prove who he is, and has access rules."""

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka.admin import NewTopic

from streams.broker import RunningBroker
from streams.clients import open_admin
from streams.connection import Connection
from streams.security import Mechanism, Protocol, Security
from streams.topics import until_led
from tests.conftest import BrokerFactory
from tests.integration.security.certificates import Issued, issue
from tests.integration.security.grants import add_user

PASSWORD = "p;s=e:c r,t"  # noqa: S105 - of a user that lives as long as the test
MODULES = "org.apache.kafka.common.security"
PLAIN = f'{MODULES}.plain.PlainLoginModule required user_ada="{PASSWORD}";'
SCRAM = f"{MODULES}.scram.ScramLoginModule required;"
TOKENS = f'{MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="b";'
LISTENER = "listener.name.client."
RULES = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    # The broker itself, and the superuser of the tests, by the listener that only they know.
    "super.users": "User:ANONYMOUS",
}


@dataclass(frozen=True)
class Vault:
    """A secured broker and what opens it.

    Attributes:
        authority: Signed the broker's certificate.
        directory: Holds certificates and secrets.
    """

    broker: RunningBroker
    authority: Issued
    directory: Path

    @property
    def superuser(self) -> Connection:
        """Who may do everything."""
        assert self.broker.check_address is not None
        return Connection(self.broker.check_address, "superuser")

    def file(self, name: str, content: str) -> str:
        """Write a file for a client."""
        path = self.directory / name
        path.write_text(content)
        return str(path)

    def login(
        self, user: str = "ada", password: str = PASSWORD, mechanism: str = "SCRAM-SHA-512"
    ) -> Security:
        """Return the settings of a user with a password."""
        return Security(
            protocol=Protocol.SASL_SSL,
            ca_file=str(self.authority.certificate),
            mechanism=Mechanism(mechanism),
            username=user,
            password_file=self.file(f"{user}-{abs(hash(password))}", password + "\n"),
        )

    async def create(self, *topics: str, partitions: int = 1) -> None:
        """Create topics as the superuser."""
        async with open_admin(self.superuser) as admin:
            await admin.create_topics([NewTopic(name, partitions, 1) for name in topics])
            await until_led(admin, list(topics))


def unsigned_token(subject: str, life_s: float = 3600) -> str:
    """Write a token as Kafka's development validator takes it."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": subject, "iat": now - 1, "exp": now + life_s})
    words = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
    return ".".join(word.rstrip("=") for word in words) + "."


def tls_properties(authority: Issued, server: Issued) -> dict[str, str]:
    """Return what makes the clients' listener speak TLS."""
    return {
        f"{LISTENER}ssl.keystore.type": "PEM",
        f"{LISTENER}ssl.keystore.certificate.chain": server.certificate.read_text(),
        f"{LISTENER}ssl.keystore.key": server.key.read_text(),
        f"{LISTENER}ssl.truststore.type": "PEM",
        f"{LISTENER}ssl.truststore.certificates": authority.certificate.read_text(),
    }


def speaking(protocol: str) -> dict[str, str]:
    """Return what the clients' listener speaks, and with it alone."""
    return {
        "listener.security.protocol.map": (
            f"CLIENT:{protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
        )
    }


def opened(factory: BrokerFactory, directory: Path, properties: dict[str, str]) -> Iterator[Vault]:
    """Start such a broker for as long as a generator lasts."""
    authority = issue(directory, "authority")
    server = issue(directory, "server", signer=authority)
    with asyncio.Runner() as runner:
        context = factory(properties=RULES | tls_properties(authority, server) | properties)
        broker = runner.run(context.__aenter__())
        try:
            yield Vault(broker, authority, directory)
        finally:
            runner.run(context.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def vault(
    kafka_factory: BrokerFactory, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Vault]:
    """A broker with TLS, every kind of login and access rules; ``ada`` may nothing yet."""
    mechanisms = ",".join(Mechanism)
    properties = {
        **speaking("SASL_SSL"),
        f"{LISTENER}sasl.enabled.mechanisms": mechanisms,
        f"{LISTENER}plain.sasl.jaas.config": PLAIN,
        f"{LISTENER}scram-sha-256.sasl.jaas.config": SCRAM,
        f"{LISTENER}scram-sha-512.sasl.jaas.config": SCRAM,
        f"{LISTENER}oauthbearer.sasl.jaas.config": TOKENS,
    }
    for found in opened(kafka_factory, tmp_path_factory.mktemp("vault"), properties):
        asyncio.run(_add_users(found))
        yield found


async def _add_users(vault: Vault) -> None:
    async with open_admin(vault.superuser) as admin:
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            await add_user(admin, "ada", PASSWORD, mechanism)
