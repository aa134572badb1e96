"""Who proves who he is gets in; who does not is told what is wrong, at once."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from schemas.errors import BrokerError, ConfigurationError, HeadraceError
from streams.clients import open_admin
from streams.connection import Connection
from streams.security import Mechanism, Protocol, Security
from tests.conftest import BrokerFactory
from tests.integration.security.certificates import issue
from tests.integration.security.conftest import (
    LISTENER,
    PASSWORD,
    Vault,
    opened,
    speaking,
    unsigned_token,
)
from tests.unit.security.test_tokens import Endpoint, serving

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]
QUICK_S = 5.0
GUESSED = "guessed"
LOCK = "of the key"


async def enter(vault: Vault, security: Security) -> None:
    """Ask a broker something as the client with these settings."""
    async with open_admin(Connection(vault.broker.bootstrap_servers, security=security)) as admin:
        await admin.describe_cluster()


async def refused(vault: Vault, security: Security) -> str:
    """Return what a client is told that is not let in, soon."""
    started = time.monotonic()
    with pytest.raises(HeadraceError) as error:
        await enter(vault, security)
    assert time.monotonic() - started < QUICK_S
    assert isinstance(error.value, ConfigurationError) or "closes the connection" in str(
        error.value
    )
    assert PASSWORD not in str(error.value)
    await asyncio.sleep(0.1)  # aiokafka does not wait for its connections to be closed
    return str(error.value)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_password_opens(vault: Vault, mechanism: str) -> None:
    """By each mechanism; a wrong one is told with the settings to look at."""
    await enter(vault, vault.login(mechanism=mechanism))
    told = await refused(vault, vault.login("ada", GUESSED, mechanism))
    assert told.startswith("security.username: ")
    assert "security.password_file or HEADRACE_SECURITY__PASSWORD" in told
    assert GUESSED not in told


async def test_a_password_comes_from_the_environment(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no file is named."""
    security = msgspec.structs.replace(vault.login(), password_file=None)
    with pytest.raises(ConfigurationError, match=r"security\.password_file: is not set"):
        await enter(vault, security)
    monkeypatch.setenv("HEADRACE_SECURITY__PASSWORD", PASSWORD)
    await enter(vault, security)


async def test_a_token_opens_until_it_is_over(vault: Vault) -> None:
    """The file is read for every connection, so a new token in it is used."""
    file = vault.file("token", unsigned_token("ada", life_s=-3600))
    security = Security(
        protocol=Protocol.SASL_SSL,
        ca_file=str(vault.authority.certificate),
        mechanism=Mechanism.OAUTHBEARER,
        token_file=file,
    )
    told = await refused(vault, security)
    assert told.startswith("security.token_file: ")
    vault.file("token", unsigned_token("ada"))
    await enter(vault, security)


async def test_a_token_is_fetched_from_an_endpoint(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the client's secret; an endpoint that does not know it is named."""
    endpoint = Endpoint()
    endpoint.answer = lambda _: web.json_response({"access_token": unsigned_token("ada")})
    async with serving(endpoint.handle) as url:
        security = Security(
            protocol=Protocol.SASL_SSL,
            ca_file=str(vault.authority.certificate),
            mechanism=Mechanism.OAUTHBEARER,
            token_endpoint=url,
            client_id="headrace",
        )
        with pytest.raises(ConfigurationError, match=r"security\.client_secret_file: is not set"):
            await enter(vault, security)
        monkeypatch.setenv("HEADRACE_SECURITY__CLIENT_SECRET", PASSWORD)
        await enter(vault, security)
        endpoint.answer = lambda _: web.Response(status=401)
        told = await refused(vault, security)
        assert told.startswith("security.token_endpoint: ")
        assert "check security.client_id" in told


async def test_an_authority_that_is_not_known_is_told(vault: Vault, tmp_path: Path) -> None:
    """Another one's certificate, or the system's list, do not do."""
    other = issue(tmp_path, "other")
    for file in (str(other.certificate), None):
        security = msgspec.structs.replace(vault.login(), ca_file=file)
        assert (await refused(vault, security)).startswith("security.ca_file: ")


async def test_a_broker_of_another_name_is_told(vault: Vault) -> None:
    """The certificate is for 127.0.0.1."""
    port = vault.broker.bootstrap_servers.rpartition(":")[2]
    connection = Connection(f"localhost:{port}", security=vault.login())
    with pytest.raises(ConfigurationError, match="is for another name"):
        async with open_admin(connection):
            pass


@pytest.mark.parametrize("protocol", ["plaintext", "sasl_plaintext", "ssl"])
async def test_another_protocol_is_told(vault: Vault, protocol: str) -> None:
    """Each ends with the setting that names the protocol."""
    login = vault.login()
    spoken = Protocol(protocol)
    security = Security(
        protocol=spoken,
        ca_file=login.ca_file if spoken.encrypts else None,
        mechanism=login.mechanism if spoken.logs_in else None,
        username=login.username if spoken.logs_in else None,
        password_file=login.password_file if spoken.logs_in else None,
    )
    assert (await refused(vault, security)).startswith("security.protocol: ")


async def test_a_broker_that_is_gone_is_not_the_settings_fault(vault: Vault) -> None:
    """Starting again may help there."""
    with pytest.raises(BrokerError, match="no broker answers"):
        async with open_admin(Connection("127.0.0.1:1", security=vault.login())):
            pass


@pytest.fixture(scope="module")
def mutual(
    kafka_factory: BrokerFactory, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Vault]:
    """A broker that wants to see certificates."""
    properties = {**speaking("SSL"), f"{LISTENER}ssl.client.auth": "required"}
    yield from opened(kafka_factory, tmp_path_factory.mktemp("mutual"), properties)


async def test_certificates_of_both_sides(
    mutual: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the client's opens, its key with or without password; no other, and none, does."""
    mine = issue(tmp_path, "ada", signer=mutual.authority)
    ca_file = str(mutual.authority.certificate)
    trusting = Security(protocol=Protocol.SSL, ca_file=ca_file)
    certified = msgspec.structs.replace(
        trusting, certificate_file=str(mine.certificate), key_file=str(mine.key)
    )
    await enter(mutual, certified)
    told = await refused(mutual, trusting)
    assert told.startswith("security.certificate_file: ")
    assert "asks for a certificate" in told

    strange = issue(tmp_path, "strange", signer=issue(tmp_path, "nobody"))
    told = await refused(
        mutual,
        msgspec.structs.replace(
            trusting, certificate_file=str(strange.certificate), key_file=str(strange.key)
        ),
    )
    assert "does not accept" in told

    locked = issue(tmp_path, "locked", signer=mutual.authority, password=LOCK)
    security = msgspec.structs.replace(
        trusting, certificate_file=str(locked.certificate), key_file=str(locked.key)
    )
    with pytest.raises(ConfigurationError, match=r"security\.key_password_file or HEADRACE_"):
        await enter(mutual, security)
    monkeypatch.setenv("HEADRACE_SECURITY__KEY_PASSWORD", LOCK)
    await enter(mutual, security)
